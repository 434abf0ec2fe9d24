"""Endless, seeded, resumable order of training samples."""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil
from typing import Any

import torch
from torch.utils.data import DataLoader, Sampler

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
    """Batches cut from one shuffled epoch after the other; batch k depends on the seed and k alone.

    Every batch is full, so a step always means the same number of samples, and a run that stops
    after k batches goes on with batch k.

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
    """A DataLoader over a ``BatchStream`` that Lightning can stop and take up at any batch."""

    batch_sampler: BatchStream

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        """Go on from where the stream was left, then start over."""
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
