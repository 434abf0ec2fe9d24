"""Relighting, depth from normals, meshes."""
