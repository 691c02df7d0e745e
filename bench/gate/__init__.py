"""The gate, which decides whether a run's numbers are worse than those of another run or of a baseline."""
