"""facegeo: train, compare and use CCNN face landmarks and Cas-FNE face normals."""

__version__ = "0.1.0"
