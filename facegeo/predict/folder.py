"""The output's folder: what was written there is known, and nothing else is ever replaced."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from facegeo.errors import UserError
from facegeo.folder_lock import LOCK, TakenError, locked
from facegeo.whole_file import write_whole

WRITTEN = "written.txt"
"""Names of all files of ours, one a line; a name is told before its file is written."""


class OutputFolder:
    """Writes files below one folder; see ``open_output``."""

    def __init__(self, root: Path) -> None:
        self.root = root
        record = root / WRITTEN
        self._ours = (
            set(record.read_text("utf-8", "surrogateescape").splitlines())
            if record.is_file()
            else set()
        )

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
            with (self.root / WRITTEN).open(
                "a", encoding="utf-8", errors="surrogateescape"
            ) as file:
                file.write(f"{name}\n")
            self._ours.add(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def write(self, name: str, content: str | bytes) -> Path:
        """Write a file, whole or not at all, where ``claim`` allows it."""
        path = self.claim(name)
        write_whole(path, content)
        return path


@contextmanager
def open_output(root: Path) -> Iterator[OutputFolder]:
    """Hold a folder for this process: a new one, an empty one, or one written before.

    Raises:
        UserError: If it is a file, holds files of others, or another process writes to it.
    """
    if root.exists() and not root.is_dir():
        raise UserError(f"output={root} must be a folder, found a file; choose another")
    if root.is_dir() and any(root.iterdir()) and not (root / WRITTEN).is_file():
        raise UserError(
            f"output={root} must be new, empty or written by facegeo-predict, but it holds other "
            "files; choose another folder"
        )
    root.mkdir(parents=True, exist_ok=True)
    try:
        (root / WRITTEN).touch()
        with locked(root / LOCK):
            yield OutputFolder(root)
    except TakenError as error:
        raise UserError(f"output={root}: {error} writes there; wait or choose another") from error
