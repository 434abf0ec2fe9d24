"""Decoded faces with normals, kept in the pixel cache.

The cache is keyed by its contents: bytes of the files, their places in the lists, the size. A
map that the photographs of a session share is kept once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from facegeo.files.images import in_threads
from facegeo.files.lists import Fault, OnError, WantedError
from facegeo.files.pixel_cache import MappedTensors, load_all, mapped, open_cache, read_file
from facegeo.normals.lists import NormalRecord
from facegeo.normals.maps import (
    Bytes,
    Floats,
    Mask,
    check_normals,
    check_size,
    read_face,
    read_mask,
    read_normals,
    resize_face,
    resize_normals,
)
from facegeo.training.stream import Rows

FORMAT = 1  # raise it whenever the bytes written for the same input change
IMAGES, NORMALS, MASKS = "images.u8", "normals", "masks.u8"


@dataclass(frozen=True, eq=False)
class NormalStore(MappedTensors):
    """N faces with M normal maps, all S x S px.

    Attributes:
        images: RGB, uint8, shape (., S, S, 3).
        normals: As stored in the files' frame, shape (M, S, S, 3): uint8 colours 255 (n + 1) / 2,
            or float16 vectors.
        masks: 1 for face pixels, uint8, shape (M, S, S).
        image_of: Which image belongs to each face, int64, shape (N,).
        map_of: Which map and mask belong to each face, int64, shape (N,).
        digest: SHA-256 of each image file, N.
        folder: Folder of the cache.
        files: The files that ``images``, ``normals`` and ``masks`` map.
    """

    images: Tensor
    normals: Tensor
    masks: Tensor
    image_of: Tensor
    map_of: Tensor
    digest: list[str]
    folder: Path
    files: Mapping[str, Path]

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
        cache_dir: Folder for caches, created if missing.
        size: Side that all pictures are brought to, px.
        on_error: ``"raise"`` keeps no cache of faulty files; ``"skip"`` keeps one without them.
        progress: Show progress bars on the standard error stream.

    Returns:
        The store and the records in it, row by row, and the faults of the others: one for each
        faulty file. No store if ``on_error`` is ``"raise"`` and there are faults.

    Raises:
        UserError: If the cache cannot be written.
    """
    names = {name: None for record in records for name in (record.normal, record.mask)}
    names |= {record.face: None for record in records}
    digests = in_threads(partial(_digest, root), list(names), "Checking files", progress)
    plan = _Plan(root, records, size, dict(zip(names, digests, strict=True)))
    sizes = {IMAGES: 3 * len(records), NORMALS: 3 * len(plan.maps), MASKS: len(plan.maps)}
    sizes[NORMALS] *= 2 if plan.halves else 1
    try:
        folder, index = open_cache(
            cache_dir,
            f"normals-{plan.key()}",
            lambda folder: plan.write(folder, on_error, progress),
            size_bytes=size**2 * sum(sizes.values()),
        )
    except _UnsoundError as error:
        return None, [], error.faults
    files = {"images": folder / IMAGES, "normals": folder / NORMALS, "masks": folder / MASKS}
    coded, maps = torch.float16 if plan.halves else torch.uint8, len(plan.maps)
    store = NormalStore(
        images=mapped(files["images"], torch.uint8, len(records), size, size, 3),
        normals=mapped(files["normals"], coded, maps, size, size, 3),
        masks=mapped(files["masks"], torch.uint8, maps, size, size),
        image_of=torch.arange(len(records)),
        map_of=torch.tensor(plan.map_of),
        digest=[plan.digests[record.face] for record in records],
        folder=folder,
        files=files,
    )
    rows = np.array([r for r in range(len(records)) if r not in set(index["rows"])], np.int64)
    faults = [Fault(**fault) for fault in index["faults"]]
    return store.select(rows), [records[row] for row in rows], faults


def _digest(root: Path, name: str) -> str:
    """SHA-256 of a file, or why it cannot be read."""
    try:
        return hashlib.sha256(read_file(root / name)).hexdigest()
    except WantedError as error:
        return error.got


class _UnsoundError(Exception):
    """A build that stopped because of ``faults``."""

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__(f"{len(faults)} faults")
        self.faults = faults


@dataclass(frozen=True)
class _Plan:
    """Contents of a cache: faces, the side of all pictures in px, and each file's SHA-256."""

    root: Path
    records: Sequence[NormalRecord]
    size: int
    digests: Mapping[str, str]

    @cached_property
    def maps(self) -> list[tuple[str, str]]:
        """The different pairs of normal map and mask."""
        return list(dict.fromkeys((record.normal, record.mask) for record in self.records))

    @cached_property
    def map_of(self) -> list[int]:
        """Number of each face's pair."""
        numbers = {pair: number for number, pair in enumerate(self.maps)}
        return [numbers[record.normal, record.mask] for record in self.records]

    @property
    def halves(self) -> bool:
        """Whether normals are kept as float16, not as 8-bit colours: some files are finer."""
        return any(normal.endswith(".npy") for normal, _ in self.maps)

    def key(self) -> str:
        """Hash of all that decides the bytes of the cache and its faults, 32 hex digits."""
        lines = [f"facegeo normals {FORMAT} {self.size} {self.halves}"]
        for record in self.records:
            files = [(f, self.digests[f]) for f in (record.face, record.normal, record.mask)]
            lines.append(repr((record.list_name, record.line, files)))
        text = "\n".join(lines).encode("utf-8", "surrogateescape")
        return hashlib.sha256(text).hexdigest()[:32]

    def write(self, folder: Path, on_error: OnError, progress: bool) -> dict[str, Any]:
        """Decode all files; the index has their faults and the rows without pixels.

        Raises:
            _UnsoundError: If there are faults and ``on_error`` is ``"raise"``.
        """
        faults: list[Fault] = []
        lost: set[int] = set()
        sides: list[int | None] = []  # of the maps before they are resized; None for a faulty one
        blank = np.zeros((self.size, self.size, 3), np.float32)
        with (folder / NORMALS).open("wb") as normals, (folder / MASKS).open("wb") as masks:
            maps = load_all(self._load_map, len(self.maps), "Decoding normals", progress)
            for number, loaded in enumerate(maps):
                if isinstance(loaded, WantedError):
                    rows = [row for row, of in enumerate(self.map_of) if of == number]
                    faults.append(self.records[rows[0]].fault(loaded))
                    lost.update(rows)
                    vectors, mask, side = blank, blank[..., 0] > 0, None
                else:
                    vectors, mask, side = loaded
                normals.write(self._coded(vectors).tobytes())
                masks.write(mask.tobytes())
                sides.append(side)
        with (folder / IMAGES).open("wb") as images:
            load = partial(self._load_face, sides)
            faces = load_all(load, len(self.records), "Decoding faces", progress)
            for row, face in enumerate(faces):
                if isinstance(face, WantedError):
                    faults.append(self.records[row].fault(face))
                    lost.add(row)
                    face = blank.astype(np.uint8)
                images.write(face.tobytes())
        if faults and on_error == "raise":
            raise _UnsoundError(faults)
        return {"faults": [asdict(fault) for fault in faults], "rows": sorted(lost)}

    def _coded(self, vectors: Floats) -> npt.NDArray[Any]:
        if self.halves:
            return vectors.astype(np.float16)
        return ((vectors + 1) * 127.5).round().clip(0, 255).astype(np.uint8)

    def _load_map(self, number: int) -> tuple[Floats, Mask, int | None]:
        normal, mask = self.maps[number]
        file = mask
        try:
            face = read_mask(read_file(self.root / mask, self.digests[mask]))
            file = normal
            vectors = read_normals(read_file(self.root / normal, self.digests[normal]))
            check_normals(vectors, face)
        except WantedError as error:
            raise WantedError(error.wanted, error.got, file) from error
        return *resize_normals(vectors, face, self.size), len(face)

    def _load_face(self, sides: Sequence[int | None], row: int) -> Bytes:
        name, side = self.records[row].face, sides[self.map_of[row]]
        try:
            image = read_face(read_file(self.root / name, self.digests[name]))
            if side is not None:
                check_size(image, "an image of the size of its normal map", side, side)
        except WantedError as error:
            raise WantedError(error.wanted, error.got, name) from error
        return resize_face(image, self.size)
