"""Generators, which make latents of items, and methods, which make images of latents."""
