"""Data modules of faces with normals: their base, batches and sessions."""

from __future__ import annotations

import json
import logging
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NotRequired, TypedDict

import torch
from lightning import LightningDataModule
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, Sampler

from facegeo.errors import UserError
from facegeo.files.faults import FaultsError, OnError
from facegeo.files.torch_file import sha256
from facegeo.geometry.normals import LIKE_A_FACE, bulge, decode, from_frame
from facegeo.normals.augment import SHORTEST, NormalAugment, flip_faces, lengths, turn_faces
from facegeo.normals.lists import NormalRecord, SessionSplit, describe_split, read_normal_lists
from facegeo.normals.maps import warn_of_faces
from facegeo.normals.store import NormalStore, open_store
from facegeo.training.model_file import find_model, is_model
from facegeo.training.stream import BatchStream, Draw, ResumableLoader, Rows, as_it_is
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
    """A data set that hands out whole batches, not samples to be collated."""

    @abstractmethod
    def __len__(self) -> int:
        """Number of faces."""

    @abstractmethod
    def __getitems__(self, draws: Sequence[Any]) -> Any:  # noqa: ANN401
        """A batch of rows, or of draws of (epoch, row)."""


class NormalDataModule(LightningDataModule, WingData, ABC):
    """Faces with normals in the splits "train", "val" and "test".

    Loaders hand out whole batches as they are stored or drawn; ``on_after_batch_transfer`` turns
    one, on the device that it is on, into a ``NormalBatch``. It needs no trainer, so that batches
    of several modules can be joined.

    Attributes:
        size: Side of all pictures, px.
        coding: How the pictures are coded, of ``facegeo.normals.maps.CODINGS``; None: unknown.
        title: What the faces are, for tables and pictures.
        paper: Section of ``experiments/paper_values.yaml`` with the paper's figures, if any.
        batch_size: Training faces of a step in one process.
        eval_batch_size: Faces of a validation or test batch.
        num_workers: Loader processes.
        seed: Seed of order and augmentation.
        steps: Training batches to serve.
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
        """See that the generator can take pictures of this side."""
        from facegeo.normals.fit import check_size

        check_size(model, self)

    def notes(self) -> dict[str, Any]:
        """Side of the pictures and how they are coded."""
        return {"size": self.size, "coding": self.coding}

    def compare_notes(self, notes: Mapping[str, Any]) -> None:
        """Warn if a generator was trained on faces of another side or coding."""
        warn_of_faces(notes, self.size, self.coding)

    def costs(self, model: nn.Module) -> Costs:
        """Count also what a generator costs that does not say so itself."""
        from facegeo.normals.cost import other_costs

        return model_costs(model) or other_costs(model)

    @staticmethod
    def weight_parts(config: Mapping[str, Any], settings: Settings) -> dict[str, Settings]:
        """The whole generator; a file of first weights counts by its content, not by its name."""
        weights = Path(str(settings.get("procedure.weights")))
        weights = find_model(weights) if is_model(weights) else weights
        by_content = {"procedure.weights": sha256(weights)} if weights.is_file() else {}
        return {"generator": {**settings, **by_content}}

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


class StoredBatch(TypedDict):
    """Pixels as stored and how they shall be seen: bytes, so that little is moved about."""

    sample: Tensor
    """Row in the data set, int64, (B,)."""
    image: Tensor
    """RGB, uint8, (B, S, S, 3)."""
    normal: Tensor
    """Colours, uint8, or vectors, float16, in the files' frame, (B, S, S, 3)."""
    mask: Tensor
    """1 for face pixels, uint8, (B, S, S)."""
    flip: NotRequired[Tensor]
    """Whether the face is mirrored, bool, (B,); not there if none may be, and so below."""
    angle: NotRequired[Tensor]
    """Rotation after that, radians, counter-clockwise as seen, (B,)."""
    scale: NotRequired[Tensor]
    """How much larger it is seen, (B,)."""


class NormalFaces(WholeBatches):
    """Whole batches of stored faces.

    Args:
        store: All faces.
        rows: Which of them take part.
        augment: What may happen to them.
        seed: Seed of the augmentation.
    """

    def __init__(self, store: NormalStore, rows: Tensor, augment: NormalAugment, seed: int) -> None:
        self.store, self.rows, self.augment, self.seed = store, rows, augment, seed

    def __len__(self) -> int:
        return len(self.rows)

    def __getitems__(self, draws: Sequence[Draw | int]) -> StoredBatch:
        """A batch of (epoch, row) draws; a bare row is of epoch 0."""
        pairs = [draw if isinstance(draw, tuple) else (0, draw) for draw in draws]
        epochs, rows = torch.tensor(pairs).unbind(1)
        image, normal, mask = self.store.take(self.rows[rows])
        change = self.augment.photometric
        if change is not None:
            for place, (epoch, row) in enumerate(pairs):
                changed = change(image[place].numpy(), self.seed, epoch, row)
                image[place] = torch.from_numpy(changed)
        flip, angle, scale = self.augment.draw(self.seed, epochs, rows, len(self))
        batch: StoredBatch = {
            "sample": self.rows[rows],
            "image": image,
            "normal": normal,
            "mask": mask,
        }
        if self.augment.flip > 0:
            batch["flip"] = flip
        if self.augment.turns:
            batch["angle"], batch["scale"] = angle, scale
        return batch


def develop(batch: StoredBatch, frame: str) -> NormalBatch:
    """Decode a batch, bring its normals to our frame and unit length, and move the faces.

    Args:
        batch: As stored, on the device that trains.
        frame: Frame of the stored normals, a key of ``FRAMES``.
    """
    image, stored = (batch[key].permute(0, 3, 1, 2).contiguous() for key in ("image", "normal"))
    vectors = decode(stored) if stored.dtype == torch.uint8 else stored.float()
    mask = batch["mask"][:, None] > 0
    normal = from_frame(vectors / lengths(vectors).clamp_min(SHORTEST), frame) * mask
    image = image.float() / 255
    if "flip" in batch:
        image, normal, mask = flip_faces(image, normal, mask, batch["flip"])
    if "angle" in batch:
        image, normal, mask = turn_faces(image, normal, mask, batch["angle"], batch["scale"])
    return {"sample": batch["sample"], "image": image, "normal": normal, "mask": mask}


log = logging.getLogger(__name__)
DOUBTED = 8
"""Faces that are looked at for their frame."""


@dataclass(frozen=True)
class Sessions:
    """Faces of one or two lists.

    Attributes:
        records: What the lists say of each face, N.
        store: Their pixels.
        splitting: How they are split.
        rows: Rows of the splits "train", "val" and "test".
    """

    records: Sequence[NormalRecord]
    store: NormalStore
    splitting: SessionSplit
    rows: Mapping[str, Rows]

    def description(self) -> dict[str, Any]:
        """All of the split, for its file."""
        return describe_split(self.splitting, self.records, self.store.digest, self.rows)


def read_sessions(
    root: Path,
    train_list: str | None,
    test_list: str | None,
    cache_dir: Path,
    *,
    size: int,
    splitting: SessionSplit,
    on_error: OnError = "raise",
) -> Sessions:
    """Read lists and files, decoding what the cache lacks.

    Args:
        root: Folder with the lists and the files that they name.
        train_list: Name of the training list; None where faces are only measured.
        test_list: Name of the test list; None draws the test faces from the training list.
        cache_dir: Where decoded pixels are kept.
        size: Side that all pictures are brought to, px.
        splitting: How faces are split.
        on_error: "raise" or "skip" faulty faces; a list that shares subjects with another can
            not be skipped.

    Raises:
        FaultsError: With every fault of all lists.
        UserError: If the cache can not be written or a split has no face.
    """
    listed, faults = read_normal_lists(root, [n for n in (train_list, test_list) if n is not None])
    overlap = splitting.overlap(listed, test_list)
    records: list[NormalRecord] = []
    store = None
    if listed:
        store, records, found = open_store(root, listed, cache_dir, size=size, on_error=on_error)
        faults += [*overlap, *found]
    if store is None or not records or overlap or (faults and on_error == "raise"):
        remedy = f"mend the lists or the files in {root}"
        if not listed:
            remedy += "; raw sessions go through facegeo-prepare first"
        elif not overlap:
            remedy += ", or set data.on_error=skip to go on without these faces"
        raise FaultsError(faults, remedy)
    if faults:
        text = "".join(f"\n  {fault}" for fault in faults)
        log.warning("%d faults, %d faces are left:%s", len(faults), len(records), text)
    return Sessions(records, store, splitting, splitting.rows(records, test_list))


def check_frame(root: Path, frame: str) -> None:
    """See that ``frame`` is what the folder's own manifest says, where it has one of ours.

    Raises:
        UserError: If it says another.
    """
    path = root / "manifest.json"
    try:
        manifest = json.loads(path.read_text())
        said = {**manifest.get("options", {}), **manifest.get("prepared", {})}.get("frame", frame)
    except (OSError, ValueError, AttributeError, TypeError):
        return  # another's file of that name, or none
    if said != frame:
        raise UserError(f"{path} says that its normals are in {said}: set data.frame={said}")


def doubt_frame(sessions: Sessions, frame: str, root: Path) -> None:
    """Warn if the first normal maps do not bulge as faces do: no other check tells their frame.

    Args:
        sessions: The faces.
        frame: What their normals are taken to be in.
        root: Folder that the warning names.
    """
    rows = range(min(DOUBTED, len(sessions.records)))
    faces = NormalFaces(sessions.store, torch.arange(len(rows)), NormalAugment(), 0)
    batch = develop(faces.__getitems__(rows), frame)
    found = [bulge(*face) for face in zip(batch["normal"], batch["mask"], strict=True)]
    middle = float(torch.tensor(found).median())
    if middle < LIKE_A_FACE:
        log.warning(
            "the normals in %s do not look like those of faces (correlation with a ball %.2f, "
            "want %g): try data.frame other than %s",
            root,
            middle,
            LIKE_A_FACE,
            frame,
        )
