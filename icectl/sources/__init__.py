"""Where data comes from: STAC services, a folder of one's own, the synthetic glacier."""
