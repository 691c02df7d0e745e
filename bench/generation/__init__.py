"""Generators, which make the latents of items, and methods, which make images of items, usually from these latents."""
