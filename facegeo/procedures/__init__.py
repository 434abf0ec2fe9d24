"""Whole jobs: train a cascade, measure it."""
