"""Training of decoders, and of the mini profile's models."""
