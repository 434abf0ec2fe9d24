"""How pixels are coded: linear in light, as sessions are rendered, or sRGB, as photos are."""

from collections.abc import Mapping
from typing import Any, Final

from torch import Tensor

from facegeo.geometry.light import to_linear

CODINGS: Final = ("linear", "srgb")
GENERATED: Final = "generated sessions"
"""In the title of data that were linear in light before notes told codings."""


def trained_coding(notes: Mapping[str, Any]) -> str | None:
    """Coding of the pixels that a model was trained on; None: unknown.

    Args:
        notes: The model's. Where they tell no coding, that of generated sessions is known.
    """
    older = "linear" if GENERATED in str(notes.get("data")) else None
    coding: str | None = notes.get("coding", older)
    return coding


def as_trained(photos: Tensor, coding: str | None) -> Tensor:
    """Code photos as a model knows them.

    Args:
        photos: sRGB values in [0, 1], any shape.
        coding: What the model was trained on; None, as "srgb", leaves photos as they are.

    Returns:
        Same shape.
    """
    return to_linear(photos) if coding == "linear" else photos
