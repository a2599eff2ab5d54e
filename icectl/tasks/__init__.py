"""The four problems: each owns its data recipe, target, products, metrics and baselines."""
