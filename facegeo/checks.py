"""Guards at the edge of a public function: shapes that belong together, values as annotated."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from pydantic import ConfigDict, validate_call
from torch import Tensor

if TYPE_CHECKING:
    from numpy.typing import NDArray

checked = validate_call(config=ConfigDict(arbitrary_types_allowed=True))
"""Decorator of functions with configured arguments: raises ``pydantic.ValidationError``, a
``ValueError`` that names all arguments that are not as annotated. Commands check the same
annotations for all objects of a configuration before they build any (``facegeo.runs.values``)."""


def check_shape(
    name: str, value: Tensor | NDArray[Any], *wanted: int | str, sizes: dict[str, int] | None = None
) -> None:
    """Raise unless ``value`` has the wanted shape; a letter stands for any size, but one size.

    >>> import torch
    >>> sizes: dict[str, int] = {}
    >>> check_shape("pred", torch.zeros(4, 5, 2), "B", 5, 2, sizes=sizes)
    >>> sizes
    {'B': 4}
    >>> check_shape("target", torch.zeros(3, 5, 2), "B", 5, 2, sizes=sizes)
    Traceback (most recent call last):
    ValueError: target must have shape (4, 5, 2), got (3, 5, 2)

    Args:
        name: The argument as the caller knows it.
        value: The tensor or array to look at, any shape and type.
        wanted: One entry a dimension: a number, or a letter such as ``"B"``.
        sizes: Sizes of the letters met so far. Hand the same dict to every check of a function
            to tie its arguments together; sizes of new letters are added. Without it, letters
            are tied within this one shape only.

    Raises:
        ValueError: If the number of dimensions or any size differs.
    """
    known = dict(sizes or {})
    fits = value.ndim == len(wanted)
    for size, want in zip(value.shape, wanted, strict=False):
        expected = known.setdefault(want, size) if isinstance(want, str) else want
        fits = fits and size == expected
    if not fits:
        said = sizes or {}
        shape = ", ".join(str(said.get(w, w) if isinstance(w, str) else w) for w in wanted)
        comma = "," if len(wanted) == 1 else ""
        raise ValueError(f"{name} must have shape ({shape}{comma}), got {tuple(value.shape)}")
    if sizes is not None:
        sizes.update(known)


def check_range(name: str, value: float, low: float, high: float = math.inf) -> None:
    """Raise unless ``low <= value <= high``; NaN is never in range.

    Args:
        name: The argument as the caller knows it.
        value: The number to look at.
        low: Least allowed value.
        high: Greatest allowed value.

    Raises:
        ValueError: If ``value`` lies outside.
    """
    if not low <= value <= high:
        raise ValueError(f"{name} must be in [{low:g}, {high:g}], got {value:g}")
