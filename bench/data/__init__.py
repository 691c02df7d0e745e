"""Items to evaluate: images, masks, and the miniature world that stands in for the real data sets."""
