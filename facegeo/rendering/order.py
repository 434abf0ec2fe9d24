"""What a folder of generated faces shall hold, the tasks that fill it, and what layouts provide."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, Protocol, get_args

from pydantic import Field, StrictBool

from facegeo.checks import checked
from facegeo.errors import UserError
from facegeo.rendering.ict_files import find_ict
from facegeo.rendering.light_files import read_lights

if TYPE_CHECKING:
    from facegeo.rendering.studio import Studio

LayoutName = Literal["landmarks", "photoface", "portraits"]
HeadName = Literal["anny", "ict"]
Frame = Literal["down_right_camera", "right_up_camera"]
Device = Literal["cpu", "cuda"]
Masked = Literal["skin", "lips", "eyes"]
MASKED: tuple[Masked, ...] = get_args(Masked)
"""What the masks of portraits can hold."""
SPLITS = ("train", "test")
PORTRAIT_MAP_SHARE = 0.75
FRAMES: dict[Frame, str] = {
    "down_right_camera": "channels: down, right, to the camera (as Photoface, it seems)",
    "right_up_camera": "channels: right, up, to the camera",
}
Count = Annotated[int, Field(strict=True, ge=0, le=10**7)]
Quality = Annotated[int, Field(strict=True, ge=1, le=100)]


@checked(prefix="")
@dataclass(frozen=True, kw_only=True)
class Order:
    """Everything that decides the bytes of a folder, and nothing else.

    Attributes:
        train: Number of samples (landmarks) or sessions (photoface) to train on.
        test: The same to test on; other people.
        size: Side of the pictures, pixels.
        seed: Decides everything that is drawn.
        maps: Landmarks: write normal maps and masks too.
        layout: How the files are laid out.
        head: Whose heads.
        head_path: Where ICT-FaceKit is.
        quality: Landmarks, portraits: worst and best JPEG quality.
        frame: Photoface, portraits: axes of the stored normals, a key of ``FRAMES``.
        shadows: What hides a light throws a shadow.
        device: ``cpu`` or ``cuda``; rounding differs between them.
        map_share: Landmarks, portraits: share of pictures lit by environment maps, the others by
            lamps. None: 0 for landmarks, ``PORTRAIT_MAP_SHARE`` for portraits. Above 0, landmarks
            are rendered and photographed as portraits are.
        lights: Folder of environment maps (EXR, HDR); None for those that ship with the package.
        mask: Portraits: what the masks hold.

    Raises:
        UserError: If options are out of range, contradict each other or name files that cannot be
            read; the text lists all of them.
    """

    train: Count
    test: Count
    size: Annotated[int, Field(strict=True, ge=32, le=4096)]
    seed: Annotated[int, Field(strict=True, ge=0, lt=2**63)]
    maps: StrictBool
    layout: LayoutName = "landmarks"
    head: HeadName = "anny"
    head_path: Path | None = None
    quality: tuple[Quality, Quality] = (70, 97)
    frame: Frame = "down_right_camera"
    shadows: StrictBool = True
    device: Device = "cpu"
    map_share: Annotated[float, Field(strict=True, ge=0, le=1)] | None = None
    lights: Path | None = None
    mask: tuple[Masked, ...] = MASKED

    def __post_init__(self) -> None:
        if contradictions := list(self._contradictions()):
            raise UserError("; ".join(contradictions))

    def _contradictions(self) -> Iterator[str]:
        if self.train + self.test == 0:
            yield "train and test are both 0: nothing to render; set train=100, say"
        if self.quality[0] > self.quality[1]:
            yield f"quality must be [worst, best], got {list(self.quality)}"
        if not self.mask or len(set(self.mask)) < len(self.mask):
            yield f"mask must be one or more of {', '.join(MASKED)}, got {list(self.mask)}"
        share = self.share_of_maps
        if share and self.layout == "photoface":
            yield (
                "map_share must be null for layout=photoface, whose sessions have four lamps, "
                f"got {share:g}; choose layout=portraits"
            )
        if self.lights is not None and not share:
            yield f"lights={self.lights} needs map_share above 0; set map_share=0.75"
        yield from self._unreadable()

    def _unreadable(self) -> Iterator[str]:
        try:
            if self.head == "ict":
                find_ict(self.head_path)
        except UserError as error:
            yield str(error)
        try:
            if self.lights is not None and self.share_of_maps:
                read_lights(self.lights)
        except UserError as error:
            yield str(error)

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


def check_processes(processes: int | None) -> int:
    """Return how many processes to use; None means one for each core this process may use."""
    if processes is None:
        affinity = getattr(os, "sched_getaffinity", None)
        return len(affinity(0)) if affinity else os.cpu_count() or 1
    if type(processes) is not int or not 1 <= processes <= 1024:
        raise UserError(f"processes must be a whole number from 1 to 1024, got {processes!r}")
    return processes


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

        The seed comes last: NumPy splits it into one or two words and pads keys with zeros.
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
