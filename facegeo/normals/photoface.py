"""LightningDataModule of faces with normals, in Photoface's prepared layout."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import torch

from facegeo.errors import UserError
from facegeo.geometry.normals import FRAMES
from facegeo.normals.augment import NormalAugment
from facegeo.normals.data import (
    NormalBatch,
    NormalDataModule,
    NormalFaces,
    Sessions,
    StoredBatch,
    check_frame,
    check_splits,
    develop,
    doubt_frame,
    read_sessions,
)
from facegeo.normals.lists import SessionSplit, SplitBy, split_digest
from facegeo.normals.maps import CODINGS
from facegeo.training.stream import keep_split_file

SPLITS = {
    "train": "name data.train_list",
    "val": "set data.val_fraction above 0, or leave it out of splits",
    "test": "name data.test_list or set data.test_fraction above 0",
}
"""What to do where a split has no face."""


class PhotofaceDataModule(NormalDataModule):
    """Faces with normals and mask, four photographs of a session sharing one normal map.

    Pixels are decoded once into memory-mapped files; a batch is decoded from bytes and moved on
    the device that trains. See ``facegeo.normals.lists`` for the lists.

    Args:
        root: Folder with the lists and the files that they name.
        cache_dir: Where decoded pixels are kept.
        augment: What happens to training faces.
        train_list: Name of the training list; None where faces are only measured.
        test_list: Name of the test list; None draws the test faces from the training list.
        batch_size: Training faces of a step in one process.
        eval_batch_size: Faces of a validation or test batch.
        size: Side that all pictures are brought to, px.
        coding: How the photos are coded, of ``facegeo.normals.maps.CODINGS``; None: unknown. They
            are taken as they are; the trained model's notes tell it to whom shows it photos.
        frame: Frame of the stored normals, a key of ``facegeo.geometry.normals.FRAMES``.
        split_by: What stays in one split: all images of a "subject", of a "session", or each
            "image" by itself.
        val_fraction: Share of the training faces held out for every choice.
        test_fraction: Share of all faces to test on, without a test list.
        split_seed: Seed of the split; not the run's, so that runs compare.
        title: What the faces are, for tables and pictures.
        paper: Section of ``experiments/paper_values.yaml`` with the paper's figures.
        seed: Seed of order and augmentation.
        on_error: "raise" or "skip" faulty faces.
        num_workers: Loader processes; without photometric augmentation 0 is fastest.
        prepare: Called with nothing before the lists are read, to make generated data.
    """

    def __init__(
        self,
        root: str,
        cache_dir: str,
        augment: NormalAugment,
        *,
        train_list: str | None = "train.csv",
        test_list: str | None = "test.csv",
        batch_size: int = 8,
        eval_batch_size: int = 32,
        size: int = 256,
        coding: str | None = None,
        frame: str = "down_right_camera",
        split_by: SplitBy = "subject",
        val_fraction: float = 0.1,
        test_fraction: float = 0.2,
        split_seed: int = 0,
        title: str = "Photoface",
        paper: str | None = None,
        seed: int = 0,
        on_error: Literal["raise", "skip"] = "raise",
        num_workers: int = 0,
        prepare: Callable[[], object] | None = None,
    ) -> None:
        super().__init__()
        if on_error not in ("raise", "skip"):
            raise UserError(f"data.on_error must be raise or skip, got {on_error}")
        if train_list is None and test_list is None:
            raise UserError("data.train_list and data.test_list are both null: name one")
        if frame not in FRAMES:
            raise UserError(f"data.frame must be one of {', '.join(FRAMES)}; got {frame}")
        if coding not in (*CODINGS, None):
            raise UserError(f"data.coding must be {', '.join(CODINGS)} or null; got {coding}")
        if min(batch_size, eval_batch_size, size) < 1:
            sizes = (batch_size, eval_batch_size, size)
            raise UserError(
                f"data.batch_size, eval_batch_size and size must be 1 or more, got {sizes}"
            )
        self.root, self.cache_dir = Path(root).expanduser(), Path(cache_dir).expanduser()
        self.train_list, self.test_list = train_list, test_list
        self.augment, self.batch_size, self.eval_batch_size = augment, batch_size, eval_batch_size
        self.size, self.frame, self.seed = size, frame, seed
        self.splitting = SessionSplit(split_by, val_fraction, test_fraction, split_seed)
        self.on_error, self.num_workers, self.prepare = on_error, num_workers, prepare
        self.title, self.paper, self.coding = title, paper, coding
        self._sessions: Sessions | None = None

    def prepare_data(self) -> None:
        """Generate the data if that is asked for."""
        if self.prepare is not None:
            self.prepare()
        self.prepare = None  # Lightning calls this for every stage

    def check(self, splits: Sequence[str]) -> None:
        """Read and decode everything: before a training, not after it.

        Raises:
            UserError: Every fault of all lists at once, or there is no such split or no face in it.
        """
        check_splits(splits)
        check_frame(self.root, self.frame)
        rows = self.sessions.rows
        for split in splits:
            if not len(rows[split]):
                raise UserError(f"there is no {split} face: {SPLITS[split]}")

    @property
    def sessions(self) -> Sessions:
        """All faces, read and decoded when first asked for.

        Raises:
            UserError: Every fault of all lists at once, unless ``on_error`` is "skip".
        """
        if self._sessions is None:
            self._sessions = read_sessions(
                self.root,
                self.train_list,
                self.test_list,
                self.cache_dir,
                size=self.size,
                splitting=self.splitting,
                on_error=self.on_error,
            )
            doubt_frame(self._sessions, self.frame, self.root)
        return self._sessions

    @property
    def split_settings(self) -> dict[str, str | float | None]:
        """What decides which faces were held out."""
        rule = self.splitting
        return {
            "split_by": rule.by,
            "split_seed": rule.seed,
            "val_fraction": rule.val_fraction,
            "test_fraction": rule.test_fraction if self.test_list is None else None,
            "content": self.sessions.description()["content"],
            "digest": self.split_digest,
        }

    def content(self) -> str:
        """Sixteen hex digits that change with any face, normal or mask, and with the split."""
        text = f"{self.sessions.store.folder.name} {self.split_digest}"  # named by its content
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def split_kind(self) -> str:
        """The kind of split in words, to stand beside every result."""
        return self.splitting.kind(self.test_list)

    @property
    def split_digest(self) -> str:
        """Sixteen hex digits that change with any face of any split."""
        return split_digest(self.sessions.description())

    def keep_split(self, path: Path) -> None:
        """Save the split, or see that the one saved is this one.

        Raises:
            UserError: If the saved split is of other data or settings.
        """
        keep_split_file(path, self.sessions.description())

    @property
    def validates(self) -> bool:
        """Whether any face is held out for validation."""
        return self.splitting.val_fraction > 0

    def faces(self, split: str, augment: NormalAugment | None = None) -> NormalFaces:
        """Faces of "train", "val" or "test"; as they are unless ``augment`` is given."""
        rows = torch.from_numpy(self.sessions.rows[split])
        return NormalFaces(self.sessions.store, rows, augment or NormalAugment(), self.seed)

    def training_faces(self) -> NormalFaces:
        """Training faces, augmented."""
        return self.faces("train", self.augment)

    def on_after_batch_transfer(self, batch: StoredBatch, dataloader_idx: int) -> NormalBatch:
        """Decode a batch and move its faces, on its device; needs no trainer."""
        return develop(batch, self.frame)
