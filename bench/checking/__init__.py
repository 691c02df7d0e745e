"""Checks before a run. They find missing and wrong files, say where to get them, and estimate the cost of the run."""
