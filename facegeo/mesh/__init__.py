"""From normals to surfaces: depth, meshes in files, and detail put on a coarse surface."""
