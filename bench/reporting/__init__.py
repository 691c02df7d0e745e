"""The reports, figures and notes that a run writes for people to read."""
