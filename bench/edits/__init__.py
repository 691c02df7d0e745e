"""Scores of finished pictures of any program, compared with the true pictures, without a configuration or a store."""
