"""What each pixel of a portrait shows, as numbers in a label map."""

from collections.abc import Sequence
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from facegeo.rendering.head_model import Part
from facegeo.rendering.render import Render

IN_MOUTH = (Part.MOUTH, Part.TONGUE, Part.TEETH)
RED = 0.5
"""Share of the lips' red above which skin counts as lips."""


class Label(IntEnum):
    """Value of a pixel; ``SKIN`` is the face proper, brows included, ``REST`` all other skin."""

    BACKGROUND = 0
    SKIN = 1
    EYES = 2
    LIPS = 3
    MOUTH = 4
    HAIR = 5
    REST = 6
    CLOTH = 7


NOTE = (
    "0 background, 1 skin of the face with brows, 2 eyes with the rims of their lids, 3 lips, "
    "4 inside of the mouth with teeth and tongue, 5 hair, 6 ears, neck and scalp, 7 clothes"
)


def label_map(render: Render) -> NDArray[np.uint8]:
    """Return the ``Label`` of each pixel, shape (H, W).

    Raises:
        ValueError: If the render does not record lips.
    """
    if render.lips is None:
        raise ValueError("render.lips must be recorded for a label map, got None")
    labels = np.full(render.parts.shape, Label.BACKGROUND, dtype=np.uint8)
    labels[render.parts == Part.SKIN] = Label.REST
    labels[render.mask] = Label.SKIN
    labels[(render.parts == Part.SKIN) & (render.lips > RED)] = Label.LIPS
    labels[render.parts == Part.EYE] = Label.EYES
    labels[np.isin(render.parts, IN_MOUTH)] = Label.MOUTH
    labels[render.parts == Part.HAIR] = Label.HAIR
    labels[render.parts == Part.CLOTH] = Label.CLOTH
    return labels


def masked(labels: NDArray[np.uint8], names: Sequence[str]) -> NDArray[np.bool_]:
    """Return where a label map has one of the named labels, of ``order.MASKED``; shape (H, W)."""
    wanted = [Label[name.upper()] for name in names]
    return np.isin(labels, wanted)
