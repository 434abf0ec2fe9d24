"""Whether the values of a configuration are of the types that its objects take.

Hydra hands on whatever was typed, so that ``data.batch_size=abc`` would end in the middle of
some code, and an optimizer's mistake in the middle of a training.
"""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Annotated, Any, Literal, Union, get_args, get_origin, is_typeddict

from hydra.utils import get_object
from torch import Tensor, nn

from facegeo.errors import UserError

NAMES = {
    bool: "true or false",
    float: "a number",
    int: "a whole number",
    str: "text",
    types.NoneType: "null",
}
UNIONS = (Union, types.UnionType)


def check_values(config: Mapping[str, Any]) -> None:
    """See that every argument of every object to build is of a type that is annotated.

    What is not annotated, or by what this does not know, is left to the object.

    Args:
        config: Plain and resolved, with objects as ``_target_``.

    Raises:
        UserError: Naming all keys whose values are not.
    """
    mistakes = list(_mistakes(config, ""))
    if mistakes:
        raise UserError("; ".join(mistakes))


def _mistakes(node: object, key: str) -> Iterator[str]:
    if isinstance(node, list):
        for number, value in enumerate(node):
            yield from _mistakes(value, f"{key}[{number}]")
    if not isinstance(node, Mapping):
        return
    hints = _hints(node["_target_"]) if "_target_" in node else {}
    for name, value in node.items():
        inner = f"{key}.{name}" if key else str(name)
        if name in hints and not fits(value, hints[name]):
            yield f"{inner} must be {described(hints[name])}, got {value!r}"
        yield from _mistakes(value, inner)


def _hints(target: object) -> dict[str, Any]:
    """Types of the arguments of what ``target`` names, as far as they are known."""
    try:
        made = get_object(str(target))
        parameters = inspect.signature(made).parameters.values()
    except Exception:  # Hydra tells of it when it builds the object
        return {}
    maker = inspect.unwrap(made.__init__ if inspect.isclass(made) else made)
    known = getattr(maker, "__globals__", {})
    hints = {}
    for one in parameters:
        named = one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY)
        hint = _evaluated(one.annotation, known)
        if named and hint is not one.empty:
            hints[one.name] = Union[hint, None] if one.default is None else hint  # noqa: UP007
    return hints


def _evaluated(hint: Any, known: dict[str, Any]) -> Any:  # noqa: ANN401
    """An annotation that stands as text, evaluated; ``inspect.Parameter.empty`` if it can not."""
    if not isinstance(hint, str):
        return hint
    with suppress(Exception):  # a name that only type checkers import
        return eval(hint, {**known})
    return inspect.Parameter.empty


def fits(value: object, hint: Any) -> bool:  # noqa: ANN401
    """Whether a plain value may be given where a type is annotated; in doubt it may.

    >>> fits(3, float), fits("3", float), fits(None, int | None), fits([1, "a"], list[int])
    (True, False, True, False)
    """
    origin, inner = get_origin(hint), get_args(hint)
    if origin in UNIONS:
        return any(fits(value, one) for one in inner)
    if origin is Literal:
        return value in inner
    if origin is Annotated:
        return fits(value, inner[0])
    kind = types.NoneType if hint is None else origin or hint
    built = isinstance(value, Mapping) and "_target_" in value
    if kind is Any or not isinstance(kind, type) or built:
        return True
    return _is_a(value, dict if is_typeddict(kind) else kind) and _holds(value, inner)


def _is_a(value: object, kind: type) -> bool:
    if isinstance(value, bool):
        return kind in (bool, object)
    if isinstance(value, str):
        return issubclass(kind, str) or kind is object or not _takes_no_text(kind)
    with suppress(TypeError):  # some classes can not be asked
        if isinstance(value, kind):
            return True
    if isinstance(value, int):
        return kind in (float, complex) or (kind is bool and value in (0, 1))
    if isinstance(value, list):
        return _is_list(kind)
    return isinstance(value, Mapping) and not _takes_no_text(kind)


def _takes_no_text(kind: type) -> bool:
    """Whether neither text nor keys can stand for such an object, as they can for a device."""
    if getattr(kind, "_is_protocol", False):
        return True
    return kind in NAMES or issubclass(kind, Iterable | Callable | nn.Module)


def _is_list(kind: type) -> bool:
    return issubclass(kind, Iterable) and not issubclass(kind, str | Mapping | Tensor | nn.Module)


def _holds(value: object, inner: tuple[Any, ...]) -> bool:
    """Whether each value of a list or of keys is of the type annotated in brackets."""
    if isinstance(value, Mapping) and len(inner) == 2:
        return all(fits(one, inner[1]) for one in value.values())
    if not isinstance(value, list) or not inner:
        return True
    if len(inner) == 1 or inner[1:] == (Ellipsis,):
        return all(fits(one, inner[0]) for one in value)
    return len(value) == len(inner) and all(map(fits, value, inner))


def described(hint: Any) -> str:  # noqa: ANN401
    """A type in words.

    >>> described(int | None), described(dict[str, int])
    ('a whole number or null', 'keys {KEY: VALUE}, each a whole number')
    """
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (*UNIONS, Literal):
        words = dict.fromkeys(described(one) if origin in UNIONS else str(one) for one in inner)
        return " or ".join(words)
    if hint in NAMES:
        return NAMES[hint]
    kind = origin or hint
    if isinstance(kind, type) and issubclass(kind, Mapping):
        return f"keys {{KEY: VALUE}}{f', each {described(inner[1])}' if inner else ''}"
    if isinstance(kind, type) and _is_list(kind):
        return f"a list{f', each {described(inner[0])}' if inner else ''}"
    return f"an object ({getattr(kind, '__name__', kind)})"
