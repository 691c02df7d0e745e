"""Typed tables of measurements in the paper's form, and their renderings; this package does not import torch."""
