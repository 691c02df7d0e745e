"""Writes miniature data sets of drawn scenes and a few photographs. Folders and files are named as in the real ones."""
