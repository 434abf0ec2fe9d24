"""LightningDataModule that trains on the faces of several others, in fixed shares of each batch."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Sampler

from facegeo.errors import UserError
from facegeo.normals.data import NormalBatch, NormalDataModule, WholeBatches
from facegeo.training.stream import BatchStream, Draw, keep_split_file


class JoinedFacesDataModule(NormalDataModule):
    """Training batches with faces of several data modules; the first one validates and tests.

    Args:
        parts: Data modules by name, all of one picture size.
        shares: Share of each part in every training batch, by the same names; their sum is 1. A
            part of share 0 is not read.
        batch_size: Training faces of a step in one process.
        title: What the faces are; None takes the first part's.
        seed: Seed of order and augmentation.
        num_workers: Loader processes.
        root: What configurations of parts point to (``${data.root}``); not used here.
        reference: The same.
        size: The same.

    Raises:
        UserError: If names, sizes or shares do not fit together.
    """

    def __init__(
        self,
        parts: Mapping[str, NormalDataModule],
        shares: Mapping[str, float],
        *,
        batch_size: int = 8,
        title: str | None = None,
        seed: int = 0,
        num_workers: int = 0,
        root: str | None = None,
        reference: str | None = None,
        size: int | None = None,
    ) -> None:
        super().__init__()
        if set(parts) != set(shares) or not parts:
            raise UserError(
                f"data.shares must name the parts {', '.join(parts)}; got {', '.join(shares)}"
            )
        if min(shares.values()) < 0 or abs(sum(shares.values()) - 1) > 1e-6:
            raise UserError(f"data.shares must be 0 or more with the sum 1, got {dict(shares)}")
        self.main = next(iter(parts.values()))
        self.counts = _counts(shares, batch_size)
        self.parts = {name: part for name, part in parts.items() if self.counts[name]}
        sizes = {name: part.size for name, part in parts.items()}
        if len(set(sizes.values())) > 1:
            raise UserError(f"all parts of data must have one picture size, got {sizes}")
        self.shares = dict(shares)
        self.size, self.coding, self.paper = self.main.size, self.main.coding, self.main.paper
        self.title = self.main.title if title is None else title
        self.batch_size, self.eval_batch_size = batch_size, self.main.eval_batch_size
        self.seed, self.num_workers = seed, num_workers

    def _all(self) -> dict[str, NormalDataModule]:
        """Parts that are read: those trained on, and the one that is measured on."""
        first = {} if self.main in self.parts.values() else {"": self.main}
        return first | self.parts

    def prepare_data(self) -> None:
        """Render or prepare what the parts need."""
        for part in self._all().values():
            part.prepare_data()

    def check(self, splits: Sequence[str]) -> None:
        """Read everything before a training begins.

        Raises:
            UserError: With every fault of a part, or if a split is unknown or empty.
        """
        self.main.check(splits)
        for part in self.parts.values():
            part.check(["train"])

    def _description(self) -> dict[str, Any]:
        split = self.main.split_settings
        contents = {name: part.content() for name, part in self.parts.items()}
        return {"split": split, "shares": self.shares, "parts": contents}

    def content(self) -> str:
        """Sixteen hex digits that change with any face of any part, the split and the shares."""
        return hashlib.sha256(repr(self._description()).encode()).hexdigest()[:16]

    def tested_content(self) -> str:
        """Hex digits of the first part, which is measured on."""
        return self.main.tested_content()

    def keep_split(self, path: Path) -> None:
        """Save the split, or compare it with the one that was saved.

        Raises:
            UserError: If the saved split is of other data or settings.
        """
        keep_split_file(path, self._description())

    @property
    def split_settings(self) -> dict[str, Any]:
        """What decides which faces were held out."""
        return self.main.split_settings

    @property
    def split_kind(self) -> str:
        """The kind of split of the faces that are measured on."""
        return self.main.split_kind

    @property
    def validates(self) -> bool:
        """Whether any face is held out for validation."""
        return self.main.validates

    def faces(self, split: str) -> WholeBatches:
        """Faces of a split of the first part, as they are."""
        return self.main.faces(split)

    def views(self, split: str) -> Mapping[str, WholeBatches]:
        """More pictures of the first part's faces to measure on."""
        return self.main.views(split)

    def subjects(self, split: str, view: str | None = None) -> Sequence[str]:
        """Name the person of each ``sample`` of the first part."""
        return self.main.subjects(split, view)

    def average_face(self) -> Tensor | None:
        """Mean normals of the first part's training people."""
        return self.main.average_face()

    def training_faces(self) -> JoinedFaces:
        """Faces of all parts to train on."""
        return JoinedFaces({name: part.training_faces() for name, part in self.parts.items()})

    def training_stream(self, rank: int, world: int) -> JoinedStream:
        """Order of the training: a stream of each part, side by side."""
        faces = self.training_faces().parts
        streams = {
            name: BatchStream(
                len(faces[name]), self.counts[name], self.steps, self.seed, rank, world
            )
            for name in self.parts
        }
        return JoinedStream(streams, self.steps)

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> NormalBatch:  # noqa: ANN401
        """Make the pictures of a batch, part by part, and put them together."""
        if "joined" not in batch:  # of the first part, to measure on
            return self.main.on_after_batch_transfer(batch, dataloader_idx)
        made = [
            self.parts[name].on_after_batch_transfer(own, dataloader_idx)
            for name, own in batch["joined"].items()
        ]
        return NormalBatch(
            sample=torch.cat([one["sample"] for one in made]),
            image=torch.cat([one["image"] for one in made]),
            normal=torch.cat([one["normal"] for one in made]),
            mask=torch.cat([one["mask"] for one in made]),
        )


class JoinedFaces(WholeBatches):
    """Batches of several data sets: takes draws (name, draw).

    Args:
        parts: Data sets by name.
    """

    def __init__(self, parts: Mapping[str, WholeBatches]) -> None:
        self.parts = parts

    def __len__(self) -> int:
        return sum(len(part) for part in self.parts.values())

    def __getitems__(self, draws: Sequence[tuple[str, Draw]]) -> dict[str, dict[str, Any]]:
        """One batch of each data set, by name."""
        own = {name: [draw for of, draw in draws if of == name] for name in self.parts}
        return {"joined": {name: self.parts[name].__getitems__(rows) for name, rows in own.items()}}


class JoinedStream(Sampler[list[tuple[str, Draw]]]):
    """Several streams side by side, each with its own part of every batch; resumable as they are.

    Args:
        streams: Streams by name.
        batches: Length of the stream.
    """

    def __init__(self, streams: Mapping[str, BatchStream], batches: int) -> None:
        self.streams, self.batches, self.start = streams, batches, 0

    def __len__(self) -> int:
        return self.batches

    def __iter__(self) -> Iterator[list[tuple[str, Draw]]]:
        for stream in self.streams.values():
            stream.start = self.start
        for drawn in zip(*self.streams.values(), strict=True):
            yield [
                (name, draw) for name, own in zip(self.streams, drawn, strict=True) for draw in own
            ]


def _counts(shares: Mapping[str, float], batch_size: int) -> dict[str, int]:
    """Faces of each part in a batch: the nearest whole numbers with the right sum."""
    exact = {name: share * batch_size for name, share in shares.items()}
    counts = {name: int(value) for name, value in exact.items()}
    rest = sorted(exact, key=lambda name: counts[name] - exact[name])
    for name in rest[: batch_size - sum(counts.values())]:
        counts[name] += 1
    lost = [name for name, share in shares.items() if share and not counts[name]]
    if lost:
        raise UserError(
            f"data.shares of {', '.join(lost)} are below one face of data.batch_size={batch_size}; "
            "raise the batch size, or set the share to 0"
        )
    return counts
