"""Data modules of faces with normals: the base of all, and one that joins several."""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict

import torch
from lightning import LightningDataModule
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, Sampler

from facegeo.checks import Count, Share, checked
from facegeo.errors import UserError
from facegeo.files.torch_file import sha256
from facegeo.normals.maps import warn_of_faces
from facegeo.training.model_file import find_model, is_model
from facegeo.training.stream import BatchStream, Draw, ResumableLoader, as_it_is, keep_split_file
from facegeo.training.wing import Costs, Settings, WingData, model_costs


class NormalBatch(TypedDict):
    """Faces with their normals; x right, y up, z to the camera."""

    sample: Tensor
    """Row in the data set, int64, (B,)."""
    image: Tensor
    """RGB in [0, 1], (B, 3, S, S)."""
    normal: Tensor
    """Unit normals, zero outside the mask, (B, 3, S, S)."""
    mask: Tensor
    """Face pixels with a known normal, bool, (B, 1, S, S)."""


SPLITS = ("train", "val", "test")


class WholeBatches(Dataset[Any], ABC):
    """A data set that returns complete batches, not samples to be collated."""

    @abstractmethod
    def __len__(self) -> int:
        """Number of faces."""

    @abstractmethod
    def __getitems__(self, draws: Sequence[Any]) -> Any:  # noqa: ANN401
        """A batch of rows, or of draws of (epoch, row)."""


class NormalDataModule(LightningDataModule, WingData, ABC):
    """Faces with normals in the splits "train", "val" and "test".

    Loaders yield complete batches as they are stored or drawn; ``on_after_batch_transfer`` turns
    one, on its device, into a ``NormalBatch``. It needs no trainer, so that batches of several
    modules can be joined.

    Attributes:
        size: Side of all pictures, px.
        coding: How the pictures are coded, linear or srgb; None: unknown.
        title: Name of the faces, for tables and pictures.
        paper: Section of ``experiments/paper_values.yaml`` with the paper's figures, if any.
        batch_size: Training faces of a step in one process.
        eval_batch_size: Faces of a validation or test batch.
        num_workers: Loader processes.
        seed: Seed of order and augmentation.
        steps: Training batches to serve.
        real_people: Whether pictures show people who did not agree to be shown to others.
        split_kind: The kind of split in a few words, printed with every result.
        validates: Whether any face is held out for validation.
    """

    finds = "normals"
    size: int
    coding: str | None
    title: str
    paper: str | None
    batch_size: int
    eval_batch_size: int
    num_workers: int
    seed: int
    steps: int = 1
    real_people: bool = False
    split_kind: str
    validates: bool

    @property
    def measured(self) -> NormalDataModule:
        """The data module whose faces are measured on: this one, unless it joins several."""
        return self

    def check_sources(self, key: str = "data") -> None:
        """Look for folders and files that are missing, before anything is read or rendered.

        Args:
            key: Of this module in the configuration, for messages.

        Raises:
            UserError: With the key of the first that is missing.
        """

    def tested_content(self) -> str:
        """Hex digits that change with the faces that are measured on."""
        return self.measured.content()

    @abstractmethod
    def description(self) -> dict[str, Any]:
        """All of the split, for its file."""

    def keep_split(self, path: Path) -> None:
        """Save the split, or compare it with the one that was saved."""
        keep_split_file(path, self.description())

    @property
    def split_digest(self) -> str:
        """Sixteen hex digits that change with any face of any split."""
        text = json.dumps(self.description(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def split_settings(self) -> dict[str, Any]:
        """Settings and names that decide which faces were held out."""
        return self.description() | {"digest": self.split_digest}

    @abstractmethod
    def faces(self, split: str) -> WholeBatches:
        """Faces of a split, as they are."""

    @abstractmethod
    def training_faces(self) -> WholeBatches:
        """Faces to train on, augmented; takes draws of (epoch, row)."""

    @abstractmethod
    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> NormalBatch:  # noqa: ANN401
        """Make the pictures of a batch, on its device."""

    def report(
        self,
        model: nn.Module,
        folder: Path,
        splits: Sequence[str],
        *,
        notes: Mapping[str, Any] | None = None,
        **how: Any,
    ) -> dict[str, float]:
        """Measure a generator: see ``report_normals``."""
        from facegeo.normals.evaluate import report_normals

        return report_normals(model, self, folder, splits, **how)

    def check_model(self, model: nn.Module, options: Mapping[str, Any] | None = None) -> None:
        """Check that the generator takes pictures of this size."""
        from facegeo.normals.task import check_size

        check_size(model, self)

    def notes(self) -> dict[str, Any]:
        """Side of the pictures and how they are coded."""
        return {"size": self.size, "coding": self.coding}

    def compare_notes(self, notes: Mapping[str, Any]) -> None:
        """Warn if a generator was trained on faces of another side or coding."""
        warn_of_faces(notes, self.size, self.coding)

    def costs(self, model: nn.Module) -> Costs:
        """Count also generators that do not say what they cost."""
        from facegeo.normals.cost import other_costs

        return model_costs(model) or other_costs(model)

    @staticmethod
    def weight_parts(config: Mapping[str, Any], settings: Settings) -> dict[str, Settings]:
        """One part, the generator; a file of first weights counts by its content, not its name."""
        weights = Path(str(settings.get("procedure.weights")))
        weights = find_model(weights) if is_model(weights) else weights
        by_content = {"procedure.weights": sha256(weights)} if weights.is_file() else {}
        return {"generator": {**settings, **by_content}}

    def views(self, split: str) -> Mapping[str, WholeBatches]:
        """More pictures of a split's faces to measure on, by name, such as other light."""
        return {}

    def pictures(self, split: str, view: str | None = None) -> WholeBatches:
        """Faces of a split, or of one of its ``views``."""
        return self.faces(split) if view is None else self.views(split)[view]

    def subjects(self, split: str, view: str | None = None) -> Sequence[str]:
        """Name the person of each ``sample`` of a split or view; empty: do not report people."""
        return ()

    def average_face(self) -> Tensor | None:
        """Mean normals of the training people, a guess without a photo: (3, S, S), unit length.

        None where faces of a split are not cut out in the same way.
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
            self.pictures(split, view),
            batch_size=self.eval_batch_size,
            collate_fn=as_it_is,
            generator=torch.Generator(),  # its own: torch's global numbers stay for dropout
        )


def check_splits(splits: Sequence[str]) -> None:
    """Raise ``UserError`` unless all names are of splits."""
    unknown = sorted(set(splits) - set(SPLITS))
    if unknown:
        raise UserError(f"splits must be among {', '.join(SPLITS)}; got {', '.join(unknown)}")


@checked(prefix="data.")
class JoinedFacesDataModule(NormalDataModule):
    """Training batches with faces of several data modules; the first one validates and tests.

    Args:
        parts: Data modules by name, all of one picture size.
        shares: Share of each part in every training batch, by the same names; their sum is 1. A
            part of share 0 is not read.
        batch_size: Training faces of a step in one process.
        title: Name of the faces; None takes the first part's.
        seed: Seed of order and augmentation.
        num_workers: Loader processes.
        root: For configurations of parts to point to (``${data.root}``); not used here.
        reference: The same.
        size: The same.
    """

    def __init__(
        self,
        parts: Mapping[str, NormalDataModule],
        shares: Mapping[str, Share],
        *,
        batch_size: Count = 8,
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
        if abs(sum(shares.values()) - 1) > 1e-6:
            raise UserError(f"data.shares must have the sum 1, got {dict(shares)}")
        first, self.main = next(iter(parts.items()))
        self.counts = _counts(shares, batch_size)
        self.parts = {name: part for name, part in parts.items() if self.counts[name]}
        self._used = {first: self.main} | self.parts
        sizes = {name: part.size for name, part in parts.items()}
        if len(set(sizes.values())) > 1:
            raise UserError(f"all parts of data must have one picture size, got {sizes}")
        self.shares = dict(shares)
        self.size, self.coding, self.paper = self.main.size, self.main.coding, self.main.paper
        self.title = self.main.title if title is None else title
        self.batch_size, self.eval_batch_size = batch_size, self.main.eval_batch_size
        self.seed, self.num_workers = seed, num_workers
        self.split_kind, self.validates = self.main.split_kind, self.main.validates
        self.real_people = any(part.real_people for part in self._used.values())

    @property
    def measured(self) -> NormalDataModule:
        """The first part."""
        return self.main

    def check_sources(self, key: str = "data") -> None:
        """Look for files that any part lacks, before any part is rendered."""
        for name, part in self._used.items():
            part.check_sources(f"{key}.parts.{name}")

    def prepare_data(self) -> None:
        """Render or prepare the data of the parts."""
        self.check_sources()
        for part in self._used.values():
            part.prepare_data()

    def check(self, splits: Sequence[str]) -> None:
        """Read all parts before a training begins."""
        self.main.check(splits)
        for part in self.parts.values():
            part.check(["train"])

    def description(self) -> dict[str, Any]:
        """All of the split, for its file."""
        contents = {name: part.content() for name, part in self.parts.items()}
        return {"split": self.split_settings, "shares": self.shares, "parts": contents}

    def content(self) -> str:
        """Sixteen hex digits that change with any face of any part, the split and the shares."""
        return hashlib.sha256(repr(self.description()).encode()).hexdigest()[:16]

    @property
    def split_settings(self) -> dict[str, Any]:
        """Those of the first part."""
        return self.main.split_settings

    def faces(self, split: str) -> WholeBatches:
        """Faces of a split of the first part, as they are."""
        return self.main.faces(split)

    def training_faces(self) -> JoinedFaces:
        """Faces of all parts to train on."""
        return JoinedFaces({name: part.training_faces() for name, part in self.parts.items()})

    def training_stream(self, rank: int, world: int) -> JoinedStream:
        """Order of the training: a stream of each part, side by side."""
        faces = self.training_faces().parts
        how = self.steps, self.seed, rank, world
        streams = {n: BatchStream(len(own), self.counts[n], *how) for n, own in faces.items()}
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
    """Batches of several data sets, ``parts`` by name; takes draws (name, draw)."""

    def __init__(self, parts: Mapping[str, WholeBatches]) -> None:
        self.parts = parts

    def __len__(self) -> int:
        return sum(len(part) for part in self.parts.values())

    def __getitems__(self, draws: Sequence[tuple[str, Draw]]) -> dict[str, dict[str, Any]]:
        """One batch of each data set, by name."""
        own = {name: [draw for of, draw in draws if of == name] for name in self.parts}
        return {"joined": {name: self.parts[name].__getitems__(rows) for name, rows in own.items()}}


class JoinedStream(Sampler[list[tuple[str, Draw]]]):
    """Streams by name, side by side, each with its own part of every batch; resumable as they are.

    Args:
        streams: Of ``batches`` batches each.
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
