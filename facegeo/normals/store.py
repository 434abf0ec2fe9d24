"""Decoded faces with normals, cached on disk.

The cache is keyed by its contents: bytes of the files, their places in the lists, the size. A
map that the photographs of a session share is kept once.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from facegeo.files.faults import Fault, OnError, WantedError
from facegeo.files.images import in_threads
from facegeo.files.writing import build_once
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
IMAGES, NORMALS, MASKS, INDEX = "images.u8", "normals", "masks.u8", "index.json"


@dataclass(frozen=True)
class Plan:
    """Contents of a cache.

    Attributes:
        root: Folder that all paths are relative to.
        records: The N faces.
        maps: The M different pairs of normal map and mask.
        map_of: Which of them belongs to each face, N.
        size: Side of all pictures, px.
    """

    root: Path
    records: Sequence[NormalRecord]
    maps: Sequence[tuple[str, str]]
    map_of: Sequence[int]
    size: int

    @classmethod
    def of(cls, root: Path, records: Sequence[NormalRecord], size: int) -> Plan:
        """Plan a cache of records; photographs of a session share its map."""
        pairs = [(record.normal, record.mask) for record in records]
        maps = {pair: number for number, pair in enumerate(dict.fromkeys(pairs))}
        return cls(root, records, tuple(maps), tuple(maps[pair] for pair in pairs), size)

    @property
    def halves(self) -> bool:
        """Whether normals are kept as float16 in place of 8-bit colours: some were finer."""
        return any(normal.endswith(".npy") for normal, _ in self.maps)

    @property
    def bytes_of(self) -> dict[str, int]:
        """Size of each file of the cache."""
        area = self.size**2
        depth = 2 if self.halves else 1
        return {
            IMAGES: 3 * area * len(self.records),
            NORMALS: 3 * area * depth * len(self.maps),
            MASKS: area * len(self.maps),
        }


@dataclass
class Losses:
    """Faults found, and the faces that have no pixels because of them."""

    faults: list[Fault] = field(default_factory=list)
    rows: set[int] = field(default_factory=set)


class UnsoundError(Exception):
    """A build that stopped because of ``losses``."""

    def __init__(self, losses: Losses) -> None:
        super().__init__(f"{len(losses.faults)} faults")
        self.losses = losses


def digests(plan: Plan, progress: bool) -> dict[str, str]:
    """SHA-256 of every file, or why it could not be read."""
    names = [name for pair in plan.maps for name in pair]
    names = list(dict.fromkeys([*names, *(record.face for record in plan.records)]))
    paths = [plan.root / name for name in names]
    found = in_threads(_digest, paths, "Checking files", progress)
    return dict(zip(names, found, strict=True))


def cache_key(plan: Plan, digest: dict[str, str]) -> str:
    """Hash of all that decides the bytes of a cache and its faults, 32 hexadecimal digits."""
    lines = [f"facegeo normals {FORMAT} {plan.size} {plan.halves}"]
    for record in plan.records:
        files = (record.face, record.normal, record.mask)
        lines.append(repr((record.list_name, record.line, [(f, digest[f]) for f in files])))
    text = "\n".join(lines).encode("utf-8", "surrogateescape")
    return hashlib.sha256(text).hexdigest()[:32]


def write_cache(folder: Path, plan: Plan, *, with_faults: bool, progress: bool) -> None:
    """Decode all files and write the cache into ``folder``.

    Raises:
        UnsoundError: If there are faults and the cache shall have none.
    """
    losses = Losses()
    with (folder / NORMALS).open("wb") as normals, (folder / MASKS).open("wb") as masks:
        sides = _write_maps(normals, masks, plan, losses, progress)
    with (folder / IMAGES).open("wb") as images:
        _write_images(images, plan, sides, losses, progress)
    if losses.faults and not with_faults:
        raise UnsoundError(losses)
    index = {
        "bytes": plan.bytes_of,
        "faults": [asdict(fault) for fault in losses.faults],
        "rows": sorted(losses.rows),
    }
    (folder / INDEX).write_text(json.dumps(index), encoding="utf-8")


def read_losses(folder: Path) -> Losses:
    """Read what ``write_cache`` could not decode."""
    index = json.loads((folder / INDEX).read_text(encoding="utf-8"))
    return Losses([Fault(**fault) for fault in index["faults"]], set(index["rows"]))


def is_complete(folder: Path) -> bool:
    """Whether the folder holds a readable index and files of the sizes it names."""
    try:
        wanted = json.loads((folder / INDEX).read_text(encoding="utf-8"))["bytes"]
        return all((folder / name).stat().st_size == size for name, size in wanted.items())
    except (OSError, ValueError, KeyError):
        return False


def _digest(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        return error.strerror or str(error)


def _write_maps(
    normals: BinaryIO, masks: BinaryIO, plan: Plan, losses: Losses, progress: bool
) -> list[int | None]:
    """Write the maps; return the side of each as it was, None for a faulty one."""

    def load(number: int) -> tuple[Floats, Mask, int] | tuple[str, WantedError]:
        return _load_map(plan, number)

    sides: list[int | None] = []
    results = in_threads(load, list(range(len(plan.maps))), "Decoding normals", progress)
    for number, result in enumerate(results):
        if len(result) == 2:
            file, fault = result
            rows = [row for row, of in enumerate(plan.map_of) if of == number]
            losses.faults.append(plan.records[rows[0]].fault(file, fault.wanted, fault.got))
            losses.rows.update(rows)
            vectors = np.zeros((plan.size, plan.size, 3), np.float32)
            mask, side = np.zeros((plan.size, plan.size), np.bool_), None
        else:
            vectors, mask, side = result
        stored = vectors.astype(np.float16) if plan.halves else _colours(vectors)
        normals.write(stored.tobytes())
        masks.write(mask.tobytes())
        sides.append(side)
    _sync(normals, masks)
    return sides


def _write_images(
    images: BinaryIO, plan: Plan, sides: Sequence[int | None], losses: Losses, progress: bool
) -> None:
    def load(row: int) -> Bytes | WantedError:
        return _load_face(plan, row, sides[plan.map_of[row]])

    blank = np.zeros((plan.size, plan.size, 3), np.uint8)
    results = in_threads(load, list(range(len(plan.records))), "Decoding faces", progress)
    for row, result in enumerate(results):
        if isinstance(result, WantedError):
            record = plan.records[row]
            losses.faults.append(record.fault(record.face, result.wanted, result.got))
            losses.rows.add(row)
            result = blank
        images.write(result.tobytes())
    _sync(images)


def _load_map(plan: Plan, number: int) -> tuple[Floats, Mask, int] | tuple[str, WantedError]:
    normal, mask = plan.maps[number]
    file = mask
    try:
        face = read_mask(_read(plan.root / mask))
        file = normal
        vectors = read_normals(_read(plan.root / normal))
        check_normals(vectors, face)
    except WantedError as fault:
        return file, fault
    return *resize_normals(vectors, face, plan.size), len(face)


def _load_face(plan: Plan, row: int, side: int | None) -> Bytes | WantedError:
    try:
        image = read_face(_read(plan.root / plan.records[row].face))
        if side is not None:
            check_size(image, "an image of the size of its normal map", side, side)
    except WantedError as fault:
        return fault
    return resize_face(image, plan.size)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise WantedError("a readable file", error.strerror or str(error)) from error


def _colours(normals: Floats) -> npt.NDArray[np.uint8]:
    return ((normals + 1) * 127.5).round().clip(0, 255).astype(np.uint8)


def _sync(*files: BinaryIO) -> None:
    for file in files:
        file.flush()
        os.fsync(file.fileno())


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
        UserError: If the cache cannot be written.
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
