"""Pixels round every face of a list, decoded once into one memory-mapped file.

Decoding JPEG costs more than a training step of the small nets; the cache makes a training
epoch read bytes alone. It is keyed by what it holds: bytes of the images, boxes and settings.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from facegeo.data.cache_folder import build_once
from facegeo.data.faults import Fault, OnError
from facegeo.data.landmark_list import LandmarkList
from facegeo.data.pixel_build import (
    PIXELS,
    READABLE,
    bytes_needed,
    cache_key,
    is_complete,
    probe_images,
    read_index,
    write_cache,
)

POINT_SLACK = 0.5
"""How far a point may lie outside the image, in box sides."""


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
    margin: float = 0.4,
    levels: int = 4,
    on_error: OnError = "raise",
    progress: bool = True,
) -> tuple[PixelStore, LandmarkList]:
    """Open the pixels of a list; decode its images first if the cache lacks them.

    Faults of the images join those in ``faces.skipped``: a list read with ``on_error="skip"`` and
    opened with ``"raise"`` has all its faults in one error.

    Args:
        faces: The faces.
        cache_dir: Folder for caches, made if need be.
        margin: Part of the image kept on each side of the box, in box sides.
        levels: Number of sizes, each half the one before.
        on_error: ``"raise"`` or ``"skip"`` faulty faces.
        progress: Show progress bars on the standard error stream.

    Returns:
        The store and the faces in it, row by row; faults that were skipped are in ``skipped``.

    Raises:
        UserError: If images have faults and ``on_error`` is ``"raise"``, if none is left, or if
            the cache can not be written.
        ValueError: If ``margin`` is negative or ``levels`` is below 1.
    """
    if margin < 0 or levels < 1:
        raise ValueError(f"margin >= 0 and levels >= 1 wanted, got {margin} and {levels}")
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
        "pixels-" + cache_key(kept, digests, margin, levels),
        build=lambda folder: write_cache(folder, kept, probes, margin, levels, progress),
        complete=is_complete,
        size_bytes=bytes_needed(kept, probes, margin, levels),
    )
    store, found = _open(folder, kept, digests)
    faulty = {fault.line for fault in found}
    rows = [row for row, line in enumerate(kept.lines) if line not in faulty]
    left = replace(kept.select(rows), skipped=(*faults, *found)).settle(on_error)
    return store.select(rows), left


def _open(folder: Path, faces: LandmarkList, digests: list[str]) -> tuple[PixelStore, list[Fault]]:
    """Map the pixels of all ``faces`` and list those that have none or a point far off."""
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
