"""Snow masks as arrays: bands, seasons and windows."""
