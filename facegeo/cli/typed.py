"""Words that a user types for a key of a command."""

from facegeo.errors import UserError


def word(key: str, value: object, what: str) -> str:
    """Return the value of a key that is one word.

    Args:
        key: Of the command.
        value: As it was typed.
        what: What the word is to be, for the message.

    Raises:
        UserError: If it is none: a number must stand in quotes.
    """
    if not isinstance(value, str) or not value:
        raise UserError(f"{key} must be {what} (a number in quotes), got {value!r}")
    return value


def words(key: str, value: object, what: str) -> list[str]:
    """Return the value of a key that is a word or a list of words, as a list.

    Raises:
        UserError: If it is neither; as ``word``.
    """
    if isinstance(value, str):
        value = [value]
    if not isinstance(value, list | tuple):
        raise UserError(
            f"{key} must be {what} (a number in quotes), or a list {key}=[A,B], got {value!r}"
        )
    return [word(f"each of {key}", one, what) for one in value]
