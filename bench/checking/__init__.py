"""What a run takes from others: whether it is there and right, where to get it, and what the run would take."""
