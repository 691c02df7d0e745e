"""Writes miniature data sets of drawn scenes, drawn textures and crops of photographs.

Folders and files are named as in the real data sets.
"""
