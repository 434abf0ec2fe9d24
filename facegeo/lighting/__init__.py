"""Faces in new light: sources, presets, relit pictures and pictures of a light that turns."""
