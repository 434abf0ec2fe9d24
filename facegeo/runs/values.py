"""Whether the values of a configuration are of the types that its objects take.

Hydra hands on whatever was typed, so that ``data.batch_size=abc`` would end in the middle of
some code, and an optimizer's mistake in the middle of a training.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator, Mapping
from types import NoneType
from typing import Any, get_args

from hydra.utils import get_object
from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.errors import PydanticUserError
from pydantic_core import SchemaError

from facegeo.errors import UserError

OBJECT = "needs_python_object"
"""How pydantic calls what it can not tell of JSON: whether it is of a class."""
WORDS = {
    OBJECT: "an object",
    "bool_type": "true or false",
    "dict_type": "{KEY: VALUE}",
    "float_type": "a number",
    "int_type": "a whole number",
    "list_type": "a list",
    "string_type": "text",
    "tuple_type": "a list",
}
OWN_OBJECTS = ConfigDict(arbitrary_types_allowed=True)


def check_values(config: Mapping[str, Any]) -> None:
    """See that every argument of every object to build is of the type that is annotated.

    What is not annotated, or is an object to build itself, is left to the object.

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
        if name in hints and (wanted := _wanted(value, hints[name])):
            yield f"{inner} must be {wanted}, got {value!r}"
        yield from _mistakes(value, inner)


def _hints(target: object) -> dict[str, Any]:
    """Types of the named arguments of what ``target`` names, as far as they are known."""
    try:
        parameters = inspect.signature(get_object(str(target)), eval_str=True).parameters.values()
        return {
            one.name: one.annotation if one.default is not None else one.annotation | None
            for one in parameters
            if one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY)
            and one.annotation is not one.empty
        }
    except Exception:  # of an object that Hydra will tell of, or with odd annotations
        return {}


def _wanted(value: object, hint: Any) -> str:  # noqa: ANN401
    """What a value should be that it is not, in words; empty if it may stand."""
    text = json.dumps(value)
    if "_target_" in text:
        return ""
    try:
        TypeAdapter(hint, config=OWN_OBJECTS).validate_json(text, strict=True)
    except (PydanticUserError, SchemaError):  # a type that can not be asked
        return WORDS[OBJECT] if value is None and NoneType not in get_args(hint) else ""
    except ValidationError as error:
        faults = error.errors(include_url=False)
        if isinstance(value, str | Mapping) and all(fault["type"] == OBJECT for fault in faults):
            return ""  # words and keys may stand for an object, as "cuda" does for a device
        told = (WORDS.get(f["type"], f["msg"].removeprefix("Input should be ")) for f in faults)
        return " or ".join(dict.fromkeys(told))
    return ""
