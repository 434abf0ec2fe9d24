"""The output's folder: what was written there is known, and nothing else is ever replaced."""

import re
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from facegeo.errors import UserError
from facegeo.folder_lock import LOCK, TakenError, locked
from facegeo.whole_file import write_whole

RECORD = ".facegeo-predict"
"""Names of all files of ours, one a line; a name is told before its file is written."""
FIRST = "facegeo-predict wrote these files, and replaces no others:"


class OutputFolder:
    """Writes files below one folder; see ``open_output``."""

    def __init__(self, root: Path) -> None:
        self.root, self._now = root, set[str]()
        self._ours = set(_names(root / RECORD) or ())

    def claim(self, name: str) -> Path:
        """Return where a file may be written; its folder is made.

        Args:
            name: Relative to the folder, with ``/``.

        Raises:
            UserError: If the file is somebody else's, or its path leaves the folder.
        """
        path = self.root / name
        if not path.parent.resolve().is_relative_to(self.root.resolve()):
            raise UserError(f"{path} lies outside {self.root}, through a link or '..'; remove it")
        if name not in self._ours:
            if path.exists() or path.is_symlink():
                raise UserError(
                    f"{path} was not written by facegeo-predict, which replaces no other file; "
                    "choose another output folder"
                )
            if "\n" in name:
                raise UserError(f"{name!r}: wanted a file name of one line")
            _add_line(self.root / RECORD, name)
            self._ours.add(name)
        self._now.add(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def write(self, name: str, content: str | bytes) -> Path:
        """Write a file, whole or not at all, where ``claim`` allows it."""
        path = self.claim(name)
        write_whole(path, content)
        return path

    def drop_stale(self, names: Collection[str]) -> None:
        """Remove what an earlier run wrote and this one did not.

        Args:
            names: Of files of ours, or what these begin with before a dot; others stay.
        """
        for name in self._ours - self._now:
            starts = {name, *(name[: dot.start()] for dot in re.finditer(r"\.", name))}
            if not starts.isdisjoint(names):
                (self.root / name).unlink(missing_ok=True)


@contextmanager
def open_output(root: Path) -> Iterator[OutputFolder]:
    """Hold a folder for this process: a new one, an empty one, or one written before.

    Raises:
        UserError: If it is a file, holds files of others, or another process writes to it.
    """
    if root.exists() and not root.is_dir():
        raise UserError(f"output={root} must be a folder, found a file; choose another")
    held = {path.name for path in root.iterdir()} - {LOCK} if root.is_dir() else set()
    if held and _names(root / RECORD) is None:
        raise UserError(
            f"output={root} must be new, empty or written by facegeo-predict, but it holds other "
            "files; choose another folder"
        )
    root.mkdir(parents=True, exist_ok=True)
    try:
        with locked(root / LOCK):
            if not _names(root / RECORD):
                _add_line(root / RECORD, FIRST)
            yield OutputFolder(root)
    except TakenError as error:
        raise UserError(f"output={root}: {error} writes there; wait or choose another") from error


def is_output(folder: Path) -> bool:
    """Whether a folder holds what ``facegeo-predict`` wrote."""
    return _names(folder / RECORD) is not None


def _names(record: Path) -> list[str] | None:
    """Lines of a record, empty if a process was killed as it began; None if it is not ours."""
    if not record.is_file():
        return None
    lines = record.read_bytes().decode("utf-8", "surrogateescape").split("\n")[:-1]
    return lines if lines[:1] in ([], [FIRST]) else None


def _add_line(record: Path, line: str) -> None:
    with record.open("ab") as file:
        file.write(f"{line}\n".encode("utf-8", "surrogateescape"))
