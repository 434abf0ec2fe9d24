"""The output's folder: what was written there is known, and nothing else is ever replaced."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from facegeo.errors import UserError
from facegeo.files.writing import LOCK, TakenError, locked, write_whole

RECORD = ".facegeo-predict"
"""All files of ours, one a line, told before it is written: its name and, behind ``PART``, that of
the photo or video that it was made of, if it is of one."""
PART = "\0"
"""Stands in no file's name."""
FIRST = "facegeo-predict wrote these files, and replaces no others:"


class OutputFolder:
    """Writes files below one folder; see ``open_output``.

    Attributes:
        source: Name of the photo or video whose results are written now; empty for those of all.
    """

    def __init__(self, root: Path) -> None:
        self.root, self.source, self._now = root, "", set[str]()
        lines = (_lines(root / RECORD) or [FIRST])[1:]
        self._ours = {name: source for name, _, source in (line.partition(PART) for line in lines)}

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
        if self._ours.get(name) != self.source:
            _add_line(self.root / RECORD, _line(name, self.source))
            self._ours[name] = self.source
        self._now.add(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def write(self, name: str, content: str | bytes) -> Path:
        """Write a file, whole or not at all, where ``claim`` allows it."""
        path = self.claim(name)
        write_whole(path, content)
        return path

    def drop_stale(self, names: Collection[str]) -> None:
        """Remove what an earlier run wrote and this one did not; it is ours no more.

        Args:
            names: Of files of ours, or of photos and videos: what was made of them goes if
                something was made of them anew. Others stay.
        """
        anew = {self._ours[name] for name in self._now}
        stale = {n for n, source in self._ours.items() if {n, source} & {*names}} - self._now
        stale = {n for n in stale if n in names or self._ours[n] in anew}
        for name in stale:
            (self.root / name).unlink(missing_ok=True)
            del self._ours[name]
        lines = (_line(name, source) for name, source in self._ours.items())
        write_whole(self.root / RECORD, _coded("\n".join([FIRST, *lines, ""])))


@contextmanager
def open_output(root: Path) -> Iterator[OutputFolder]:
    """Hold a folder for this process: a new one, an empty one, or one written before.

    Raises:
        UserError: If it is a file, holds files of others, or another process writes to it.
    """
    if root.exists() and not root.is_dir():
        raise UserError(f"output={root} must be a folder, found a file; choose another")
    held = {path.name for path in root.iterdir()} - {LOCK} if root.is_dir() else set()
    if held and _lines(root / RECORD) is None:
        raise UserError(
            f"output={root} must be new, empty or written by facegeo-predict, but it holds other "
            "files; choose another folder"
        )
    root.mkdir(parents=True, exist_ok=True)
    try:
        with locked(root / LOCK):
            if not _lines(root / RECORD):
                _add_line(root / RECORD, FIRST)
            yield OutputFolder(root)
    except TakenError as error:
        raise UserError(f"output={root}: {error} writes there; wait or choose another") from error


def is_output(folder: Path) -> bool:
    """Whether a folder holds what ``facegeo-predict`` wrote."""
    return _lines(folder / RECORD) is not None


def _lines(record: Path) -> list[str] | None:
    """Lines of a record, empty if a process was killed as it began; None if it is not ours."""
    if not record.is_file():
        return None
    lines = record.read_bytes().decode("utf-8", "surrogateescape").split("\n")[:-1]
    return lines if lines[:1] in ([], [FIRST]) else None


def _line(name: str, source: str) -> str:
    return f"{name}{PART}{source}" if source else name


def _add_line(record: Path, line: str) -> None:
    with record.open("ab") as file:
        file.write(_coded(f"{line}\n"))


def _coded(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
