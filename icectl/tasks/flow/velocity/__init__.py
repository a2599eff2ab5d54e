"""Velocity of the ice from matched pairs of frames: arrays to arrays."""
