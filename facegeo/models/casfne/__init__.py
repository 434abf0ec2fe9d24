"""Cas-FNE: from a face photo to its normals, refined again and again by one shared block."""
