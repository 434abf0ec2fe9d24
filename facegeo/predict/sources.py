"""Which photos and videos are to be predicted, and what each is called in the output."""

import glob
import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from facegeo.errors import UserError
from facegeo.normals.photos import ENDINGS as PHOTOS
from facegeo.predict.folder import is_output

VIDEOS = (".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg", ".wmv", ".3gp", ".mts")


@dataclass(frozen=True)
class Source:
    """One file to predict.

    Attributes:
        path: Where it stands.
        name: Its path relative to the input folder, with ``/``: the start of its outputs' names.
    """

    path: Path
    name: str

    @property
    def ending(self) -> str:
        """What its name ends in, such as ".jpg"; small letters."""
        return self.path.suffix.lower()

    @property
    def is_video(self) -> bool:
        """Whether its name ends as videos' names do."""
        return self.ending in VIDEOS


def find_sources(wanted: str, out: Path) -> tuple[list[Source], Counter[str]]:
    """List the photos and videos that a user means, by name.

    Args:
        wanted: A photo or video, a folder (at any depth), or a pattern with ``*``, ``?``, ``[]``
            and ``**``. Of a pattern, names are relative to the folder before its first wildcard.
        out: The output's folder: what stands there is not taken, nor what stands in folders below
            the input that hold the output of other runs.

    Returns:
        The files, and the endings of the others that stand among them, counted.

    Raises:
        UserError: If nothing fits, or all of it lies in the output's folder.
    """
    if not wanted.strip():
        raise UserError("input is empty: wanted a photo, video, folder or pattern")
    path = Path(wanted).expanduser()
    if path.is_file():
        return [Source(path, path.name)], Counter()
    if path.is_dir():
        base, found = path, [file for file in path.rglob("*") if file.is_file()]
    elif glob.has_magic(wanted):
        base = _fixed_part(path)
        found = [Path(file) for file in glob.glob(str(path), recursive=True)]  # noqa: PTH207
        found = [file for file in found if file.is_file()]
    else:
        raise UserError(f"input={wanted}: wanted a photo, video, folder or pattern, found none")
    folders = {folder for file in found for folder in file.parents} - {base, *base.parents}
    others = {folder for folder in folders if is_output(folder)}
    outside = [file for file in found if not file.resolve().is_relative_to(out.resolve())]
    if found and not outside:
        raise UserError(f"output={out} holds all of input={wanted}; choose another folder for it")
    inputs = {
        Source(file, _name(file, base)) for file in outside if others.isdisjoint(file.parents)
    }
    sources = [source for source in inputs if source.ending in (*PHOTOS, *VIDEOS)]
    skipped = inputs.difference(sources)
    if not sources:
        kinds = ", ".join((*PHOTOS, *VIDEOS))
        raise UserError(f"input={wanted}: wanted photos or videos ({kinds}), found none")
    shown = Counter(source.ending for source in skipped if not source.path.name.startswith("."))
    return sorted(sources, key=lambda source: source.name), shown


def shown(name: str) -> str:
    r"""Return a file's name as text that can be printed: it need not be UTF-8.

    >>> shown("caf\udce9.jpg")
    'caf\\udce9.jpg'
    """
    return name.encode("utf-8", "backslashreplace").decode()


def _fixed_part(pattern: Path) -> Path:
    """Return the folder before a pattern's first wildcard."""
    parts = pattern.parts
    first = next(number for number, part in enumerate(parts) if glob.has_magic(part))
    return Path(*parts[:first])


def _name(file: Path, base: Path) -> str:
    """Return a path relative to ``base`` that does not climb out of it."""
    name = Path(os.path.relpath(file, base))
    return Path(*[part for part in name.parts if part != ".."]).as_posix()
