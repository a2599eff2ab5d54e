"""Step (b), arrays to arrays: ice physics, features, thickness and volume."""
