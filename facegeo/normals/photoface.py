"""Data module of faces with normals in Photoface's prepared layout."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from inspect import signature
from pathlib import Path
from typing import Any, NotRequired, TypedDict

import torch
from pydantic import PositiveFloat
from torch import Tensor

from facegeo.checks import Count, checked
from facegeo.errors import UserError
from facegeo.files.lists import FaultsError, OnError
from facegeo.geometry.normals import LIKE_A_FACE, bulge, decode, from_frame, scale_relief
from facegeo.normals.augment import SHORTEST, NormalAugment, flip_faces, lengths, turn_faces
from facegeo.normals.data import NormalBatch, NormalDataModule, WholeBatches, check_splits
from facegeo.normals.lists import (
    Fraction,
    NormalRecord,
    SessionSplit,
    SplitBy,
    read_normal_lists,
)
from facegeo.normals.maps import Coding, Frame
from facegeo.normals.store import NormalStore, open_store
from facegeo.training.stream import Draw, Rows

log = logging.getLogger(__name__)
EMPTY = {
    "train": "name data.train_list",
    "val": "set data.val_fraction above 0, or leave it out of splits",
    "test": "name data.test_list or set data.test_fraction above 0",
}
"""Remedies for empty splits."""


class StoredBatch(TypedDict):
    """Pixels as stored, and the views of the faces: bytes, so that little is moved about."""

    sample: Tensor
    """Row in the data set, int64, (B,)."""
    image: Tensor
    """RGB, uint8, (B, S, S, 3)."""
    normal: Tensor
    """Colours, uint8, or vectors, float16, in the files' frame, (B, S, S, 3)."""
    mask: Tensor
    """1 for face pixels, uint8, (B, S, S)."""
    flip: NotRequired[Tensor]
    """Whether the face is mirrored, bool, (B,); missing if none may be, and so below."""
    angle: NotRequired[Tensor]
    """Rotation after that, radians, counter-clockwise as seen, (B,)."""
    scale: NotRequired[Tensor]
    """Enlargement, (B,)."""


class NormalFaces(WholeBatches):
    """Batches of stored faces, with random changes.

    Args:
        store: All faces.
        rows: Those that take part.
        augment: The changes.
        seed: Of the changes.
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
        view = self.augment.draw(self.seed, epochs, rows, len(self))
        batch = StoredBatch(sample=self.rows[rows], image=image, normal=normal, mask=mask)
        if self.augment.flip > 0:
            batch["flip"] = view.flip
        if self.augment.turns:
            batch["angle"], batch["scale"] = view.angle, view.scale
        return batch


def develop(batch: StoredBatch, frame: str) -> NormalBatch:
    """Decode a batch, bring its normals to x right, y up, z to camera and unit length; move faces.

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


DOUBTED = 8
"""Faces that the check of their frame reads."""


@dataclass(frozen=True)
class Sessions:
    """Faces of one or two lists.

    Attributes:
        records: Each face's line in the lists, N.
        store: Their pixels.
        rows: Rows of the splits "train", "val" and "test".
    """

    records: Sequence[NormalRecord]
    store: NormalStore
    rows: Mapping[str, Rows]


@checked(prefix="data.")
class PhotofaceDataModule(NormalDataModule):
    """Faces with normals and mask, four photographs of a session sharing one normal map.

    Pixels are decoded once into memory-mapped files; a batch is decoded from bytes and moved on
    the device that trains. See ``facegeo.normals.lists`` for the lists.

    Args:
        root: Folder with the lists and the files that they name.
        cache_dir: Where decoded pixels are kept.
        augment: Random changes of training faces.
        train_list: Name of the training list; None where faces are only measured.
        test_list: Name of the test list; None draws the test faces from the training list.
        batch_size: Training faces of a step in one process.
        eval_batch_size: Faces of a validation or test batch.
        size: Side that all pictures are brought to, px.
        coding: How the photos are coded; None: unknown. They are taken as they are, and the
            trained model's notes say how it expects photos.
        frame: Frame of the stored normals, a key of ``facegeo.geometry.normals.FRAMES``.
        relief: Factor of the true depth: normals by photometric stereo of real skin are steeper
            than those of scanned heads (experiments/casfne/relief.md).
        split_by: Which images stay in one split: all images of a "subject", of a "session", or each
            "image" by itself.
        val_fraction: Share of the training faces held out for every choice.
        test_fraction: Share of all faces to test on, without a test list.
        split_seed: Seed of the split; not the run's, so that runs compare.
        title: Name of the faces, for tables and pictures.
        paper: Section of ``experiments/paper_values.yaml`` with the paper's figures.
        seed: Seed of order and augmentation.
        on_error: "raise" or "skip" faulty faces.
        num_workers: Loader processes; without photometric augmentation 0 is fastest.
        prepare: Called before the lists are read, to make generated data. If it takes
            ``check_only``, it is first called with that, to find missing files.
    """

    def __init__(
        self,
        root: str,
        cache_dir: str,
        augment: NormalAugment,
        *,
        train_list: str | None = "train.csv",
        test_list: str | None = "test.csv",
        batch_size: Count = 8,
        eval_batch_size: Count = 32,
        size: Count = 256,
        coding: Coding | None = None,
        frame: Frame = "down_right_camera",
        relief: PositiveFloat = 1.0,
        split_by: SplitBy = "subject",
        val_fraction: Fraction = 0.1,
        test_fraction: Fraction = 0.2,
        split_seed: int = 0,
        title: str = "Photoface",
        paper: str | None = None,
        seed: int = 0,
        on_error: OnError = "raise",
        num_workers: int = 0,
        prepare: Callable[..., object] | None = None,
    ) -> None:
        super().__init__()
        if train_list is None and test_list is None:
            raise UserError("data.train_list and data.test_list are both null: name one")
        self.root, self.cache_dir = Path(root).expanduser(), Path(cache_dir).expanduser()
        self.lists = [name for name in (train_list, test_list) if name is not None]
        self.augment, self.batch_size, self.eval_batch_size = augment, batch_size, eval_batch_size
        self.size, self.frame, self.relief, self.seed = size, frame, relief, seed
        self.splitting = SessionSplit(split_by, val_fraction, test_fraction, split_seed, test_list)
        self.split_kind, self.validates = self.splitting.kind(), val_fraction > 0
        self.on_error, self.num_workers, self.prepare = on_error, num_workers, prepare
        self.title, self.paper, self.coding = title, paper, coding

    def check_sources(self, key: str = "data") -> None:
        """Check what generating the data needs, and its folder.

        Raises:
            UserError: With the key of the missing file.
        """
        if self.prepare is None or "check_only" not in signature(self.prepare).parameters:
            return
        try:
            self.prepare(check_only=True)
        except UserError as error:
            text = str(error).replace("head.path", f"{key}.prepare.head_path")
            raise UserError(text if key in text else f"{key}.prepare: {text}") from error

    def prepare_data(self) -> None:
        """Generate the data if that is asked for."""
        self.check_sources()
        if self.prepare is not None:
            self.prepare()
        self.prepare = None  # Lightning calls this for every stage

    def check(self, splits: Sequence[str]) -> None:
        """Read and decode everything: before a training, not after it.

        Raises:
            UserError: With every fault of all lists, or if a split is unknown or empty.
        """
        check_splits(splits)
        self._check_frame()
        for split in splits:
            if not len(self.sessions.rows[split]):
                raise UserError(f"there is no {split} face: {EMPTY[split]}")

    @cached_property
    def sessions(self) -> Sessions:
        """All faces, read, and decoded unless the cache holds them, when first asked for.

        Raises:
            FaultsError: With every fault of all lists, unless ``on_error`` is "skip"; a list that
                shares subjects with another cannot be skipped.
            UserError: If the cache cannot be written or a split is empty.
        """
        listed, faults = read_normal_lists(self.root, self.lists)
        overlap = self.splitting.overlap(listed)
        records: list[NormalRecord] = []
        store = None
        if listed:
            store, records, found = open_store(
                self.root, listed, self.cache_dir, size=self.size, on_error=self.on_error
            )
            faults += [*overlap, *found]
        if store is None or not records or overlap or (faults and self.on_error == "raise"):
            remedy = f"correct the lists or the files in {self.root}"
            if not listed:
                remedy += "; raw sessions go through facegeo-prepare first"
            elif not overlap:
                remedy += ", or set data.on_error=skip to continue without these faces"
            raise FaultsError(faults, remedy)
        if faults:
            text = "".join(f"\n  {fault}" for fault in faults)
            log.warning("%d faults, %d faces are left:%s", len(faults), len(records), text)
        self._doubt_frame(store)
        return Sessions(records, store, self.splitting.rows(records))

    def _check_frame(self) -> None:
        """Compare the frame with the manifest of facegeo in the folder, if there is one."""
        path = self.root / "manifest.json"
        try:
            manifest = json.loads(path.read_text())
            options = {**manifest.get("options", {}), **manifest.get("prepared", {})}
        except (OSError, ValueError, AttributeError, TypeError):
            return  # another's file of that name, or none
        if (found := options.get("frame", self.frame)) != self.frame:
            raise UserError(f"{path} says that its normals are in {found}: set data.frame={found}")

    def _doubt_frame(self, store: NormalStore) -> None:
        """Warn if the first normal maps do not bulge as faces do: the frame may be another."""
        rows = range(min(DOUBTED, len(store)))
        faces = NormalFaces(store, torch.arange(len(rows)), NormalAugment(), 0)
        batch = develop(faces.__getitems__(rows), self.frame)
        found = [bulge(*face) for face in zip(batch["normal"], batch["mask"], strict=True)]
        middle = float(torch.tensor(found).median())
        if middle < LIKE_A_FACE:
            log.warning(
                "the normals in %s do not look like those of faces (correlation with a ball %.2f, "
                "want %g): try data.frame other than %s",
                self.root,
                middle,
                LIKE_A_FACE,
                self.frame,
            )

    @property
    def split_settings(self) -> dict[str, Any]:
        """Settings that decide which faces were held out."""
        rule = self.splitting
        return {
            "split_by": rule.by,
            "split_seed": rule.seed,
            "val_fraction": rule.val_fraction,
            "test_fraction": rule.test_fraction if rule.test_list is None else None,
            "content": self.description()["content"],
            "digest": self.split_digest,
        }

    def content(self) -> str:
        """Sixteen hex digits that change with any face, normal or mask, and with the split."""
        text = f"{self.sessions.store.folder.name} {self.split_digest}"  # named by its content
        text += f" relief {self.relief:g}" if self.relief != 1 else ""
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def description(self) -> dict[str, Any]:
        """All of the split, for its file."""
        faces = self.sessions
        return self.splitting.describe(faces.records, faces.store.digest, faces.rows)

    def faces(self, split: str, augment: NormalAugment | None = None) -> NormalFaces:
        """Faces of "train", "val" or "test"; as they are unless ``augment`` is given."""
        rows = torch.from_numpy(self.sessions.rows[split])
        return NormalFaces(self.sessions.store, rows, augment or NormalAugment(), self.seed)

    def training_faces(self) -> NormalFaces:
        """Training faces, augmented."""
        return self.faces("train", self.augment)

    def on_after_batch_transfer(self, batch: StoredBatch, dataloader_idx: int) -> NormalBatch:
        """Decode a batch and move its faces, on its device; needs no trainer."""
        made = develop(batch, self.frame)
        if self.relief != 1:
            made["normal"] = scale_relief(made["normal"], self.relief)
        return made
