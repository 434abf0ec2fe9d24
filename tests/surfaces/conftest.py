import numpy as np
import pytest
from numpy.typing import NDArray


@pytest.fixture(scope="session")
def ball() -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Normals (65, 65, 3) and mask (65, 65) of a ball, its radius half the picture."""
    row, column = np.mgrid[:65, :65]
    x, y = (column - 32) / 32, (32 - row) / 32
    mask = x**2 + y**2 < 0.9
    z = np.sqrt(np.maximum(1 - x**2 - y**2, 0))
    return (np.stack([x, y, z], axis=-1) * mask[..., None]).astype(np.float32), mask


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
