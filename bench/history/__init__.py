"""The history of a table's numbers over commits and dates, from earlier runs and baselines.

`python -m bench.history` runs the command. Two numbers of a line are compared as the gate compares them: with the same
margins, and only if their items and protocols are equal.
"""
