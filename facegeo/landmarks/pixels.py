"""Decoded faces: image pyramids, and the cache that holds them.

Decoding JPEG costs more than a training step of the small nets; with the cache a training epoch
only reads bytes. Its key is a hash of the images' bytes, the boxes and the settings.
"""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from facegeo.files.faults import Fault, OnError, WantedError
from facegeo.files.images import Bytes, ImageError, decode, image_size, in_threads
from facegeo.files.writing import build_once
from facegeo.geometry.crops import MARGIN, source_regions
from facegeo.landmarks.lists import POINT_SLACK, LandmarkList

FORMAT = 1  # raise it whenever the bytes written for the same input change
LEVELS = 4
"""Number of sizes of a region in the cache."""
PIXELS, INDEX = "pixels.i32", "index.npz"
READABLE = "a readable image"


def source_region(
    box: npt.NDArray[np.float64], height: int, width: int
) -> tuple[int, int, int, int]:
    """First and past-the-last column, first and past-the-last row kept of a face, px.

    Args:
        box: Left, right, top, bottom in pixels, shape (4,).
        height: Height of the image in pixels.
        width: Width of the image in pixels.
    """
    region = source_regions(torch.from_numpy(np.asarray(box, np.float64))[None], height, width)
    x0, x1, y0, y1 = region[0].tolist()
    return x0, x1, y0, y1


def level_sizes(height: int, width: int, levels: int) -> list[tuple[int, int]]:
    """Height and width of each level in pixels, halved and rounded up."""
    return [(ceil(height / 2**level), ceil(width / 2**level)) for level in range(levels)]


def pyramid(image: Bytes, levels: int) -> list[npt.NDArray[np.int32]]:
    """Pack an image and halve it again and again.

    A pixel of a level is the mean of 2 x 2 pixels of the level below, rounded; the last row and
    column of an odd size count twice.

    Args:
        image: Red, green, blue, shape (H, W, 3).
        levels: Number of sizes L, the image itself included.

    Returns:
        Packed pixels of each level l, shape (ceil(H / 2^l), ceil(W / 2^l)): red in the lowest
        byte, then green, blue and 255.
    """
    level = cv2.cvtColor(image, cv2.COLOR_RGB2RGBA)
    packed = [_pack(level)]
    for _ in range(levels - 1):
        height, width = level.shape[:2]
        even = level
        if height % 2 or width % 2:
            even = cv2.copyMakeBorder(level, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE)
        half = (even.shape[1] // 2, even.shape[0] // 2)
        level = cv2.resize(even, half, interpolation=cv2.INTER_AREA)
        packed.append(_pack(level))
    return packed


def _pack(rgba: npt.NDArray[np.generic]) -> npt.NDArray[np.int32]:
    return np.ascontiguousarray(rgba).view("<i4")[..., 0]


@dataclass(frozen=True)
class Probe:
    """An image file before it is decoded.

    Attributes:
        digest: SHA-256 of the bytes, empty if they could not be read.
        size: Height and width in pixels, as the header has them.
        problem: What is wrong with the file, empty if nothing is.
    """

    digest: str = ""
    size: tuple[int, int] = (0, 0)
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


def probe_images(faces: LandmarkList, progress: bool) -> list[Probe]:
    """Hash all images and read their sizes; one result a face."""
    paths = [faces.path(row) for row in range(len(faces))]
    return list(in_threads(_probe, paths, "Checking images", progress))


def _probe(path: Path) -> Probe:
    try:
        data = path.read_bytes()
        return Probe(hashlib.sha256(data).hexdigest(), image_size(data, whole=False))
    except OSError as error:
        return Probe(problem=error.strerror or str(error))
    except ImageError as error:
        return Probe(problem=str(error))


def cache_key(faces: LandmarkList, digests: list[str]) -> str:
    """Hash of all that decides the bytes of a cache, 32 hexadecimal digits."""
    key = hashlib.sha256(f"facegeo pixels {FORMAT} {MARGIN!r} {LEVELS}".encode())
    key.update("".join(digests).encode())
    key.update(np.ascontiguousarray(faces.boxes, dtype="<f8").tobytes())
    return key.hexdigest()[:32]


def bytes_needed(faces: LandmarkList, probes: list[Probe]) -> int:
    """Size of the pixel file."""
    total = 0
    for box, probe in zip(faces.boxes, probes, strict=True):
        x0, x1, y0, y1 = source_region(box, *probe.size)
        total += sum(4 * h * w for h, w in level_sizes(y1 - y0, x1 - x0, LEVELS))
    return total


def write_cache(folder: Path, faces: LandmarkList, probes: list[Probe], progress: bool) -> None:
    """Decode all faces and write the pixel file and its index into ``folder``.

    The index lists the faces without pixels and the reasons, so that opening the cache again
    reports the same faults as building it.
    """

    def load(row: int) -> Region | WantedError:
        try:
            return _load(faces.path(row), probes[row].digest, faces.boxes[row])
        except WantedError as error:
            return error

    count = len(faces)
    offset = np.zeros((count, LEVELS), np.int64)
    size = np.zeros((count, LEVELS, 2), np.int64)
    origin = np.zeros((count, 2), np.int64)
    whole = np.zeros((count, 2), np.int64)
    faults: list[tuple[int, str, str]] = []
    position = 0
    with (folder / PIXELS).open("wb") as file:
        results = in_threads(load, list(range(count)), "Decoding faces", progress)
        for row, result in enumerate(results):
            if isinstance(result, WantedError):
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


def _load(path: Path, digest: str, box: npt.NDArray[np.float64]) -> Region:
    try:
        data = path.read_bytes()
        image = decode(data)
    except (OSError, ImageError) as error:
        raise WantedError(READABLE, getattr(error, "strerror", None) or str(error)) from error
    if hashlib.sha256(data).hexdigest() != digest:
        raise WantedError(READABLE, "a file that changed while it was read")
    height, width = image.shape[:2]
    left, right, top, bottom = (float(edge) for edge in box)
    if not (0 <= left + right <= 2 * (width - 1) and 0 <= top + bottom <= 2 * (height - 1)):
        raise WantedError(
            f"a box with its centre in the {width} x {height} image",
            f"left {left:g}, right {right:g}, top {top:g}, bottom {bottom:g}",
        )
    x0, x1, y0, y1 = source_region(box, height, width)
    return Region(pyramid(image[y0:y1, x0:x1], LEVELS), (x0, y0), (height, width))


@dataclass(frozen=True, eq=False)
class PixelStore:
    """Packed pixels of the source regions of N faces at L sizes.

    Pixel (row i, column j) of level l of a face has its centre at (x, y) =
    ((j + .5) 2^l - .5 + x0, (i + .5) 2^l - .5 + y0) of the image, (x0, y0) being its ``origin``.

    Attributes:
        pixels: All pixels one after the other, int32, shape (P,); red in the lowest byte, then
            green, blue and 255. On the CPU a private map of the file.
        offset: Index in ``pixels`` of the first pixel of each level, int64, shape (N, L).
        size: Height and width of each level, int64, shape (N, L, 2).
        origin: x and y of the region's first pixel in the image, int64, shape (N, 2).
        image_size: Height and width of the whole image, int64, shape (N, 2).
        digest: SHA-256 of each image file.
        file: What ``pixels`` maps, which other processes open anew; None for other tensors.
    """

    pixels: Tensor
    offset: Tensor
    size: Tensor
    origin: Tensor
    image_size: Tensor
    digest: list[str]
    file: Path | None = None

    def __getstate__(self) -> dict[str, Any]:
        pixels = len(self.pixels) if self.file else self.pixels
        return vars(self) | {"pixels": pixels}

    def __setstate__(self, state: dict[str, Any]) -> None:
        if state["file"]:
            state = state | {"pixels": _mapped(state["file"], state["pixels"])}
        vars(self).update(state)

    def __len__(self) -> int:
        """Number of faces N."""
        return len(self.digest)

    @property
    def levels(self) -> int:
        """Number of sizes L."""
        return self.offset.shape[1]

    def to(self, device: torch.device | str) -> "PixelStore":
        """Return the store with its tensors on ``device``."""
        pixels = self.pixels.to(device)
        return replace(
            self,
            pixels=pixels,
            file=self.file if pixels is self.pixels else None,
            offset=self.offset.to(device),
            size=self.size.to(device),
            origin=self.origin.to(device),
            image_size=self.image_size.to(device),
        )

    def select(self, rows: Sequence[int] | npt.NDArray[np.int64]) -> "PixelStore":
        """Return the faces ``rows`` in that order; the pixels are shared."""
        index = torch.as_tensor(np.asarray(rows, dtype=np.int64), device=self.offset.device)
        return replace(
            self,
            offset=self.offset[index],
            size=self.size[index],
            origin=self.origin[index],
            image_size=self.image_size[index],
            digest=[self.digest[int(row)] for row in rows],
        )

    def image(self, row: int, level: int = 0) -> Tensor:
        """Red, green and blue of one level of one face, uint8, shape (h, w, 3)."""
        height, width = (int(side) for side in self.size[row, level])
        start = int(self.offset[row, level])
        packed = self.pixels[start : start + height * width]
        return packed.view(torch.uint8).reshape(height, width, 4)[..., :3]


def build_or_open(
    faces: LandmarkList,
    cache_dir: Path,
    *,
    on_error: OnError = "raise",
    progress: bool = True,
) -> tuple[PixelStore, LandmarkList]:
    """Open the pixels of a list; decode its images first if the cache lacks them.

    Faults of the images join those in ``faces.skipped``: a list read with ``on_error="skip"`` and
    opened with ``"raise"`` has all its faults in one error.

    Args:
        faces: The faces.
        cache_dir: Folder for caches, created if missing.
        on_error: ``"raise"`` or ``"skip"`` faulty faces.
        progress: Show progress bars on the standard error stream.

    Returns:
        The store and the faces in it, row by row; faults that were skipped are in ``skipped``.

    Raises:
        UserError: If images have faults and ``on_error`` is ``"raise"``, if no face is left, or
            if the cache cannot be written.
    """
    probes = probe_images(faces, progress)
    faults = list(faces.skipped)
    faults += [faces.fault(r, READABLE, p.problem) for r, p in enumerate(probes) if p.problem]
    sound = [row for row, probe in enumerate(probes) if not probe.problem]
    kept = replace(faces.select(sound), skipped=tuple(faults))
    if not sound:
        kept.settle(on_error)
    probes = [probes[row] for row in sound]
    digests = [probe.digest for probe in probes]
    folder = build_once(
        Path(cache_dir),
        "pixels-" + cache_key(kept, digests),
        build=lambda folder: write_cache(folder, kept, probes, progress),
        complete=is_complete,
        size_bytes=bytes_needed(kept, probes),
    )
    store, found = _open(folder, kept, digests)
    faulty = {fault.line for fault in found}
    rows = [row for row, line in enumerate(kept.lines) if line not in faulty]
    left = replace(kept.select(rows), skipped=(*faults, *found)).settle(on_error)
    return store.select(rows), left


def _open(folder: Path, faces: LandmarkList, digests: list[str]) -> tuple[PixelStore, list[Fault]]:
    """Map the pixels of all ``faces``; list those without pixels or with a point far outside."""
    index = read_index(folder)
    store = PixelStore(
        pixels=_mapped(folder / PIXELS, int(index["pixels"])),
        offset=torch.from_numpy(index["offset"]),
        size=torch.from_numpy(index["size"]),
        origin=torch.from_numpy(index["origin"]),
        image_size=torch.from_numpy(index["image_size"]),
        digest=digests,
        file=folder / PIXELS,
    )
    faults = [
        faces.fault(int(row), str(wanted), str(got))
        for row, (wanted, got) in zip(index["fault_row"], index["fault_text"], strict=True)
    ]
    undecoded = {int(row) for row in index["fault_row"]}
    sizes = index["image_size"][:, ::-1]  # width, height: the order of x, y
    slack = POINT_SLACK * (faces.boxes[:, 1::2] - faces.boxes[:, ::2])
    low, high = -slack[:, None], (sizes - 1 + slack)[:, None]
    outside = ((faces.points < low) | (faces.points > high)).any(axis=2)
    for row, point in zip(*np.nonzero(outside), strict=True):
        if row not in undecoded:
            x, y = faces.points[row, point]
            width, height = sizes[row]
            wanted = (
                f"point {point + 1} at most {POINT_SLACK:g} box sides outside "
                f"the {width} x {height} image"
            )
            faults.append(faces.fault(row, wanted, f"({x:g}, {y:g})"))
    return store, faults


def _mapped(file: Path, count: int) -> Tensor:
    return torch.from_file(str(file), shared=False, size=count, dtype=torch.int32)
