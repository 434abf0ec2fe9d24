"""Draw what portraits have beyond ``look.py``: relief of the skin, framing, surrounding light."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import warp as wp

from facegeo.files.places import MARGIN, five_point_outline
from facegeo.rendering.boxes import Box, seen_box
from facegeo.rendering.bust import Hair
from facegeo.rendering.environment import (
    LUMINANCE,
    SplitMap,
    Surround,
    shading_of,
    split_map,
    surround_of,
    surround_of_lights,
)
from facegeo.rendering.head_model import Floats, Head
from facegeo.rendering.light_files import read_lights
from facegeo.rendering.look import BALD, draw_expression, draw_hair, draw_look
from facegeo.rendering.relief import Relief
from facegeo.rendering.scene import Camera, draw_lights, rotation_matrix
from facegeo.rendering.shading import Look

MIDDLE_STD, SIDE_STD = 0.025, 0.045
"""Spread of the picture's middle and side, in sides: about what found points add to both."""
KEY_SHARE = 0.35
"""Share of the pictures lit by a map that have a photographer's lamp besides."""
FACING = np.array(
    [(0, 0, 1), (-0.6, 0, 0.8), (0.6, 0, 0.8), (0, 0.6, 0.8), (0, -0.4, 0.917)], dtype=np.float32
)
"""Normals of a face that looks at the camera, by which maps are exposed."""


def frame_portrait(
    rng: np.random.Generator, head: Head, rotation: Floats, distance: float, size: int
) -> tuple[Camera, Box]:
    """Choose focal length and crop as ``facegeo-predict`` cuts faces out for normals.

    That is the square of ``five_point_outline`` about the five points, a little off.

    Args:
        rng: Decides how far the square is off.
        head: Whose points.
        rotation: Of the head.
        distance: From the camera, cm.
        size: Side of the picture in pixels.

    Returns:
        The camera, and the face's box, see ``boxes.frame_head``, which the picture surrounds.
    """
    middle, side = seen_box(rng, head, rotation, distance)
    points = Camera(1.0, (0.0, 0.0), distance, rotation).project(head.points)
    low, high = five_point_outline(points.astype(np.float64))
    square = MARGIN * float((high - low).max()) * float(np.exp(rng.normal(0, SIDE_STD)))
    centre_of_square = (low + high) / 2 + square * rng.normal(0, MIDDLE_STD, 2)
    focal = size / square
    centre = (size - 1) / 2 - focal * centre_of_square
    camera = Camera(focal, (float(centre[0]), float(centre[1])), distance, rotation)
    left, top = focal * (middle - side / 2) + centre
    return camera, Box(float(left), float(top), focal * side)


def draw_relief(
    rng: np.random.Generator, expression: Mapping[str, float], seed: int, pixel: float
) -> Relief:
    """Draw how uneven and wrinkled a skin is; expressions deepen their own wrinkles.

    Args:
        rng: Decides.
        expression: ARKit actions.
        seed: Of the noise.
        pixel: Width of a pixel on the face, eye distances.
    """

    def both(name: str) -> float:
        return (expression.get(f"{name}Left", 0.0) + expression.get(f"{name}Right", 0.0)) / 2

    age = float(rng.beta(1.2, 1.7))
    lines = 0.04 + 0.7 * age**1.3
    relief = Relief()
    relief.seed, relief.pixel = wp.uint32(seed), pixel
    relief.uneven = rng.uniform(0.008, 0.028) * (1 + age)
    relief.grain = rng.uniform(0.008, 0.036) * (1 + age)
    relief.pores = rng.uniform(0.02, 0.12)
    relief.lips = rng.uniform(0.03, 0.16)
    raised = max(expression.get("browInnerUp", 0.0), both("browOuterUp"))
    relief.forehead = lines * rng.uniform(0.2, 0.9) * (0.5 + 1.5 * raised)
    relief.glabella = lines * rng.uniform(0.1, 0.8) * (0.4 + 1.5 * both("browDown"))
    squint = max(both("eyeSquint"), both("cheekSquint"))
    relief.crow = lines * rng.uniform(0.1, 0.8) * (0.4 + 1.5 * squint)
    relief.fold = (0.05 + 0.5 * lines) * rng.uniform(0.4, 1.3) * (0.6 + 1.2 * both("mouthSmile"))
    relief.lids = (0.05 + 0.4 * lines) * rng.uniform(0.2, 1.2)
    return relief


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


def draw_portrait_look(rng: np.random.Generator) -> tuple[Hair, dict[str, float], Look]:
    """Draw hair, expression and look as ``look.py`` does, a little nearer to photographs.

    Eyes open less wide, hair begins lower, brows are fuller, skin is less even and stubble softer.
    """
    hair, expression = draw_hair(rng), draw_expression(rng)
    if hair.hairline_deg < BALD:
        hair = replace(hair, hairline_deg=max(-16.0, hair.hairline_deg - 5.0))
    lid = float(rng.uniform(0.03, 0.24))
    for side in ("Left", "Right"):
        expression[f"eyeBlink{side}"] = max(lid, expression[f"eyeBlink{side}"])
        expression[f"eyeWide{side}"] *= 0.5
    look = draw_look(rng, hair)
    look.mottling *= 1.3
    look.pores *= 1.3
    look.stubble *= 0.6
    look.beard *= float(rng.uniform(0, 0.9))
    look.brow *= 1.15
    look.brow_width *= 1.2
    return hair, expression, look
