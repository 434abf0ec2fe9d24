"""A command's help text, read from its config files and their comments."""

from collections.abc import Sequence
from pathlib import Path


def help_text(program: str, about: str, examples: Sequence[str], config: Path) -> str:
    """Return what ``--help`` prints."""
    return "\n".join([f"{program}: {about}", *examples])
