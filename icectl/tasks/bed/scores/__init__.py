"""Predictions against points, rasters, ice-free holes and published tables."""
