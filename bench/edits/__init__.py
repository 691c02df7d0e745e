"""Scores the finished pictures of any program against the true pictures, without a configuration or a store."""
