"""The miniature data sets: drawn scenes and a few photographs, with the folders and files of the real data sets."""
