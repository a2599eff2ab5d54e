"""Elevation models, outlines, points and glaciers of known thickness, read from files."""
