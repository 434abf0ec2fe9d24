"""Reads the images of a list and writes the files of a pixel cache."""

import hashlib
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.progress import track

from facegeo.data.image_file import ImageError, decode, image_size
from facegeo.data.landmark_list import LandmarkList
from facegeo.data.pyramid import level_sizes, pyramid, source_region

FORMAT = 1  # raise it whenever the bytes written for the same input change
PIXELS, INDEX = "pixels.i32", "index.npz"
READABLE = "a readable image"
CHUNK = 256  # images decoded ahead of the writer: bounds the memory
LARGEST_SIDE = 2**16
_In = TypeVar("_In")
_Out = TypeVar("_Out")


@dataclass(frozen=True)
class Probe:
    """What a look at an image file shows without decoding it.

    Attributes:
        digest: SHA-256 of the bytes, empty if they could not be read.
        size: Height and width in pixels where the header tells them.
        problem: What is wrong with the file, empty if nothing.
    """

    digest: str = ""
    size: tuple[int, int] | None = None
    problem: str = ""


@dataclass(frozen=True)
class Region:
    """Decoded region of one face.

    Attributes:
        levels: Packed pixels of each level, int32, shape (h, w) each.
        origin: x and y of the region's first pixel in the image.
        image_size: Height and width of the whole image.
    """

    levels: list[npt.NDArray[np.int32]]
    origin: tuple[int, int]
    image_size: tuple[int, int]


@dataclass(frozen=True)
class RegionFault:
    """Why a face has no region: what was wanted and what came."""

    wanted: str
    got: str


def probe_images(faces: LandmarkList, progress: bool) -> list[Probe]:
    """Hash all images and find those that are damaged; one result a face."""
    paths = [faces.path(row) for row in range(len(faces))]
    return list(in_threads(_probe, paths, "Checking images", progress))


def cache_key(faces: LandmarkList, digests: list[str], margin: float, levels: int) -> str:
    """Hash of all that decides the bytes of a cache, 32 hexadecimal digits."""
    key = hashlib.sha256(f"facegeo pixels {FORMAT} {margin!r} {levels}".encode())
    key.update("".join(digests).encode())
    key.update(np.ascontiguousarray(faces.boxes, dtype="<f8").tobytes())
    return key.hexdigest()[:32]


def bytes_needed(faces: LandmarkList, probes: list[Probe], margin: float, levels: int) -> int:
    """Size of the pixel file, too large only for formats whose header was not read."""
    total = 0
    for box, probe in zip(faces.boxes, probes, strict=True):
        height, width = probe.size or (LARGEST_SIDE, LARGEST_SIDE)
        x0, x1, y0, y1 = source_region(box, margin, height, width)
        if x0 < x1 and y0 < y1:
            total += sum(4 * h * w for h, w in level_sizes(y1 - y0, x1 - x0, levels))
    return total


def write_cache(
    folder: Path,
    faces: LandmarkList,
    probes: list[Probe],
    margin: float,
    levels: int,
    progress: bool,
) -> None:
    """Decode all faces and write the pixel file and its index into ``folder``.

    The index says which faces have no pixels and why, so that opening the cache again reports
    the same faults as building it.
    """

    def load(row: int) -> Region | RegionFault:
        return _load(faces.path(row), probes[row].digest, faces.boxes[row], margin, levels)

    count = len(faces)
    offset = np.zeros((count, levels), np.int64)
    size = np.zeros((count, levels, 2), np.int64)
    origin = np.zeros((count, 2), np.int64)
    whole = np.zeros((count, 2), np.int64)
    faults: list[tuple[int, str, str]] = []
    position = 0
    with (folder / PIXELS).open("wb") as file:
        results = in_threads(load, list(range(count)), "Decoding faces", progress)
        for row, result in enumerate(results):
            if isinstance(result, RegionFault):
                faults.append((row, result.wanted, result.got))
                continue
            origin[row], whole[row] = result.origin, result.image_size
            for level, pixels in enumerate(result.levels):
                offset[row, level], size[row, level] = position, pixels.shape
                position += pixels.size
                file.write(pixels.data)
        file.flush()
        os.fsync(file.fileno())
    np.savez(
        folder / INDEX,
        offset=offset,
        size=size,
        origin=origin,
        image_size=whole,
        pixels=np.array(position),
        fault_row=np.array([row for row, _, _ in faults], np.int64),
        fault_text=np.array([texts for _, *texts in faults], np.str_).reshape(-1, 2),
    )


def read_index(folder: Path) -> dict[str, npt.NDArray[Any]]:
    """Read the arrays that ``write_cache`` wrote beside the pixels."""
    with (folder / INDEX).open("rb") as file:  # np.load leaves a damaged file open
        return dict(np.load(file, allow_pickle=False))


def is_complete(folder: Path) -> bool:
    """Whether the folder holds a readable index and a pixel file of the size it names."""
    try:
        pixels = int(read_index(folder)["pixels"])
        return (folder / PIXELS).stat().st_size == 4 * pixels
    except (OSError, ValueError, KeyError, EOFError, BadZipFile):
        return False


def in_threads(
    work: Callable[[_In], _Out], items: list[_In], title: str, progress: bool
) -> Iterator[_Out]:
    """Results in order, from threads: reading, hashing and decoding release the interpreter."""
    console = Console(stderr=True)
    with ThreadPoolExecutor(min(16, os.cpu_count() or 1)) as pool:
        chunks = (items[start : start + CHUNK] for start in range(0, len(items), CHUNK))
        results = (result for chunk in chunks for result in pool.map(work, chunk))
        yield from track(
            results,
            description=title,
            total=len(items),
            console=console,
            transient=True,
            disable=not (progress and console.is_terminal),
        )


def _probe(path: Path) -> Probe:
    try:
        data = path.read_bytes()
        return Probe(hashlib.sha256(data).hexdigest(), image_size(data))
    except OSError as error:
        return Probe(problem=error.strerror or str(error))
    except ImageError as error:
        return Probe(problem=str(error))


def _load(
    path: Path, digest: str, box: npt.NDArray[np.float64], margin: float, levels: int
) -> Region | RegionFault:
    try:
        data = path.read_bytes()
        if hashlib.sha256(data).hexdigest() != digest:
            return RegionFault(READABLE, "a file that changed while it was read")
        image = decode(data)
    except OSError as error:
        return RegionFault(READABLE, error.strerror or str(error))
    except ImageError as error:
        return RegionFault(READABLE, str(error))
    height, width = image.shape[:2]
    left, right, top, bottom = (float(edge) for edge in box)
    if not (0 <= left + right <= 2 * (width - 1) and 0 <= top + bottom <= 2 * (height - 1)):
        return RegionFault(
            f"a box with its centre in the {width} x {height} image",
            f"left {left:g}, right {right:g}, top {top:g}, bottom {bottom:g}",
        )
    x0, x1, y0, y1 = source_region(box, margin, height, width)
    return Region(pyramid(image[y0:y1, x0:x1], levels), (x0, y0), (height, width))
