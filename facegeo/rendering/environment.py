"""Light from environment maps: a smooth surround and a few soft lamps that add up to the map.

Directions are in the map's frame: x right, y up, z to the viewer. Radiance and "shading", which
is irradiance over pi, are linear RGB, so that a white surface under radiance 1 from everywhere has
shading 1.
"""

from dataclasses import dataclass

import numpy as np

from facegeo.rendering.head_model import Floats
from facegeo.rendering.scene import Lights

HEIGHT, WIDTH = 32, 64
"""Rows and columns that all maps are brought to."""
MOST_LAMPS = 3
REACH = 0.36
"""Angular radius around a peak of the map that one lamp can take in, radians."""
LEAST_SHARE = 0.05
"""Share of the map's light below which a peak stays in the surround."""
SMALLEST = 0.03
"""Least angular radius of a lamp, radians: about a third of a pixel of the map."""
LUMINANCE = np.array([0.2126, 0.7152, 0.0722], dtype=np.float32)
CONSTANTS = np.array(
    [0.28209479, *(0.48860251,) * 3, 1.09254843, 1.09254843, 0.31539157, 1.09254843, 0.54627422]
)
TRANSFER = np.array([1.0, *(2 / 3,) * 3, *(1 / 4,) * 5])
"""Ramamoorthi and Hanrahan, "An Efficient Representation for Irradiance Environment Maps",
SIGGRAPH 2001, Eqs. (3) and (8): constants of the harmonics, and A of each order over pi."""


@dataclass(frozen=True)
class Surround:
    """Light on a head from all sides; camera frame: x right, y up, z to the camera.

    Attributes:
        harmonics: Shading of a surface with normal n as a sum over the polynomials of ``basis``,
            without the lamps, shape (9, 3).
        lamps: The lamps; their own ``sky`` and ``ground`` are not used.
        radiance: What mirrors show, lamps included, shape (H, W, 3), in the map's frame.
        to_map: Takes directions of the camera frame to the map's frame, shape (3, 3).
    """

    harmonics: Floats
    lamps: Lights
    radiance: Floats
    to_map: Floats


@dataclass(frozen=True)
class SplitMap:
    """An environment map taken apart; map frame.

    Attributes:
        radiance: The whole map, shape (H, W, 3).
        rest: The map without its lamps, shape (H, W, 3).
        towards: Unit vectors to the lamps, shape (L, 3).
        colours: Shading of a white surface that faces the lamp, shape (L, 3).
        softness: Angular radius of the lamps, radians, shape (L,).
    """

    radiance: Floats
    rest: Floats
    towards: Floats
    colours: Floats
    softness: Floats


def map_grid(height: int = HEIGHT, width: int = WIDTH) -> tuple[Floats, Floats]:
    """Return direction, shape (H, W, 3), and solid angle, shape (H, W), of a map's pixels."""
    down = np.pi * (np.arange(height) + 0.5) / height
    around = 2 * np.pi * ((np.arange(width) + 0.5) / width - 0.5)
    theta, phi = np.meshgrid(down, around, indexing="ij")
    ring = np.sin(theta)
    directions = np.stack([ring * np.sin(phi), np.cos(theta), ring * np.cos(phi)], axis=-1)
    edges = np.cos(np.pi * np.arange(height + 1) / height)
    solid = np.repeat((edges[:-1] - edges[1:])[:, None] * (2 * np.pi / width), width, axis=1)
    return directions.astype(np.float32), solid.astype(np.float32)


def basis(directions: Floats) -> Floats:
    """Return 1, y, z, x, xy, yz, 3zz - 1, xz, xx - yy of unit vectors (N, 3), shape (N, 9)."""
    x, y, z = directions.T
    rows = [np.ones_like(x), y, z, x, x * y, y * z, 3 * z * z - 1, x * z, x * x - y * y]
    return np.stack(rows, axis=1)


def split_map(radiance: Floats) -> SplitMap:
    """Take the brightest spots out of a map as lamps.

    A spot is a cap of radius ``REACH`` round the brightest pixel; what exceeds the mean of the
    ring around it becomes a lamp, which lights a surface that faces it as the spot did. Nothing is
    lost: lamps and rest add up to the map.

    Args:
        radiance: Shape (32, 64, 3), not negative.
    """
    directions, solid = (each.reshape(HEIGHT * WIDTH, -1) for each in map_grid())
    rest = radiance.reshape(-1, 3).astype(np.float64)
    total = float((rest @ LUMINANCE * solid[:, 0]).sum())
    lamps = []
    for _ in range(MOST_LAMPS):
        level = rest @ LUMINANCE
        angle = np.arccos((directions @ directions[level.argmax()]).clip(-1, 1))
        near, ring = angle < REACH, (angle >= REACH) & (angle < 1.5 * REACH)
        floor = float(np.average(level[ring], weights=solid[ring, 0]))
        share = np.where(near, (1 - floor / np.maximum(level, 1e-9)).clip(0, 1), 0)
        taken = rest * (share[:, None] * solid)
        weight = taken @ LUMINANCE
        if weight.sum() < LEAST_SHARE * total:
            break
        middle = weight @ directions
        length = float(np.linalg.norm(middle))
        middle = middle / length
        off = np.arccos((directions @ middle).clip(-1, 1))
        spread = np.sqrt(2 * (weight * off**2).sum() / weight.sum())  # a disc's radius
        colour = taken.sum(axis=0) * (length / weight.sum() / np.pi)
        lamps.append((middle, colour, max(SMALLEST, float(spread))))
        rest = rest * (1 - share[:, None])
    return SplitMap(
        radiance=radiance.astype(np.float32),
        rest=rest.reshape(HEIGHT, WIDTH, 3).astype(np.float32),
        towards=np.array([each[0] for each in lamps], dtype=np.float32).reshape(-1, 3),
        colours=np.array([each[1] for each in lamps], dtype=np.float32).reshape(-1, 3),
        softness=np.array([each[2] for each in lamps], dtype=np.float32),
    )


def harmonics_of(radiance: Floats, to_camera: Floats) -> Floats:
    """Return the shading that a map gives, to second order.

    Args:
        radiance: Shape (32, 64, 3).
        to_camera: Takes directions of the map's frame to the camera's, shape (3, 3).

    Returns:
        Factors of the polynomials of ``basis``, camera frame, shape (9, 3).
    """
    directions, solid = map_grid()
    turned = np.einsum("ij,nj->ni", to_camera, directions.reshape(-1, 3))
    light = radiance.reshape(-1, 3) * solid.reshape(-1, 1)
    sums = np.einsum("nk,nc->kc", basis(turned), light)
    factors: Floats = (sums * (CONSTANTS**2 * TRANSFER)[:, None]).astype(np.float32)
    return factors


def surround_of(split: SplitMap, to_camera: Floats, gain: Floats) -> Surround:
    """Turn a map and set its exposure.

    Args:
        split: The map.
        to_camera: Takes directions of the map's frame to the camera's, shape (3, 3).
        gain: What its colours are multiplied with, shape (3,).
    """
    nothing = np.zeros(3, dtype=np.float32)
    return Surround(
        harmonics=harmonics_of(split.rest, to_camera) * gain,
        lamps=Lights(
            towards=np.einsum("ij,lj->li", to_camera, split.towards).astype(np.float32),
            colours=split.colours * gain,
            softness=split.softness,
            sky=nothing,
            ground=nothing,
        ),
        radiance=split.radiance * gain,
        to_map=to_camera.T.astype(np.float32),
    )


def surround_of_lights(lights: Lights) -> Surround:
    """Return the same light as ``Lights``: its sky as harmonics, its lamps painted into a map."""
    harmonics = np.zeros((9, 3), dtype=np.float32)
    harmonics[0], harmonics[1] = (lights.sky + lights.ground) / 2, (lights.sky - lights.ground) / 2
    directions, solid = map_grid()
    up = directions[..., 1:2]
    radiance = (lights.ground * (1 - up) + lights.sky * (1 + up)) / 2
    for towards, colour, radius in zip(
        lights.towards, lights.colours, lights.softness, strict=True
    ):
        reach = max(float(radius), 0.07)  # the spot must hold a pixel or two
        spot = (directions @ towards > np.cos(reach)) * solid
        if not spot.any():
            spot = (directions @ towards >= (directions @ towards).max()) * solid
        radiance = radiance + (spot > 0)[..., None] * (np.pi * colour / spot.sum())
    return Surround(harmonics, lights, radiance.astype(np.float32), np.eye(3, dtype=np.float32))


def shading_of(surround: Surround, normals: Floats) -> Floats:
    """Return the shading of unhidden surfaces with the given normals.

    Args:
        surround: The light.
        normals: Unit vectors, camera frame, shape (N, 3).

    Returns:
        Irradiance over pi, shape (N, 3).
    """
    smooth = np.einsum("nk,kc->nc", basis(normals), surround.harmonics).clip(0)
    cosine = np.einsum("nj,lj->nl", normals, surround.lamps.towards).clip(0)
    total: Floats = smooth + np.einsum("nl,lc->nc", cosine, surround.lamps.colours)
    return total
