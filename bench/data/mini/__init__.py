"""The miniature data sets: drawn scenes, written in the layouts of the real data sets."""
