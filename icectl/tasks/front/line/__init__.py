"""Lines: from probabilities to ordered fronts, their polygons and lengths."""
