"""A ball that fills the picture."""

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
