"""Items to evaluate: images, masks, and the miniature data sets that stand in for the real ones."""
