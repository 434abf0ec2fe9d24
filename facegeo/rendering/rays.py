"""Which rays are cast: their order, and where shadow rays can be spared.

Every pixel of a picture keeps an integer: bit k is set where light k was found to shine on the
surface, bit k + 8 where something hides it, neither where the surface is turned away; bit 16 is
set where there is a surface. Amid pixels that agree on a light no further shadow ray is cast for
it, and far from any surface no ray at all.
"""

from functools import lru_cache

import numpy as np

from facegeo.rendering.head_model import Floats, Ints

MOST_LIGHTS = 8
"""As many as there are bits for."""
SURFACE = 1 << 16
ACROSS = 85
"""Points across a picture where shadow rays are cast without question; more never hurts."""
TILE = 8
"""Side of the squares in which pixels are visited: neighbouring rays read the same memory."""


@lru_cache(maxsize=4)
def in_tiles(height: int, width: int) -> Ints:
    """Return the numbers of all pixels, counted row by row, tile by tile, shape (H * W,)."""
    y, x = (each.ravel() for each in np.mgrid[:height, :width])
    return np.lexsort((x, y, x // TILE, y // TILE)).astype(np.int32)


def coarse_step(width: int) -> int:
    """Return how many pixels apart the points of the coarse grid are."""
    return max(1, width // ACROSS)


@lru_cache(maxsize=4)
def sweeps(height: int, width: int) -> tuple[tuple[Ints, Floats], tuple[Ints, Floats]]:
    """Return number and middle of the pixels of the coarse grid, and of all others."""
    order, step = in_tiles(height, width), coarse_step(width)
    coarse = (order % width % step == 0) & (order // width % step == 0)
    first, second = order[coarse], order[~coarse]
    return (first, middles(first, width)), (second, middles(second, width))


def middles(slots: Ints, width: int) -> Floats:
    """Return the middles (x, y) of pixels counted row by row, shape (N, 2)."""
    return np.stack([slots % width, slots // width], axis=1).astype(np.float32)


def gathered(bits: Ints, reach: int) -> Ints:
    """Gather the bits of all pixels up to ``reach`` rows and columns away, shape (H, W).

    A light with one of its two bits set is agreed on; with both, or none, it is not.
    """
    wide = bits.copy()
    for step in range(1, reach + 1):
        wide[:, step:] |= bits[:, :-step]
        wide[:, :-step] |= bits[:, step:]
    found = wide.copy()
    for step in range(1, reach + 1):
        found[step:] |= wide[:-step]
        found[:-step] |= wide[step:]
    return found
