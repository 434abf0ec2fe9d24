# mypy: ignore-errors
"""Noise and ramps to paint with, as warp functions."""

import warp as wp


@wp.func
def lattice(seed: wp.uint32, x: int, y: int, z: int) -> float:
    """Return a number in [-1, 1) that belongs to a point of the integer lattice."""
    h = wp.uint32(x) * wp.uint32(2376512323) + wp.uint32(y) * wp.uint32(3625334849)
    h = h + wp.uint32(z) * wp.uint32(3407524639) + seed * wp.uint32(668265263)
    h = (h ^ (h >> wp.uint32(15))) * wp.uint32(2246822519)
    h = (h ^ (h >> wp.uint32(13))) * wp.uint32(3266489917)
    return float(int(h >> wp.uint32(16))) / 32768.0 - 1.0


@wp.func
def noise(seed: wp.uint32, p: wp.vec3) -> float:
    """Return smooth noise in [-1, 1] (value noise: several times cheaper than warp's Perlin)."""
    fx = wp.floor(p[0])
    fy = wp.floor(p[1])
    fz = wp.floor(p[2])
    x = int(fx)
    y = int(fy)
    z = int(fz)
    u = p[0] - fx
    v = p[1] - fy
    w = p[2] - fz
    u = u * u * (3.0 - 2.0 * u)
    v = v * v * (3.0 - 2.0 * v)
    w = w * w * (3.0 - 2.0 * w)
    a = wp.lerp(lattice(seed, x, y, z), lattice(seed, x + 1, y, z), u)
    b = wp.lerp(lattice(seed, x, y + 1, z), lattice(seed, x + 1, y + 1, z), u)
    c = wp.lerp(lattice(seed, x, y, z + 1), lattice(seed, x + 1, y, z + 1), u)
    d = wp.lerp(lattice(seed, x, y + 1, z + 1), lattice(seed, x + 1, y + 1, z + 1), u)
    return wp.lerp(wp.lerp(a, b, v), wp.lerp(c, d, v), w)


@wp.func
def ramp(low: float, high: float, x: float) -> float:
    """Return the smooth step from 0 at ``low`` to 1 at ``high``; either may be larger."""
    t = wp.clamp((x - low) / (high - low), 0.0, 1.0)
    return t * t * (3.0 - 2.0 * t)


@wp.func
def blend(a: wp.vec3, b: wp.vec3, t: float) -> wp.vec3:
    """Return a mix, ``a`` at t = 0."""
    return a * (1.0 - t) + b * t


@wp.func
def bump(x: float, y: float, at_x: float, at_y: float, width: float, height: float) -> float:
    """Return a Gaussian bump in the skin's x and y, 1 at its middle."""
    u = (x - at_x) / width
    v = (y - at_y) / height
    return wp.exp(-u * u - v * v)
