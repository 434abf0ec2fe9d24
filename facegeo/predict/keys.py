"""Numbers that a user types."""

import math

from facegeo.errors import UserError


def check_number(
    name: str, value: object, low: float, high: float = math.inf, *, whole: bool = False
) -> None:
    """Raise unless a key holds a number in a range; words, truth values and NaN are none.

    Args:
        name: Of the key.
        value: As it was typed.
        low: Least number.
        high: Greatest number.
        whole: Whether it must be a whole number.

    Raises:
        UserError: If it is something else.
    """
    fits = isinstance(value, int | float) and low <= value <= high
    if not fits or isinstance(value, bool) or (whole and not isinstance(value, int)):
        kind = "a whole number" if whole else "a number"
        wanted = f"of {low:g} or more" if high == math.inf else f"from {low:g} to {high:g}"
        raise UserError(f"{name} must be {kind} {wanted}, got {value!r}")
