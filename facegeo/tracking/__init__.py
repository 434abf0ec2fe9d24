"""Weights & Biases: the only place that knows it."""
