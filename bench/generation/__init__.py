"""Generators, which sample the latents of items, and methods, which make images from these latents."""
