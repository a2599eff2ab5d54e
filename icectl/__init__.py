"""icectl: one command line for deep learning on glaciers."""

__version__ = "0.1.0"
