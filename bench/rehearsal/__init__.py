"""The files of a rehearsal: everything that the paper profile reads, with random weights and artificial pictures."""
