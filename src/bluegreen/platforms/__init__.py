"""The platforms: each a folder that implements ``ports.Platform``. They do not know each other."""
