"""The gate: whether one run's numbers are worse than another's, or than a baseline's, or nobody can tell."""
