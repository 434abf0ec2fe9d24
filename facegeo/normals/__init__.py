"""Cas-FNE, whole: networks, maps and sessions, losses, metrics, training, panels."""
