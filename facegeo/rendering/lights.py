"""Light: lamps and a sky, and environment maps taken apart into the same.

A map becomes a smooth surround and a few soft lamps that add up to it. Its directions are in the
map's frame: x right, y up, z to the viewer. Radiance and "shading", which is irradiance over pi,
are linear RGB, so that a white surface under radiance 1 from everywhere has shading 1.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from facegeo.rendering.light_files import HEIGHT, WIDTH, read_lights
from facegeo.rendering.mesh import Floats
from facegeo.rendering.scene import direction, rotation_matrix

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
KEY_SHARE = 0.35
"""Share of the pictures lit by a map that have a photographer's lamp besides."""
FACING = np.array(
    [(0, 0, 1), (-0.6, 0, 0.8), (0.6, 0, 0.8), (0, 0.6, 0.8), (0, -0.4, 0.917)], dtype=np.float32
)
"""Normals of a face that looks at the camera, by which maps are exposed."""


@dataclass(frozen=True)
class Lights:
    """Lights far away, and a sky; linear colours.

    Attributes:
        towards: Unit vectors to the lights in the camera's frame, shape (L, 3).
        colours: Shape (L, 3).
        softness: Angular radius of the lights, radians, shape (L,).
        sky: Light from above, shape (3,).
        ground: Light from below, shape (3,).
    """

    towards: Floats
    colours: Floats
    softness: Floats
    sky: Floats
    ground: Floats


def draw_lights(rng: np.random.Generator) -> Lights:
    """Draw one to three lights and a sky: flash, window, sun, lamps."""
    count = int(rng.choice([1, 2, 2, 3]))
    key = (rng.normal(0, 40), rng.uniform(0, 60))
    others = [(rng.uniform(-110, 110), rng.uniform(-20, 60)) for _ in range(count - 1)]
    angles = [key, *others]
    strength = [rng.uniform(0.9, 1.7), *rng.uniform(0.15, 0.8, count - 1)]
    warm = rng.normal(0, 0.09, count)
    tint = np.stack([1 + warm, np.ones(count), 1 - 1.2 * warm], axis=1)
    ambient = rng.uniform(0.25, 0.8)
    shade = 1 + rng.normal(0, 0.06, 3)
    return Lights(
        towards=np.stack([direction(*angle) for angle in angles]),
        colours=(tint * np.array(strength)[:, None]).astype(np.float32),
        softness=rng.uniform(0.02, 0.22, count).astype(np.float32),
        sky=(ambient * shade).astype(np.float32),
        ground=(ambient * rng.uniform(0.25, 0.7) * shade * (1.05, 1.0, 0.92)).astype(np.float32),
    )


def flash(zenith_deg: float, azimuth_deg: float) -> Lights:
    """Return one hard light and next to no other."""
    zenith, azimuth = np.radians([zenith_deg, azimuth_deg])
    level = np.sin(zenith)
    towards = np.array([level * np.cos(azimuth), level * np.sin(azimuth), np.cos(zenith)])
    dim = np.full(3, 0.01, dtype=np.float32)
    return Lights(
        towards=towards[None].astype(np.float32),
        colours=np.ones((1, 3), dtype=np.float32),
        softness=np.full(1, 0.01, dtype=np.float32),
        sky=dim,
        ground=dim,
    )


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


class LightDraw:
    """Draws light: environment maps turned at random, or the lamps of ``draw_lights``.

    Args:
        share: Share of pictures that are lit by maps.
        folder: The user's own maps; None for those that ship with the package.

    Raises:
        UserError: If a map cannot be read.
    """

    def __init__(self, share: float, folder: Path | None = None) -> None:
        self._share = share
        maps: Sequence[Floats] = read_lights(folder) if share > 0 else ()
        self._maps: list[SplitMap] = [split_map(radiance) for radiance in maps]

    def draw(self, rng: np.random.Generator) -> Surround:
        """Draw the light of one picture."""
        if rng.uniform() >= self._share:
            return surround_of_lights(draw_lights(rng))
        split = self._maps[int(rng.integers(len(self._maps)))]
        tilt = rotation_matrix(0.0, float(rng.normal(0, 6)), float(rng.normal(0, 4)))
        turn = tilt @ rotation_matrix(float(rng.uniform(-180, 180)), 0.0, 0.0)
        white = np.ones(3, dtype=np.float32)
        seen = shading_of(surround_of(split, turn, white), FACING).mean(axis=0)
        around = split.radiance.mean(axis=(0, 1))
        cast = 0.8 * seen + 0.2 * around
        cast = np.maximum(cast, 1e-3 * (cast @ LUMINANCE))  # a map may lack a colour
        balance = (cast @ LUMINANCE / cast) ** rng.uniform(0.6, 1.0)  # as cameras do, not wholly
        tint = np.exp(rng.normal(0, (0.04, 0.015, 0.05)))
        exposure = np.exp(rng.normal(-0.1, 0.3)) / ((0.85 * seen + 0.15 * around) @ LUMINANCE)
        gain = (balance * tint * exposure).astype(np.float32)
        surround = _faded(surround_of(split, turn, gain), float(rng.uniform(0.3, 0.9)))
        if rng.uniform() < KEY_SHARE:
            surround = _with_key(rng, surround)
        return _with_fill(surround, float(rng.uniform(0.02, 0.12)))


def _faded(surround: Surround, saturation: float) -> Surround:
    """Return light of less colour; its luminance stays."""

    def fade(colours: Floats) -> Floats:
        grey = (colours @ LUMINANCE)[..., None]
        faded: Floats = (grey + saturation * (colours - grey)).astype(np.float32)
        return faded

    return replace(
        surround,
        harmonics=fade(surround.harmonics),
        lamps=replace(surround.lamps, colours=fade(surround.lamps.colours)),
        radiance=fade(surround.radiance),
    )


def _with_key(rng: np.random.Generator, surround: Surround) -> Surround:
    """Dim the surround and add the key lamp of a photographer, or a flash."""
    lights = draw_lights(rng)
    key = replace(
        lights,
        towards=lights.towards[:1],
        colours=lights.colours[:1],
        softness=rng.uniform(0.03, 0.3, 1).astype(np.float32),
        sky=np.zeros(3, dtype=np.float32),
        ground=np.zeros(3, dtype=np.float32),
    )
    dim = np.float32(rng.uniform(0.15, 0.7))
    rest = surround.lamps
    in_map = replace(key, towards=np.einsum("ij,lj->li", surround.to_map, key.towards))
    return replace(
        surround,
        harmonics=dim * surround.harmonics,
        lamps=replace(
            rest,
            towards=np.concatenate([rest.towards, key.towards]),
            colours=np.concatenate([dim * rest.colours, key.colours]),
            softness=np.concatenate([rest.softness, key.softness]),
        ),
        radiance=dim * surround.radiance + surround_of_lights(in_map).radiance,
    )


def _with_fill(surround: Surround, share: float) -> Surround:
    """Add what clothes and ground near by send back of the lamps' light, from below."""
    bounce = share * surround.lamps.colours.sum(axis=0)
    harmonics = surround.harmonics.copy()
    harmonics[0] += bounce
    harmonics[1] -= 0.5 * bounce
    return replace(surround, harmonics=harmonics)
