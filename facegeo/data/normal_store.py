"""Images, normal maps and masks of a data set, decoded once into memory-mapped files.

The cache is keyed by what it holds: bytes of the files, their places in the lists, the size. A
map that the photographs of a session share is kept once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from facegeo.data.cache_folder import build_once
from facegeo.data.faults import Fault, OnError
from facegeo.data.normal_build import (
    IMAGES,
    MASKS,
    NORMALS,
    Plan,
    UnsoundError,
    cache_key,
    digests,
    is_complete,
    read_losses,
    write_cache,
)
from facegeo.data.normal_list import NormalRecord
from facegeo.data.split import Rows


@dataclass(frozen=True, eq=False)
class NormalStore:
    """N faces with M normal maps, all S x S px.

    Attributes:
        images: RGB, uint8, shape (., S, S, 3), private map of the file.
        normals: As stored in the files' frame, shape (M, S, S, 3): uint8 colours 255 (n + 1) / 2,
            or float16 vectors.
        masks: 1 for face pixels, uint8, shape (M, S, S).
        image_of: Which image belongs to each face, int64, shape (N,).
        map_of: Which map and mask belong to each face, int64, shape (N,).
        digest: SHA-256 of each image file, N.
        folder: Where the files are.
    """

    images: Tensor
    normals: Tensor
    masks: Tensor
    image_of: Tensor
    map_of: Tensor
    digest: list[str]
    folder: Path

    def __reduce__(self) -> tuple[Callable[..., NormalStore], tuple[object, ...]]:
        """Let other processes map the files themselves: no pixels are handed over."""
        shapes = (tuple(self.images.shape), tuple(self.masks.shape), self.normals.dtype)
        return _mapped, (self.folder, *shapes, self.image_of, self.map_of, self.digest)

    def __len__(self) -> int:
        """Number of faces N."""
        return len(self.digest)

    def take(self, rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Copy images (B, S, S, 3), normals (B, S, S, 3) and masks (B, S, S) of ``rows`` (B,)."""
        maps = self.map_of[rows]
        return (
            self.images.index_select(0, self.image_of[rows]),
            self.normals.index_select(0, maps),
            self.masks.index_select(0, maps),
        )

    def select(self, rows: Rows) -> NormalStore:
        """Return the faces ``rows`` in that order; pixels are shared."""
        index = torch.from_numpy(rows)
        return replace(
            self,
            image_of=self.image_of[index],
            map_of=self.map_of[index],
            digest=[self.digest[row] for row in rows],
        )


def open_store(
    root: Path,
    records: Sequence[NormalRecord],
    cache_dir: Path,
    *,
    size: int,
    on_error: OnError = "raise",
    progress: bool = True,
) -> tuple[NormalStore | None, list[NormalRecord], list[Fault]]:
    """Open the pixels of records; decode their files first if the cache lacks them.

    Args:
        root: Folder that the records' paths are relative to.
        records: At least one face.
        cache_dir: Folder for caches, made if need be.
        size: Side that all pictures are brought to, px.
        on_error: ``"raise"`` keeps no cache of faulty files; ``"skip"`` keeps one without them.
        progress: Show progress bars on the standard error stream.

    Returns:
        The store and the records in it, row by row, and the faults of the others: one for each
        faulty file. No store if ``on_error`` is ``"raise"`` and there are faults.

    Raises:
        UserError: If the cache can not be written.
    """
    plan = Plan.of(root, records, size)
    digest = digests(plan, progress)
    try:
        folder = build_once(
            cache_dir,
            "normals-" + cache_key(plan, digest),
            build=lambda folder: write_cache(
                folder, plan, with_faults=on_error == "skip", progress=progress
            ),
            complete=is_complete,
            size_bytes=sum(plan.bytes_of.values()),
        )
    except UnsoundError as error:
        return None, [], error.losses.faults
    losses = read_losses(folder)
    rows = np.array([row for row in range(len(records)) if row not in losses.rows], np.int64)
    side = plan.size
    store = _mapped(
        folder,
        (len(records), side, side, 3),
        (len(plan.maps), side, side),
        torch.float16 if plan.halves else torch.uint8,
        torch.arange(len(records)),
        torch.tensor(plan.map_of),
        [digest[record.face] for record in records],
    )
    return store.select(rows), [records[row] for row in rows], losses.faults


def _mapped(
    folder: Path,
    images: tuple[int, ...],
    masks: tuple[int, ...],
    dtype: torch.dtype,
    image_of: Tensor,
    map_of: Tensor,
    digest: list[str],
) -> NormalStore:
    def file(name: str, kind: torch.dtype, shape: tuple[int, ...]) -> Tensor:
        path, count = str(folder / name), math.prod(shape)
        return torch.from_file(path, shared=False, size=count, dtype=kind).view(shape)

    return NormalStore(
        images=file(IMAGES, torch.uint8, images),
        normals=file(NORMALS, dtype, (*masks, 3)),
        masks=file(MASKS, torch.uint8, masks),
        image_of=image_of,
        map_of=map_of,
        digest=digest,
        folder=folder,
    )
