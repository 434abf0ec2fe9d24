"""Lights as data: distant, near and from everywhere, single or combined, and named ones.

Frame: x right in the image, y up, z to the camera. A light is a tuple of sources, whose light adds.
Strengths are such that 1 shades a surface that looks at the source with 1; colours are linear.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from facegeo.errors import UserError
from facegeo.geometry.light import LIGHTS

Vector = tuple[float, float, float]
WHITE: Final = (1.0, 1.0, 1.0)


@dataclass(frozen=True)
class Distant:
    """A light so far away that it comes from one direction.

    Attributes:
        towards: Direction to it; its length does not matter.
        colour: Strength in red, green and blue.
    """

    towards: Vector
    colour: Vector = WHITE


@dataclass(frozen=True)
class Near:
    """A small lamp; its light falls with the square of the distance.

    Attributes:
        place: Where it is, in widths of the picture; the origin is the picture's middle at the
            mean depth of the face.
        colour: Strength at the origin.
    """

    place: Vector
    colour: Vector = WHITE


@dataclass(frozen=True)
class Surround:
    """Light from everywhere, in spherical harmonics to second order.

    Attributes:
        coefficients: Nine, in order and scale of ``facegeo.geometry.light``.
        colour: What all of them are multiplied with.
    """

    coefficients: tuple[float, ...]
    colour: Vector = WHITE


Source = Distant | Near | Surround
Light = tuple[Source, ...]

EVEN: Final = (math.sqrt(4 * math.pi), *(0.0,) * 8)
"""Radiance 1 from everywhere, which shades everything with 1."""
OVERCAST: Final = (1.8737, 1.2280, 0.0, 0.0, 0.0, 0.0, -0.2123, 0.0, -0.3678)
"""A sky of radiance 3/7 (1 + 2 sin elevation), as CIE's overcast one, above ground that sends back
a fifth of its light; what looks up is shaded with 1."""

PRESETS: Final[Mapping[str, Light]] = MappingProxyType(
    {name: (Distant(towards),) for name, towards in LIGHTS.items()}
    | {
        "lamp": (Near((0.35, 0.25, 0.55), (0.6, 0.6, 0.6)), Surround(EVEN, (0.05, 0.05, 0.05))),
        "overcast": (Surround(OVERCAST),),
        "studio": (
            Distant((-0.6, 0.5, 0.7), (0.85, 0.83, 0.8)),
            Distant((0.8, 0.1, 0.5), (0.25, 0.27, 0.3)),
            Surround(EVEN, (0.1, 0.1, 0.1)),
        ),
        "sunset": (
            Distant((0.85, 0.15, 0.4), (1.0, 0.62, 0.32)),
            Surround(OVERCAST, (0.16, 0.2, 0.3)),
        ),
    }
)


def find_light(name: str) -> Light:
    """Return a light by its name.

    Raises:
        UserError: If no such light exists; lists those that do.
    """
    if name not in PRESETS:
        raise UserError(f"light must be one of {', '.join(PRESETS)}; got {name!r}")
    return PRESETS[name]


def turning(count: int, slant_deg: float = 45.0) -> list[Light]:
    """Lights that go round the camera's axis once, clockwise as seen, beginning above.

    Args:
        count: Lights.
        slant_deg: Angle between them and the axis.

    Returns:
        Each a distant light of strength 1 and a little light from everywhere.
    """
    slant = math.radians(slant_deg)
    angles = [2 * math.pi * number / count for number in range(count)]
    ring = [(math.sin(slant) * math.sin(a), math.sin(slant) * math.cos(a)) for a in angles]
    dim = Surround(EVEN, (0.06, 0.06, 0.06))
    return [(Distant((x, y, math.cos(slant))), dim) for x, y in ring]
