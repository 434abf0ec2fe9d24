"""A ball's cap as a height field, with its normals."""

import numpy as np
import pytest
from numpy.typing import NDArray

Cap = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]


@pytest.fixture
def cap() -> Cap:
    """Depth (H, W) in pixels, normals (H, W, 3) and mask of a ball of radius 25, 32 x 40 px."""
    row, column = np.mgrid[:32, :40].astype(np.float64)
    x, y = column - 18, 15 - row
    mask = (x**2 + y**2 < 14**2) & ~((np.abs(x - 4) < 3) & (np.abs(y - 3) < 2))
    depth = np.sqrt(np.maximum(25**2 - x**2 - y**2, 1))
    normals = np.stack([x, y, depth], axis=-1) / 25
    return np.where(mask, depth, np.nan), normals, mask
