"""Metrics with their definitions: what is divided by what, and averaged over what."""
