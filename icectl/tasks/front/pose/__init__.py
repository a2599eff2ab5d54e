"""Pose and scale: how an image is turned and resampled before a network sees it."""
