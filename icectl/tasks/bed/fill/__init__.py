"""Step (a), arrays to arrays: smooth fills, holes, and what the network sees of them."""
