"""Photos and videos of an input; the output folder, where only our own files are replaced."""

import glob
import os
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path

from facegeo.errors import UserError
from facegeo.files.images import PHOTOS
from facegeo.files.writing import LOCK, TakenError, locked, write_whole

VIDEOS = (".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg", ".wmv", ".3gp", ".mts")


@dataclass(frozen=True)
class Source:
    """One file to predict.

    Attributes:
        path: Of the file.
        name: Its path relative to the input folder, with ``/``: the start of its outputs' names.
    """

    path: Path
    name: str

    @property
    def ending(self) -> str:
        """Ending of its name in lower case, such as ".jpg"."""
        return self.path.suffix.lower()

    @property
    def is_video(self) -> bool:
        """Whether its ending is that of a video."""
        return self.ending in VIDEOS


def find_sources(wanted: str, out: Path) -> tuple[list[Source], Counter[str]]:
    """List the photos and videos of an input, by name.

    Args:
        wanted: A photo or video, a folder (at any depth), or a pattern with ``*``, ``?``, ``[]``
            and ``**``. Names are relative to the folder before a pattern's first wildcard.
        out: The output folder. It is left out, and so are folders below the input that hold the
            output of other runs.

    Returns:
        The files, and how many others there are by ending.

    Raises:
        UserError: If nothing matches, or all of it is in the output folder.
    """
    if not wanted.strip():
        raise UserError("input is empty: wanted a photo, video, folder or pattern")
    path = Path(wanted).expanduser()
    if path.is_file():
        return [Source(path, path.name)], Counter()
    if path.is_dir():
        base, found = path, [file for file in path.rglob("*") if file.is_file()]
    elif glob.has_magic(wanted):
        first = next(n for n, part in enumerate(path.parts) if glob.has_magic(part))
        base = Path(*path.parts[:first])
        found = [Path(file) for file in glob.glob(str(path), recursive=True)]  # noqa: PTH207
        found = [file for file in found if file.is_file()]
    else:
        raise UserError(f"input={wanted}: wanted a photo, video, folder or pattern, found none")
    folders = {folder for file in found for folder in file.parents} - {base, *base.parents}
    others = {folder for folder in folders if is_output(folder)}
    outside = [file for file in found if not file.resolve().is_relative_to(out.resolve())]
    if found and not outside:
        raise UserError(f"output={out} holds all of input={wanted}; choose another folder for it")
    own = [file for file in outside if others.isdisjoint(file.parents)]
    inputs = sorted({Source(file, _name(file, base)) for file in own}, key=attrgetter("name"))
    kinds = (*PHOTOS, *VIDEOS)
    sources = [source for source in inputs if source.ending in kinds]
    if not sources:
        listed = ", ".join(kinds)
        raise UserError(f"input={wanted}: wanted photos or videos ({listed}), found none")
    skipped = (source for source in inputs if source.ending not in kinds)
    return sources, Counter(one.ending for one in skipped if not one.path.name.startswith("."))


def shown(name: str) -> str:
    r"""Return a file's name as printable text; names need not be UTF-8.

    >>> shown("caf\udce9.jpg")
    'caf\\udce9.jpg'
    """
    return name.encode("utf-8", "backslashreplace").decode()


def _name(file: Path, base: Path) -> str:
    """Return a path relative to ``base``, without ``..``."""
    name = Path(os.path.relpath(file, base))
    return Path(*[part for part in name.parts if part != ".."]).as_posix()


RECORD = ".facegeo-predict"
"""List of the files made in a folder, one a line: the file's name and, after ``PART``, the photo or
video that it was made of."""
PART = "\0"
FIRST = "facegeo-predict wrote these files, and replaces no others:"


class OutputFolder:
    """Writes results below one folder; see ``open_output``.

    A file is replaced or removed only if its ``RECORD`` lists it, or for ``overwrite``, and it is a
    regular file below the folder. Links are never followed.
    """

    def __init__(self, root: Path, overwrite: bool = False) -> None:
        self.root, self.overwrite = root, overwrite
        lines = (_lines(root / RECORD) or [FIRST])[1:]
        listed = {name: source for name, _, source in (line.partition(PART) for line in lines)}
        self._ours = {name: source for name, source in listed.items() if self._is_regular(name)}

    def write(self, source: str, files: Mapping[str, bytes]) -> None:
        """Write all results of a photo or video; remove its others of an earlier run.

        Args:
            source: Name of the photo or video; empty for results of the run as such.
            files: Content by name, relative to the folder, with ``/``.

        Raises:
            UserError: If a file of another owner is in the way; then nothing is written.
        """
        paths = [self.claim(source, name) for name in files]
        for path, content in zip(paths, files.values(), strict=True):
            write_whole(path, content)
        self.drop_others(source, files)

    def claim(self, source: str, name: str) -> Path:
        """Return where a result may be written; make its folder and list it.

        Raises:
            UserError: If a file of another owner or a link is in the way, or the path leaves the
                folder.
        """
        path = self.root / name
        if not path.parent.resolve().is_relative_to(self.root.resolve()):
            raise UserError(f"{path} is outside {self.root}, through a link or '..'; remove it")
        if path.is_symlink() or (path.exists() and not path.is_file()):
            raise UserError(f"{path} is a link or folder, which is never replaced; remove it")
        if name not in self._ours and path.exists() and not self.overwrite:
            raise UserError(
                f"{path} was not written by facegeo-predict; choose another output folder, or "
                "overwrite=true to replace it"
            )
        if "\n" in name:
            raise UserError(f"{name!r}: wanted a file name of one line")
        if self._ours.get(name) != source:
            with (self.root / RECORD).open("ab") as record:
                record.write(f"{name}{PART}{source}\n".encode("utf-8", "surrogateescape"))
            self._ours[name] = source
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def drop_others(self, source: str, names: Collection[str]) -> None:
        """Remove the results of a source that are not among ``names``."""
        others = [name for name, own in self._ours.items() if own == source and name not in names]
        for name in others:
            if self._is_regular(name):
                (self.root / name).unlink()
            del self._ours[name]

    def close(self) -> None:
        """Write the list of results anew, without those removed."""
        lines = [FIRST, *(f"{name}{PART}{source}" for name, source in self._ours.items()), ""]
        write_whole(self.root / RECORD, "\n".join(lines).encode("utf-8", "surrogateescape"))

    def _is_regular(self, name: str) -> bool:
        """Whether a listed file is a regular one below the folder, and no link leads to it."""
        path, relative = self.root / name, Path(name)
        if relative.is_absolute() or ".." in relative.parts:
            return False
        linked = path.parent.resolve() != self.root.resolve() / relative.parent
        return not linked and path.is_file() and not path.is_symlink()


@contextmanager
def open_output(root: Path, overwrite: bool = False) -> Iterator[OutputFolder]:
    """Hold a folder for this process: a new one, an empty one, or one written before.

    With ``overwrite`` it may hold files of others, and those of equal names are replaced.

    Raises:
        UserError: If it is a file, holds files of others, or another process writes to it.
    """
    if root.exists() and not root.is_dir():
        raise UserError(f"output={root} must be a folder, found a file; choose another")
    held = sorted(path.name for path in root.iterdir()) if root.is_dir() else []
    if held and not is_output(root) and not overwrite:
        raise UserError(
            f"output={root} must be new, empty or written by facegeo-predict, but it holds "
            f"{held[0]}; choose another folder, or overwrite=true to write there"
        )
    for path in (root / RECORD, root / LOCK):
        if path.is_symlink():
            raise UserError(f"{path} is a link, which is never followed; remove it")
    root.mkdir(parents=True, exist_ok=True)
    if not is_output(root):
        write_whole(root / RECORD, f"{FIRST}\n")
    try:
        with locked(root / LOCK):
            folder = OutputFolder(root, overwrite)
            try:
                yield folder
            finally:
                folder.close()
    except TakenError as error:
        raise UserError(f"output={root}: {error} writes there; wait or choose another") from error


def is_output(folder: Path) -> bool:
    """Whether ``facegeo-predict`` wrote to a folder."""
    return _lines(folder / RECORD) is not None


def _lines(record: Path) -> list[str] | None:
    """Lines of a record; None if it is not ours."""
    if not record.is_file() or record.is_symlink():
        return None
    lines = record.read_bytes().decode("utf-8", "surrogateescape").split("\n")[:-1]
    return lines if lines[:1] == [FIRST] else None
