"""Pure tensor functions on points, windows, normals and pixels."""
