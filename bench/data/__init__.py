"""This package makes the items to evaluate: it reads data sets, makes masks, and draws miniature data sets."""
