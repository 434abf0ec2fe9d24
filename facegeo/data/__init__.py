"""Readers, caches and splits of the data sets."""
