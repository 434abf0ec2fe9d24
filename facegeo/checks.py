"""Guards at the edge of a public function: shapes that belong together, values as annotated."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from contextlib import suppress
from dataclasses import is_dataclass
from functools import cache, wraps
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, get_type_hints

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError, validate_call
from pydantic.errors import PydanticUserError
from torch import Tensor

from facegeo.errors import UserError, wanted_values

if TYPE_CHECKING:
    from numpy.typing import NDArray

checked_call = validate_call(config=ConfigDict(arbitrary_types_allowed=True))
"""Decorator of functions with configured arguments: raises ``pydantic.ValidationError``, a
``ValueError`` that names all arguments that are not as annotated. Commands check the same
annotations for all objects of a configuration before they build any (``facegeo.runs.jobs``)."""


def check_shape(
    name: str, value: Tensor | NDArray[Any], *wanted: int | str, sizes: dict[str, int] | None = None
) -> None:
    """Raise unless ``value`` has the wanted shape; equal letters are equal sizes.

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
        value: Tensor or array of any shape and type.
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
        tied = sizes or {}
        shape = ", ".join(str(tied.get(w, w) if isinstance(w, str) else w) for w in wanted)
        comma = "," if len(wanted) == 1 else ""
        raise ValueError(f"{name} must have shape ({shape}{comma}), got {tuple(value.shape)}")
    if sizes is not None:
        sizes.update(known)


def check_range(name: str, value: float, low: float, high: float = math.inf) -> None:
    """Raise unless ``low <= value <= high``; NaN is never in range.

    Raises:
        ValueError: If ``value`` lies outside.
    """
    if not low <= value <= high:
        raise ValueError(f"{name} must be in [{low:g}, {high:g}], got {value:g}")


Share = Annotated[float, Field(ge=0, le=1)]
"""A configured share, from 0 to 1."""
Count = Annotated[int, Field(ge=1)]
"""A configured number of things, 1 or more."""
Class = TypeVar("Class", bound=type)
STRICT = ConfigDict(strict=True, arbitrary_types_allowed=True)
"""Words are not taken for numbers, nor true and false; whole numbers are taken for numbers."""


def checked(*, prefix: str, strict: bool = False) -> Callable[[Class], Class]:
    """Check the arguments of a configured class against their annotations, by pydantic.

    Values pass through as they are; configurations are checked in the same way before anything
    is built (``facegeo.runs.jobs``).

    >>> @checked(prefix="data.view.")
    ... class View:
    ...     def __init__(self, flip: Share, size: Count = 1) -> None: ...
    >>> View(2, 0)
    Traceback (most recent call last):
    facegeo.errors.UserError: data.view.flip must be less than or equal to 1, got 2; \
data.view.size must be greater than or equal to 1, got 0

    Args:
        prefix: What precedes an argument's name in a configuration.
        strict: Take no words for numbers and no lists for tuples.
    """

    def decorate(cls: Class) -> Class:
        init: Callable[..., None] = vars(cls)["__init__"]

        @wraps(init)
        def check_then_init(self: object, *args: Any, **kwargs: Any) -> None:
            given = _given(init, prefix, self, *args, **kwargs)
            mistakes = [
                f"{prefix}{name} must {wanted}, got {given[name]!r}"
                for name, hint in _hints(cls if is_dataclass(cls) else init, strict).items()
                if name in given and (wanted := _wanted(hint, given[name]))
            ]
            if mistakes:
                raise UserError("; ".join(mistakes))
            init(self, *args, **kwargs)

        setattr(cls, "__init__", check_then_init)  # noqa: B010  mypy wants no assignment
        return cls

    return decorate


def _given(init: Callable[..., None], prefix: str, *args: Any, **kwargs: Any) -> dict[str, Any]:
    """Arguments by name; raise ``UserError`` if one is missing or unknown."""
    signature = inspect.signature(init)
    try:
        return signature.bind(*args, **kwargs).arguments
    except TypeError as error:
        parameters = signature.parameters
        given = {*[*parameters][: len(args)], *kwargs}
        needed = [name for name, one in parameters.items() if one.default is one.empty]
        mistakes = [f"there is no key {prefix}{name}" for name in kwargs if name not in parameters]
        mistakes += [f"{prefix}{name} is missing" for name in needed if name not in given]
        raise UserError("; ".join(mistakes) or str(error)) from error


@cache
def _hints(
    annotated: type | Callable[..., None], strict: bool = False
) -> dict[str, TypeAdapter[Any]]:
    """Annotations of a dataclass or an ``__init__``, except those that pydantic does not know."""
    found = {}
    for name, hint in get_type_hints(annotated, include_extras=True).items():
        with suppress(PydanticUserError):
            found[name] = TypeAdapter(hint, config=STRICT) if strict else TypeAdapter(hint)
    return found


def _wanted(hint: TypeAdapter[Any], value: object) -> str:
    """The requirement that a value violates; empty if it fits."""
    try:
        hint.validate_python(value)
    except ValidationError as error:
        return wanted_values(error.errors())
    return ""
