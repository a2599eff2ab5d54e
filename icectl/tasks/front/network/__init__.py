"""What trains the networks of fronts, and how trained ones answer."""
