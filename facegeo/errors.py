"""The one kind of error that the user can correct, and the words for mistaken values."""

import re
from collections.abc import Iterable, Mapping
from typing import Any


class UserError(ValueError):
    """A mistake in data, configuration or command line that the user can correct.

    Commands show its text only and end with exit code 2; every other exception is a bug and keeps
    its traceback. The text names the file, line or key, the wanted and the given value, and what
    to do.
    """


WORDS = {
    "bool_type": "true or false",
    "dict_type": "{KEY: VALUE}",
    "dataclass_type": "{KEY: VALUE}",
    "float_type": "a number",
    "int_type": "a whole number",
    "list_type": "a list",
    "string_type": "text",
    "tuple_type": "a list",
    "needs_python_object": "an object",
}
"""Types of values by pydantic's types of errors."""


def wanted_values(errors: Iterable[Mapping[str, Any]]) -> str:
    """Return what one value must be, such as "be a number or text" or "have at least 1 item".

    Args:
        errors: Of pydantic: ``ValidationError.errors()``.
    """
    return " or ".join(dict.fromkeys(map(_reason, errors))).replace(" or be ", " or ")


def mistaken_values(errors: Iterable[Mapping[str, Any]], prefix: str = "") -> str:
    """Return one line that names all mistaken keys, the wanted and the given values.

    >>> from pydantic import TypeAdapter, ValidationError
    >>> try:
    ...     TypeAdapter(dict[str, list[int]]).validate_python({"batches": [1, "x"], "threads": 2})
    ... except ValidationError as error:
    ...     mistaken_values(error.errors())
    "batches[1] must be a valid integer, unable to parse string as an integer, got 'x'; threads must be a list, got 2"

    Args:
        errors: Of pydantic: ``ValidationError.errors()``.
        prefix: Key of the object that holds the values.
    """  # noqa: E501
    return "; ".join(dict.fromkeys(_mistake(error, prefix) for error in errors))


def _mistake(error: Mapping[str, Any], prefix: str) -> str:
    steps = [f"[{step}]" if isinstance(step, int) else f".{step}" for step in error["loc"]]
    key = "".join([prefix, *steps]).removeprefix(".")
    kind, text = error["type"], str(error["msg"])
    if kind == "value_error":  # its text is complete
        return str(error.get("ctx", {}).get("error", text))
    if kind in ("missing", "missing_argument"):
        return f"{key} is missing: add {key}=..."
    if kind in ("extra_forbidden", "unexpected_keyword_argument"):
        return f"there is no key {key}"
    return f"{key} must {_reason(error)}, got {error['input']!r}"


def _reason(error: Mapping[str, Any]) -> str:
    if error["type"] in WORDS:
        return f"be {WORDS[error['type']]}"
    text = re.sub(r"^\w+ should ", "", str(error["msg"])).replace(" after validation", "")
    return text if text.startswith(("be ", "have ")) else f"be {text}"
