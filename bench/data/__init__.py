"""Items to evaluate: adapters that read data sets, masks, and miniature data sets that replace the real ones."""
