"""The gate, which decides whether new numbers are worse than old numbers.

Numbers of runs are compared with those of earlier runs or of a baseline. The pictures of a decoder are compared with
those of another decoder on the same latents.
"""
