"""Reports, figures and notes that a run writes for its readers."""
