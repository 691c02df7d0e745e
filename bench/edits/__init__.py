"""Scores of finished pictures: any program's outputs against the true pictures, without a configuration or a store."""
