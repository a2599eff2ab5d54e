"""What chips are cut from and how networks are fed with them: frames, screening, scaling."""
