"""What a folder of generated faces shall hold, and the layouts it can have."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from facegeo.errors import UserError
from facegeo.rendering.ict_files import find_ict
from facegeo.rendering.light_files import read_lights

if TYPE_CHECKING:
    from facegeo.rendering.sample import Studio

LAYOUTS = ("landmarks", "photoface", "portraits")
HEADS = ("anny", "ict")
SPLITS = ("train", "test")
MASKED = ("skin", "lips", "eyes")
"""What the masks of portraits can hold."""
PORTRAIT_MAP_SHARE = 0.75
LARGEST = 4096
FRAMES = {
    "down_right_camera": "channels: down, right, to the camera (as Photoface, it seems)",
    "right_up_camera": "channels: right, up, to the camera",
}


@dataclass(frozen=True, kw_only=True)
class Order:
    """Everything that decides the bytes of a folder, and nothing else.

    Attributes:
        train: Number of samples (landmarks) or sessions (photoface) to train on.
        test: The same to test on; other people.
        size: Side of the pictures, pixels.
        seed: Decides everything that is drawn.
        maps: Landmarks: write normal maps and masks too.
        layout: ``landmarks``, ``photoface`` or ``portraits``.
        head: ``anny`` or ``ict``.
        head_path: Where ICT-FaceKit lies.
        quality: Landmarks, portraits: worst and best JPEG quality.
        frame: Photoface, portraits: axes of the stored normals, a key of ``FRAMES``.
        shadows: What hides a light throws a shadow.
        device: ``cpu`` or ``cuda``; rounding differs between them.
        map_share: Landmarks, portraits: share of pictures lit by environment maps, the others by
            lamps. None: 0 for landmarks, ``PORTRAIT_MAP_SHARE`` for portraits. Above 0, landmarks
            are rendered and photographed as portraits are.
        lights: Folder of environment maps (EXR, HDR); None for those that ship with the package.
        mask: Portraits: what the masks hold, of ``MASKED``.
    """

    train: int
    test: int
    size: int
    seed: int
    maps: bool
    layout: str = "landmarks"
    head: str = "anny"
    head_path: Path | None = None
    quality: tuple[int, int] = (70, 97)
    frame: str = "down_right_camera"
    shadows: bool = True
    device: str = "cpu"
    map_share: float | None = None
    lights: Path | None = None
    mask: tuple[str, ...] = MASKED

    @property
    def share_of_maps(self) -> float:
        """Share of pictures lit by environment maps, in [0, 1]."""
        if self.map_share is None:
            return PORTRAIT_MAP_SHARE if self.layout == "portraits" else 0.0
        return float(self.map_share)

    @property
    def as_portraits(self) -> bool:
        """Whether pictures are rendered and photographed as portraits are."""
        return self.layout == "portraits" or self.share_of_maps > 0

    def check(self) -> None:
        """Look for mistakes before any work is done.

        Raises:
            UserError: If an option is out of range or a map of ``lights`` cannot be read; the text
                names it.
        """
        _check_choice("layout", self.layout, LAYOUTS)
        _check_choice("head", self.head, HEADS)
        if self.head == "ict":
            find_ict(self.head_path)
        _check_choice("frame", self.frame, tuple(FRAMES))
        _check_choice("device", self.device, ("cpu", "cuda"))
        for name in ("maps", "shadows"):
            _check_flag(name, getattr(self, name))
        for name in SPLITS:
            _check_range(name, getattr(self, name), 0, 10**7)
        if self.train + self.test == 0:
            raise UserError("train and test are both 0: nothing to render; set train=100, say")
        _check_range("size", self.size, 32, LARGEST)
        _check_range("seed", self.seed, 0, 2**63 - 1)
        low, high = self.quality
        if not 1 <= low <= high <= 100:
            raise UserError(f"quality must be [worst, best] in 1..100, got {list(self.quality)}")
        self._check_portraits()

    def _check_portraits(self) -> None:
        given, mask = self.map_share, self.mask
        if given is not None and (
            isinstance(given, bool) or not isinstance(given, int | float) or not 0 <= given <= 1
        ):
            raise UserError(f"map_share must be a share from 0 to 1 or null, got {given!r}")
        share = self.share_of_maps
        if share and self.layout == "photoface":
            raise UserError(
                "map_share must be null for layout=photoface, whose sessions have four lamps, "
                f"got {share:g}; choose layout=portraits"
            )
        if self.lights is not None and not share:
            raise UserError(f"lights={self.lights} needs map_share above 0; set map_share=0.75")
        if not mask or len(set(mask)) < len(mask) or not set(mask) <= set(MASKED):
            raise UserError(f"mask must be one or more of {', '.join(MASKED)}, got {list(mask)}")
        if self.lights is not None:
            read_lights(self.lights)


def _check_flag(name: str, value: object) -> None:
    if not isinstance(value, bool):
        raise UserError(f"{name} must be true or false, got {value!r}")


def _check_choice(name: str, value: str, choices: Sequence[str]) -> None:
    if value not in choices:
        raise UserError(f"{name} must be one of {', '.join(choices)}; got {value!r}")


def _check_range(name: str, value: int, low: int, high: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise UserError(f"{name} must be a whole number from {low} to {high}, got {value!r}")


def check_processes(processes: int | None) -> int:
    """Return how many processes to use; None means one for each core this process may use."""
    if processes is None:
        affinity = getattr(os, "sched_getaffinity", None)
        return len(affinity(0)) if affinity else os.cpu_count() or 1
    _check_range("processes", processes, 1, 1024)
    return processes


def as_path(given: Path | str | None) -> Path | None:
    """Read a path as a configuration gives it: ``~`` is the home folder, None stays."""
    return None if given is None else Path(given).expanduser()


class Purpose(IntEnum):
    """What random draws are for; each has streams of its own."""

    FACE = 1
    QUALITY = 2
    PERSON = 3
    SESSION = 4


@dataclass(frozen=True)
class Task:
    """One piece of work: a sample, or a session of one person.

    Attributes:
        split: ``train`` or ``test``.
        number: Counts from 0 in its split.
    """

    split: str
    number: int

    @property
    def name(self) -> str:
        """A file name for the task's record."""
        return f"{self.split}-{self.number:07d}"

    def key(self, purpose: Purpose, seed: int) -> tuple[int, ...]:
        """What seeds this task's draws, shared with no other purpose, split, number or seed.

        The seed stands last: NumPy splits it into one or two words and pads keys with zeros.
        """
        return (purpose, SPLITS.index(self.split), self.number, seed)


@dataclass(frozen=True)
class Made:
    """What a task gives.

    Attributes:
        files: Contents by path relative to the folder.
        record: What the lists say about it.
        pictures: How many photographs are among the files.
    """

    files: Mapping[str, bytes]
    record: str
    pictures: int = 1


class Layout(Protocol):
    """How samples are laid out in a folder."""

    def make(self, studio: "Studio", order: Order, task: Task) -> Made:
        """Do one task."""

    def notes(self, order: Order) -> Mapping[str, str]:
        """Say in words what numbers in the files mean, for the manifest."""

    def paths(self, task: Task) -> Sequence[str]:
        """Return the files that one task may give, relative to the folder."""

    def lists(self, records: Mapping[str, Sequence[str]]) -> Mapping[str, bytes]:
        """Return the lists, by file name, from the records of each split."""


def tasks(train: int, test: int) -> list[Task]:
    """Return all tasks of an order."""
    counts = zip(SPLITS, (train, test), strict=True)
    return [Task(split, number) for split, count in counts for number in range(count)]
