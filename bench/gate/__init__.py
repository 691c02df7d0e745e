"""The gate, which decides whether the numbers of one run are worse than the numbers of another run or a baseline."""
