"""The miniature world: drawn scenes, written in the layouts of the real data sets."""
