"""Tables of measurements in the paper's form, and their output as text. This package does not import torch."""
