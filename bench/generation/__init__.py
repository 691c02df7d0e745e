"""From items to latents, and from latents to images."""
