"""Methods that are compared with the paper's decoders, and ways to change the images of another method."""
