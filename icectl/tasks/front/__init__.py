"""Calving fronts: where a glacier ends in the sea (Cheng et al. 2021)."""
