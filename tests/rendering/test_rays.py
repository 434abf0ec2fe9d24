"""Which rays are cast, and what their neighbours know, by counting."""

import numpy as np
import pytest

from facegeo.rendering.rays import gathered, middles, sweeps


@pytest.mark.parametrize(("size", "points"), [((60, 80), 4800), ((40, 200), 20 * 100)])
def test_every_pixel_is_visited_once(size: tuple[int, int], points: int) -> None:
    (coarse, _), (rest, at) = sweeps(*size)
    assert len(coarse) == points
    np.testing.assert_array_equal(np.sort(np.concatenate([coarse, rest])), np.arange(np.prod(size)))
    np.testing.assert_array_equal(at[:, 1] * size[1] + at[:, 0], rest)


def test_middles_count_columns_first() -> None:
    np.testing.assert_array_equal(middles(np.array([0, 7], dtype=np.int32), 5), [(0, 0), (2, 1)])


@pytest.mark.parametrize("reach", [1, 3])
def test_gathered_bits_are_those_of_the_square_around(reach: int) -> None:
    rng = np.random.default_rng(0)
    bits = (1 << rng.integers(0, 17, (12, 17))).astype(np.int32)
    bits *= rng.uniform(size=bits.shape) < 0.2
    for row, column in np.ndindex(*bits.shape):
        around = bits[
            max(0, row - reach) : row + reach + 1, max(0, column - reach) : column + reach + 1
        ]
        assert gathered(bits, reach)[row, column] == np.bitwise_or.reduce(around, axis=None)
