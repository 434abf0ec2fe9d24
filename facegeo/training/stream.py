"""Resumable order of training samples, and random splits."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import DataLoader, Sampler

from facegeo.errors import UserError
from facegeo.files.writing import write_whole

Draw = tuple[int, int]
"""(epoch, row): which sample, and in which of its augmentations."""


def seeded(*numbers: int) -> torch.Generator:
    """A CPU generator that depends on all the numbers, e.g. seed, epoch and purpose."""
    state = 0x9E3779B97F4A7C15
    for number in numbers:  # splitmix64's finisher: near seeds give unrelated streams
        state = (state + number) & (2**64 - 1)
        state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & (2**64 - 1)
        state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & (2**64 - 1)
        state ^= state >> 31
    return torch.Generator().manual_seed(state & (2**63 - 1))


class BatchStream(Sampler[list[Draw]]):
    """Batches cut from one shuffled epoch after the other; batch k depends only on the seed and k.

    Every batch is full, so a step always means the same number of samples, and a run that stops
    after k batches resumes with batch k.

    Args:
        rows: Number of samples.
        batch_size: Samples of a batch in this process.
        batches: Length of the stream.
        seed: Seed of the order.
        rank: This process among ``world``; each takes its own slice of the joint batch.
        world: Number of processes.
    """

    def __init__(
        self, rows: int, batch_size: int, batches: int, seed: int, rank: int = 0, world: int = 1
    ) -> None:
        self.rows, self.batch_size, self.batches, self.seed = rows, batch_size, batches, seed
        self.rank, self.world = rank, world
        self.start = 0
        self._order: tuple[int, list[int]] = (-1, [])

    def __len__(self) -> int:
        return self.batches

    @property
    def epochs(self) -> int:
        """Epochs that the whole stream touches, the last perhaps in part."""
        return ceil(self.batches * self.world * self.batch_size / self.rows)

    def __iter__(self) -> Iterator[list[Draw]]:
        for batch in range(self.start, self.batches):
            first = (batch * self.world + self.rank) * self.batch_size
            yield [self._draw(first + i) for i in range(self.batch_size)]

    def _draw(self, position: int) -> Draw:
        epoch, place = divmod(position, self.rows)
        if self._order[0] != epoch:
            order = torch.randperm(self.rows, generator=seeded(self.seed, epoch, 0))
            self._order = (epoch, order.tolist())  # numbers of a list cost a tenth of a tensor's
        return epoch, self._order[1][place]


def as_it_is(batch: object) -> object:
    """Collate nothing: the data set hands out whole batches."""
    return batch


class ResumableLoader(DataLoader[Any]):
    """A DataLoader over a ``BatchStream`` that Lightning can stop and resume at any batch."""

    batch_sampler: BatchStream

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        """Resume where the stream was left; the next pass starts over."""
        self._given = self.batch_sampler.start
        for batch in super().__iter__():
            self._given += 1
            yield batch
        self.batch_sampler.start = 0

    def state_dict(self) -> dict[str, int]:
        """Batches handed out so far; Lightning keeps it in every checkpoint."""
        return {"batches": getattr(self, "_given", 0)}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Start the next pass where ``state`` says."""
        self.batch_sampler.start = state["batches"]


Rows = npt.NDArray[np.int64]


def validation_split(
    digests: Sequence[str], fraction: float, seed: int, name: str = "val_fraction"
) -> tuple[Rows, Rows]:
    """Set images aside for validation.

    Images are put in the order of a hash of seed and digest, and the first ones are taken: the
    order of the list does not matter, and byte-identical images stay together.

    Args:
        digests: Digest of each image of the list, N.
        fraction: Part of the images to set aside, 0 <= fraction < 1.
        seed: Another seed gives another split.
        name: Key of the fraction in the configuration, for messages.

    Returns:
        Rows of the training and of the validation images, each ascending; ``round(fraction * N)``
        validation images, or a few more or less, since identical images stay on one side.

    Raises:
        UserError: If the fraction is out of range or leaves one side empty.
    """
    if not 0 <= fraction < 1:
        raise UserError(f"data.{name} must be at least 0 and below 1, got {fraction}")
    groups: dict[str, list[int]] = defaultdict(list)
    for row, digest in enumerate(digests):
        groups[digest].append(row)
    wanted = round(fraction * len(digests))
    val: list[int] = []
    for digest in sorted(groups, key=lambda digest: _draw(digest, seed)):
        if len(groups[digest]) <= 2 * (wanted - len(val)):  # nearer to the wanted number with it
            val += groups[digest]
    train = np.setdiff1d(np.arange(len(digests)), val)
    if (fraction > 0 and not val) or len(train) == 0:
        raise UserError(
            f"data.{name}={fraction} of {len(digests)} images must leave at least one image "
            f"on each side, got {len(train)} for training and {len(val)} held out; "
            f"change data.{name}"
        )
    return train.astype(np.int64), np.sort(np.array(val, dtype=np.int64))


def _draw(digest: str, seed: int) -> str:
    return hashlib.sha256(f"{seed} {digest}".encode()).hexdigest()


def twins(digests_a: Sequence[str], digests_b: Sequence[str]) -> list[tuple[int, int]]:
    """Find byte-identical images in two lists.

    Args:
        digests_a: Digest of each image of the first list.
        digests_b: Digest of each image of the second list.

    Returns:
        Row in the first and row in the second list of every identical pair, by row.
    """
    rows: dict[str, list[int]] = defaultdict(list)
    for row, digest in enumerate(digests_b):
        rows[digest].append(row)
    return [(a, b) for a, digest in enumerate(digests_a) for b in rows.get(digest, ())]


def content_digest(names: Sequence[str], digests: Sequence[str]) -> str:
    """Hash of the images of a list and of their names, whatever their order; 64 hex digits."""
    pairs = sorted(f"{digest} {name}" for name, digest in zip(names, digests, strict=True))
    text = "\n".join(pairs).encode("utf-8", "surrogateescape")
    return hashlib.sha256(text).hexdigest()


def keep_split_file(path: Path, split: Mapping[str, Any]) -> None:
    """Write a split as JSON, or check that the one saved there is the same.

    Args:
        path: File of the split.
        split: All that decides it, and the names of the images on each side.

    Raises:
        UserError: If the file cannot be read or is of another split; the first difference is
            named.
    """
    if not path.exists():
        write_whole(path, json.dumps(split, indent=1) + "\n")
        return
    try:
        saved = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _mismatch(path, "a saved split (JSON)", str(error)) from error
    for key, wanted in split.items():
        got = saved.get(key) if isinstance(saved, dict) else saved
        if got != wanted:
            raise _mismatch(path, f"{key} {wanted!r:.80}", f"{got!r:.80}")


def _mismatch(path: Path, wanted: str, got: str) -> UserError:
    return UserError(
        f"{path}: the saved split is of other data or settings: wanted {wanted}, got {got}; "
        "choose another name= for this run, or go back to the data it was made for"
    )
