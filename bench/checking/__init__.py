"""Checks of the external files that a run needs: existence, content, sources, and the cost of the run."""
