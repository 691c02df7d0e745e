"""Functions for a rehearsal, which runs the commands of the paper profile on random weights and artificial pictures.

They write the files that a rehearsal reads, list the rehearsal's steps, and run a step in a separate process.
"""
