"""Decoded faces: the region of each at several sizes, kept in the pixel cache."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from facegeo.files.images import Bytes, ImageError, decode, image_size, in_threads
from facegeo.files.lists import Fault, OnError, WantedError
from facegeo.files.pixel_cache import MappedTensors, load_all, mapped, open_cache, read_file
from facegeo.geometry.crops import MARGIN, source_regions
from facegeo.landmarks.lists import POINT_SLACK, LandmarkList

FORMAT = 2  # raise it whenever the bytes written for the same input change
LEVELS = 4
"""Number of sizes of a region in the cache."""
PIXELS = "pixels.i32"
UNREADABLE = (0, 0, 0, 0, 0, 0)
Region = tuple[int, int, int, int, int, int]
"""Of a face: x and y of the first pixel, height and width; height and width of its image; px."""
Packed = npt.NDArray[np.int32]


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


def pyramid(image: Bytes, levels: int) -> list[Packed]:
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


def _pack(rgba: npt.NDArray[np.generic]) -> Packed:
    return np.ascontiguousarray(rgba).view("<i4")[..., 0]


@dataclass(frozen=True, eq=False)
class PixelStore(MappedTensors):
    """Packed pixels of the source regions of N faces at L sizes.

    Pixel (row i, column j) of level l of a face has its centre at (x, y) =
    ((j + .5) 2^l - .5 + x0, (i + .5) 2^l - .5 + y0) of the image, (x0, y0) being its ``origin``.

    Attributes:
        pixels: All pixels one after the other, int32, shape (P,); red in the lowest byte, then
            green, blue and 255.
        offset: Index in ``pixels`` of the first pixel of each level, int64, shape (N, L).
        size: Height and width of each level, int64, shape (N, L, 2).
        origin: x and y of the region's first pixel in the image, int64, shape (N, 2).
        image_size: Height and width of the whole image, int64, shape (N, 2).
        digest: SHA-256 of each image file.
        files: The file that ``pixels`` maps, if any.
    """

    pixels: Tensor
    offset: Tensor
    size: Tensor
    origin: Tensor
    image_size: Tensor
    digest: list[str]
    files: Mapping[str, Path] = field(default_factory=dict)

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
            offset=self.offset.to(device),
            size=self.size.to(device),
            origin=self.origin.to(device),
            image_size=self.image_size.to(device),
            files=self.files if pixels is self.pixels else {},
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
    paths = [faces.path(row) for row in range(len(faces))]
    probes = list(in_threads(_probe, paths, "Checking images", progress))
    digests = [digest for digest, _ in probes]
    key = hashlib.sha256(f"facegeo pixels {FORMAT} {MARGIN!r} {LEVELS}".encode())
    key.update("".join(digests).encode())
    key.update(np.ascontiguousarray(faces.boxes, dtype="<f8").tobytes())
    headers = [
        _region(box, *size) if all(size) else UNREADABLE
        for box, (_, size) in zip(faces.boxes, probes, strict=True)
    ]
    folder, index = open_cache(
        Path(cache_dir),
        f"pixels-{key.hexdigest()[:32]}",
        lambda folder: _write(folder, faces, digests, progress),
        size_bytes=4 * int(_level_sizes(torch.tensor(headers)).prod(-1).sum()),
    )
    regions = torch.tensor(index["regions"])
    found = [faces.fault(row, wanted, got) for row, wanted, got in index["faults"]]
    found += _points_outside(faces, regions[:, 4:].numpy())
    faulty = {fault.line for fault in found}
    rows = [row for row, line in enumerate(faces.lines) if line not in faulty]
    kept = replace(faces.select(rows), skipped=(*faces.skipped, *found)).settle(on_error)
    size = _level_sizes(regions)
    counts = size.prod(-1).flatten()
    store = PixelStore(
        pixels=mapped(folder / PIXELS, torch.int32, int(counts.sum())),
        offset=(counts.cumsum(0) - counts).view(-1, LEVELS),
        size=size,
        origin=regions[:, :2],
        image_size=regions[:, 4:],
        digest=digests,
        files={"pixels": folder / PIXELS},
    )
    return store.select(rows), kept


def _probe(path: Path) -> tuple[str, tuple[int, int]]:
    """SHA-256 of an image file, or why it cannot be read; height and width, or zeros."""
    try:
        data = read_file(path)
    except WantedError as error:
        return error.got, (0, 0)
    digest = hashlib.sha256(data).hexdigest()
    try:
        return digest, image_size(data, whole=False)
    except ImageError:
        return digest, (0, 0)


def _region(box: npt.NDArray[np.float64], height: int, width: int) -> Region:
    x0, x1, y0, y1 = source_region(box, height, width)
    return x0, y0, y1 - y0, x1 - x0, height, width


def _level_sizes(regions: Tensor) -> Tensor:
    """Height and width of each level of regions (N, 6), halved and rounded up, (N, L, 2)."""
    scale = 2 ** torch.arange(LEVELS)[:, None]
    return (regions[:, None, 2:4] + scale - 1) // scale


def _write(
    folder: Path, faces: LandmarkList, digests: Sequence[str], progress: bool
) -> dict[str, Any]:
    """Decode all faces; the index has the region of each, and the faults of those without one."""

    def load(row: int) -> tuple[Region, list[Packed]]:
        return _load(faces.path(row), digests[row], faces.boxes[row])

    regions: list[Region] = []
    faults: list[tuple[int, str, str]] = []
    with (folder / PIXELS).open("wb") as file:
        for row, result in enumerate(load_all(load, len(faces), "Decoding faces", progress)):
            if isinstance(result, WantedError):
                faults.append((row, result.wanted, result.got))
                result = UNREADABLE, []
            regions.append(result[0])
            for level in result[1]:
                file.write(level.data)
    return {"regions": regions, "faults": faults}


def _load(path: Path, digest: str, box: npt.NDArray[np.float64]) -> tuple[Region, list[Packed]]:
    try:
        image = decode(read_file(path, digest))
    except ImageError as error:
        raise WantedError("a readable image", str(error)) from error
    height, width = image.shape[:2]
    left, right, top, bottom = (float(edge) for edge in box)
    if not (0 <= left + right <= 2 * (width - 1) and 0 <= top + bottom <= 2 * (height - 1)):
        raise WantedError(
            f"a box with its centre in the {width} x {height} image",
            f"left {left:g}, right {right:g}, top {top:g}, bottom {bottom:g}",
        )
    region = _region(box, height, width)
    x, y, rows, columns, *_ = region
    return region, pyramid(image[y : y + rows, x : x + columns], LEVELS)


def _points_outside(faces: LandmarkList, image_size: npt.NDArray[np.int64]) -> list[Fault]:
    """Faults of points far outside their image (height and width, (N, 2); zeros: unknown)."""
    size = image_size[:, ::-1]  # width, height: the order of x, y
    slack = POINT_SLACK * (faces.boxes[:, 1::2] - faces.boxes[:, ::2])
    low, high = -slack[:, None], (size - 1 + slack)[:, None]
    outside = ((faces.points < low) | (faces.points > high)).any(axis=2)
    known = image_size[:, :1] > 0
    faults = []
    for row, point in zip(*np.nonzero(outside & known), strict=True):
        x, y = faces.points[row, point]
        width, height = size[row]
        wanted = (
            f"point {point + 1} at most {POINT_SLACK:g} box sides outside "
            f"the {width} x {height} image"
        )
        faults.append(faces.fault(row, wanted, f"({x:g}, {y:g})"))
    return faults
