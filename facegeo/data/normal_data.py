"""What trainings and reports ask of data with normals, whatever they come from."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from lightning import LightningDataModule
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from facegeo.data.stream import BatchStream, ResumableLoader, as_it_is
from facegeo.errors import UserError
from facegeo.types import NormalBatch

SPLITS = ("train", "val", "test")


class WholeBatches(Dataset[Any], ABC):
    """A data set that hands out whole batches, not samples to be collated."""

    @abstractmethod
    def __len__(self) -> int:
        """Number of faces."""

    @abstractmethod
    def __getitems__(self, draws: Sequence[Any]) -> Any:  # noqa: ANN401
        """A batch of rows, or of draws of (epoch, row)."""


class NormalDataModule(LightningDataModule, ABC):
    """Faces with normals in the splits "train", "val" and "test".

    Loaders hand out whole batches as they are stored or drawn; ``on_after_batch_transfer`` turns
    one, on the device that it is on, into a ``NormalBatch``. It needs no trainer, so that batches
    of several modules can be joined.

    Attributes:
        size: Side of all pictures, px.
        coding: How the pictures are coded, of ``facegeo.data.coding.CODINGS``; None: unknown.
        title: What the faces are, for tables and pictures.
        paper: Section of ``experiments/paper_values.yaml`` with the paper's figures, if any.
        batch_size: Training faces of a step in one process.
        eval_batch_size: Faces of a validation or test batch.
        num_workers: Loader processes.
        seed: Seed of order and augmentation.
        steps: Training batches to serve.
    """

    size: int
    coding: str | None
    title: str
    paper: str | None
    batch_size: int
    eval_batch_size: int
    num_workers: int
    seed: int
    steps: int = 1

    @abstractmethod
    def check(self, splits: Sequence[str]) -> None:
        """Read everything before a training begins.

        Raises:
            UserError: With every fault of the data, or if a split is unknown or empty.
        """

    @abstractmethod
    def content(self) -> str:
        """Hex digits that change with any face, normal or mask, and with the split."""

    def tested_content(self) -> str:
        """Hex digits that change with what is measured on."""
        return self.content()

    @abstractmethod
    def keep_split(self, path: Path) -> None:
        """Save the split, or compare it with the one that was saved.

        Raises:
            UserError: If the saved split is of other data or settings.
        """

    @property
    @abstractmethod
    def split_settings(self) -> dict[str, Any]:
        """What decides which faces were held out."""

    @property
    @abstractmethod
    def split_kind(self) -> str:
        """The kind of split in a few words, printed with every result."""

    @property
    @abstractmethod
    def validates(self) -> bool:
        """Whether any face is held out for validation."""

    @abstractmethod
    def faces(self, split: str) -> WholeBatches:
        """Faces of a split, as they are."""

    @abstractmethod
    def training_faces(self) -> WholeBatches:
        """Faces to train on, augmented; takes draws of (epoch, row)."""

    @abstractmethod
    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> NormalBatch:  # noqa: ANN401
        """Make the pictures of a batch, on its device."""

    def views(self, split: str) -> Mapping[str, WholeBatches]:
        """More pictures of a split's faces to measure on, by name, such as other light."""
        return {}

    def subjects(self, split: str, view: str | None = None) -> Sequence[str]:
        """Name the person of each ``sample`` of a split or view; empty: do not report people."""
        return ()

    def average_face(self) -> Tensor | None:
        """Mean normals of the training people, a guess without a photo: (3, S, S), unit length.

        None where faces of a split are not cut out alike.
        """
        return None

    def for_training(self, steps: int) -> None:
        """Serve ``steps`` training batches."""
        self.steps = steps

    def training_stream(self, rank: int, world: int) -> Sampler[Any]:
        """Order of the training's draws for one of ``world`` processes."""
        rows = len(self.training_faces())
        return BatchStream(rows, self.batch_size, self.steps, self.seed, rank, world)

    def train_dataloader(self) -> DataLoader[Any]:
        """Endless full batches, the same for every number of workers."""
        share = (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)
        return ResumableLoader(
            self.training_faces(),
            batch_sampler=self.training_stream(*share),
            num_workers=self.num_workers,
            collate_fn=as_it_is,
            generator=torch.Generator(),
        )

    def val_dataloader(self) -> DataLoader[Any]:
        """The faces held out for every choice."""
        return self.in_order("val")

    def in_order(self, split: str, view: str | None = None) -> DataLoader[Any]:
        """Batches of a split's faces as they are, or of one of its ``views``."""
        return DataLoader(
            self.faces(split) if view is None else self.views(split)[view],
            batch_size=self.eval_batch_size,
            collate_fn=as_it_is,
            generator=torch.Generator(),  # its own: torch's global numbers stay for dropout
        )


def check_splits(splits: Sequence[str]) -> None:
    """See that all names are of splits.

    Raises:
        UserError: If one is not.
    """
    unknown = sorted(set(splits) - set(SPLITS))
    if unknown:
        raise UserError(f"splits must be among {', '.join(SPLITS)}; got {', '.join(unknown)}")
