"""Guards at the edge of public functions: shapes, ranges, configured values."""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import ConfigDict, TypeAdapter, ValidationError, validate_call
from torch import Tensor

from facegeo.errors import UserError

if TYPE_CHECKING:
    from numpy.typing import NDArray


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


Class = TypeVar("Class", bound=type[Any])
STRICT = ConfigDict(strict=True, arbitrary_types_allowed=True)
"""Words are not taken for numbers, nor true and false; whole numbers are taken for numbers."""


def configured(prefix: str = "") -> Callable[[Class], Class]:
    """Check what a class is built with against the types of its ``__init__``, by pydantic.

    Bounds belong to the types: ``Annotated[int, Field(ge=1)]``.

    Args:
        prefix: Of the keys in messages, such as ``"detector."``.

    Returns:
        A decorator of classes; building one raises ``UserError``, which names all wrong keys.
    """

    def decorate(made: Class) -> Class:
        plain = made.__init__
        checked = validate_call(config=STRICT)(plain)
        names = list(inspect.signature(plain).parameters)

        @functools.wraps(plain)
        def build(*args: Any, **kwargs: Any) -> None:
            try:
                checked(*args, **kwargs)
            except ValidationError as error:
                raise UserError(mistakes(error, prefix, names)) from error

        made.__init__ = build
        return made

    return decorate


def check_value(key: str, value: object, hint: Any) -> None:  # noqa: ANN401
    """Raise ``UserError`` unless a value is of a type, such as ``Annotated[int, Field(ge=1)]``.

    Args:
        key: Of the configuration, for the message.
        value: As it was typed.
        hint: The type, bounds included.
    """
    try:
        TypeAdapter(hint, config=STRICT).validate_python(value)
    except ValidationError as error:
        raise UserError(mistakes(error, key)) from error


def mistakes(error: ValidationError, prefix: str = "", names: Sequence[str] = ()) -> str:
    """Return the mistakes that pydantic found: key, wanted and got of each.

    Args:
        error: Raised by pydantic.
        prefix: Put before each key.
        names: Of positional arguments.
    """
    lines = []
    for fault in error.errors(include_url=False):
        place = [names[part] if names and isinstance(part, int) else part for part in fault["loc"]]
        key = prefix + ".".join(map(str, place))
        wanted, got = fault["msg"], fault["input"]
        if fault["type"] == "missing_argument":
            lines.append(f"{key} is missing")
        elif fault["type"] == "unexpected_keyword_argument":
            lines.append(f"there is no key {key}")
        else:
            lines.append(f"{key} must be {wanted.removeprefix('Input should be ')}, got {got!r}")
    return "; ".join(lines)
