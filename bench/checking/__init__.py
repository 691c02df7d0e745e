"""Checks before a run: whether its external files exist and are right, where to get them, and what it will cost."""
