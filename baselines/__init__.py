"""Methods that are compared with the paper's decoders, and methods that change the images of another method."""
