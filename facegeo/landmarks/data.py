"""LightningDataModule of faces with boxes and five points, in the layout of the LFPW lists."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from inspect import signature
from pathlib import Path
from typing import Annotated, Any, Literal, cast

import numpy as np
import torch
from lightning import LightningDataModule
from lightning.fabric.utilities import move_data_to_device
from pydantic import Field, NonNegativeInt, PositiveInt
from torch import Tensor, nn
from torch.utils.data import DataLoader

from facegeo.checks import checked_call
from facegeo.errors import UserError
from facegeo.files.images import ImageError, decode
from facegeo.files.lists import OnError, log_skipped, read_all
from facegeo.geometry.crops import FaceCrops
from facegeo.geometry.windows import shift
from facegeo.landmarks.lists import read_list
from facegeo.landmarks.nets import Cascade, Stage
from facegeo.landmarks.pixels import PixelStore, build_or_open
from facegeo.landmarks.views import Augment, FaceBatch, Faces, FaceViews, StageBatch
from facegeo.training.stream import (
    BatchStream,
    ResumableLoader,
    Rows,
    as_it_is,
    content_digest,
    keep_split_file,
    twins,
    validation_split,
)
from facegeo.training.wing import Scene, Settings, WingData


class LFPWDataModule(LightningDataModule, WingData):
    """Crops of one CCNN stage from Sun et al.'s lists (MMLab CNN_FacePoint, "LFPW").

    Pixels are decoded once into a memory-mapped cache; a batch's crops are cut in torch on the
    device that trains.

    Args:
        root: Folder with the lists and the images.
        train_list: Name of the training list.
        test_list: Name of the test list.
        cache_dir: Where decoded pixels are kept.
        augment: Random changes of training faces.
        batch_size: Training faces of a step in one process.
        eval_batch_size: Faces of a validation or test batch.
        val_fraction: Share of the training list held out for every choice.
        fit_val: Train on the held-out faces too, for a final model.
        split_seed: Seed of the validation split; not the run's, so that runs compare.
        title: Name of the faces in tables and pictures.
        paper: Section of ``experiments/paper_values.yaml`` with the paper's averages by stage on
            these faces.
        seed: Seed of order and augmentation.
        anchors: Centres of training windows: "pred", the previous stage's predictions, or "gt",
            the true points.
        on_error: "raise" or "skip" faulty lines.
        num_workers: Loader processes; the work is little, 0 is fastest.
        prepare: Called before the lists are read, to make generated data; see ``prepare_data``.
    """

    finds = "points"

    @checked_call
    def __init__(
        self,
        root: str,
        cache_dir: str,
        augment: Augment,
        *,
        train_list: str = "trainImageList.txt",
        test_list: str = "testImageList.txt",
        batch_size: PositiveInt = 64,
        eval_batch_size: PositiveInt = 256,
        val_fraction: Annotated[float, Field(ge=0, lt=1)] = 0.1,
        fit_val: bool = False,
        split_seed: int = 0,
        title: str = "LFPW (Sun et al.)",
        paper: str | None = None,
        seed: int = 0,
        anchors: Literal["pred", "gt"] = "pred",
        on_error: OnError = "raise",
        num_workers: NonNegativeInt = 0,
        prepare: Callable[..., object] | None = None,
    ) -> None:
        super().__init__()
        self.root, self.cache_dir = Path(root).expanduser(), Path(cache_dir).expanduser()
        self.lists = {"train": train_list, "test": test_list}
        self.augment, self.batch_size, self.eval_batch_size = augment, batch_size, eval_batch_size
        self.val_fraction, self.fit_val, self.split_seed = val_fraction, fit_val, split_seed
        self.seed, self.anchors, self.on_error = seed, anchors, on_error
        self.num_workers, self.prepare = num_workers, prepare
        self.title, self.paper = title, paper
        self._faces: dict[str, Faces] = {}
        self._stores: dict[str, PixelStore] = {}  # each list's pixels on the device last used
        self.stage: Stage | None = None
        self.prior: Cascade | None = None
        self.steps = 1

    def prepare_data(self, on_rate: Callable[[float], object] | None = None) -> None:
        """Generate the data if they are generated.

        Args:
            on_rate: Called with the seconds that generating will take, once they are known, if
                ``prepare`` takes an argument of this name and has anything to do.
        """
        if self.prepare is not None:
            takes = "on_rate" in signature(self.prepare).parameters
            self.prepare(**({"on_rate": on_rate} if takes else {}))
        self.prepare = None  # Lightning calls this for every stage

    def check(self, splits: Sequence[str]) -> None:
        """Read and decode the faces that measuring ``splits`` needs, before a training starts.

        Raises:
            UserError: All faults of all lists needed; or a split is unknown or empty.
        """
        unknown = set(splits) - {"train", "val", "test"}
        if unknown:
            raise UserError(f"splits must be among train, val and test, got {min(unknown)}")
        read_all(partial(self.faces, name) for name in ("train", "test")[: 1 + ("test" in splits)])
        for split in splits:
            if not len(self.views(split)):
                raise UserError(
                    f"there is no {split} face to measure: set data.val_fraction above 0, "
                    "or splits=[test]"
                )

    def prepare_for(
        self, model: nn.Module, procedure: Mapping[str, Any], folder: Path, device: str
    ) -> None:
        """Generate the data if that is asked for, and log how long everything will take."""
        from facegeo.landmarks.fit import announce

        announce(model, self, procedure, folder, device)

    def report(
        self,
        model: nn.Module,
        folder: Path,
        splits: Sequence[str],
        *,
        notes: Mapping[str, Any] | None = None,
        **how: Any,
    ) -> dict[str, float]:
        """Measure a cascade: see ``report_points``."""
        from facegeo.landmarks.evaluate import report_points

        return report_points(cast(Cascade, model), self, folder, splits, **how)

    def scenes(self, split: str, most: int | None = None) -> Iterator[Scene]:
        """Yield the faces of a list, one a scene.

        Args:
            split: "train" or "test".
            most: Largest number of faces, spread evenly over the list; None: all.

        Raises:
            UserError: If the list or an image cannot be read.
        """
        faces = read_list(self.root, self.lists[split], self.on_error)
        count = len(faces) if most is None else min(most, len(faces))
        for row in np.linspace(0, len(faces) - 1, count).astype(int):
            path = faces.path(row)
            try:
                image = decode(path.read_bytes())
            except (ImageError, OSError) as error:
                raise UserError(f"{path}: wanted an image, got {error}; copy it again") from error
            yield Scene(image, faces.boxes[row : row + 1], faces.points[row : row + 1])

    @staticmethod
    def weight_parts(config: Mapping[str, Any], settings: Settings) -> dict[str, Settings]:
        """Stages: their weights depend on their settings and on those of the stages before."""
        names = list(config["model"]["stages"])[: config["model"].get("count")]
        parts: dict[str, Settings] = {}
        for number, name in enumerate(names):
            known = parts[name] = dict(settings)
            if number == 0:
                known.pop("data.anchors", None)  # the first stage has none
            for key in settings:
                about = re.match(r"(?:model\.stages|procedure\.steps)\.(\w+)", key)
                if about and about[1] not in names[: number + 1]:
                    del known[key]
        return parts

    def faces(self, split: str) -> Faces:
        """The faces of list "train" or "test", read and decoded on first use.

        Raises:
            UserError: Every fault of the list at once, unless ``on_error`` is "skip".
        """
        if split not in self._faces:
            # Faults of the lines wait for those of the images, so that all are reported at once.
            listed = read_list(self.root, self.lists[split], "skip")
            store, kept = build_or_open(listed, self.cache_dir, on_error=self.on_error)
            log_skipped(kept.list_name, len(kept), kept.skipped)
            self._faces[split] = Faces.of(kept, store)
        return self._faces[split]

    def split(self) -> tuple[Rows, Rows]:
        """Rows of the training list to train on and to validate on."""
        digests = self.faces("train").store.digest
        return validation_split(digests, self.val_fraction, self.split_seed)

    @property
    def split_settings(self) -> dict[str, float | str]:
        """All that decides which faces are held out."""
        names = ("val_fraction", "split_seed", "fit_val")
        return {name: getattr(self, name) for name in names} | {"content": self.content()}

    def content(self, split: str = "train") -> str:
        """Hex digits that change with any image, box or point of a list."""
        return self.faces(split).content

    def tested_content(self) -> str:
        """Hex digits that change with any image, box or point of the test list."""
        return self.content("test")

    def keep_split(self, path: Path) -> None:
        """Save the split, or check that the saved one is the same.

        Raises:
            UserError: If the saved split is of other images or settings.
        """
        faces = self.faces("train")
        split = {
            "fraction": self.val_fraction,
            "seed": self.split_seed,
            "images": len(faces.names),
            "content": content_digest(faces.names, faces.store.digest),
            "val": sorted(faces.names[row] for row in self.split()[1]),
        }
        keep_split_file(path, split)

    def twins(self) -> list[tuple[str, str]]:
        """Byte-identical images in the training and the test list, as pairs of names."""
        train, test = self.faces("train"), self.faces("test")
        pairs = twins(train.store.digest, test.store.digest)
        return [(train.names[a], test.names[b]) for a, b in pairs]

    def for_stage(self, stage: Stage, prior: Cascade | None, steps: int) -> None:
        """Serve ``steps`` batches of crops for ``stage``, about the points that ``prior`` finds."""
        self.stage, self.steps = stage, steps
        self.prior = prior.eval().requires_grad_(False) if prior is not None else None

    def views(self, split: str, augment: Augment | None = None) -> FaceViews:
        """Faces of "train", "val" or "test"; as they are unless ``augment`` is given."""
        windows = 0 if self.stage is None else len(self.stage.names)
        faces = self.faces("test" if split == "test" else "train")
        rows = np.arange(len(faces.boxes))
        if split == "val" or (split == "train" and not self.fit_val):
            rows = self.split()[split == "val"]
        return FaceViews(faces, torch.from_numpy(rows), augment or Augment(), self.seed, windows)

    def train_dataloader(self) -> DataLoader[FaceBatch]:
        """Endless full batches, the same for every number of workers."""
        views = self.views("train", self.augment)
        share = (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)
        stream = BatchStream(len(views), self.batch_size, self.steps, self.seed, *share)
        self._find_anchors(views, "train", stream.epochs)
        return ResumableLoader(
            views,
            batch_sampler=stream,
            num_workers=self.num_workers,
            collate_fn=as_it_is,
            generator=torch.Generator(),
        )

    def val_dataloader(self) -> DataLoader[FaceBatch]:
        """The held-out faces of the training list."""
        views = self.views("val")
        self._find_anchors(views, "val", epochs=1)
        return self._ordered(views)

    def in_order(self, split: str) -> DataLoader[FaceBatch]:
        """Batches of "train", "val" or "test" faces as they are."""
        return self._ordered(self.views(split))

    def _ordered(self, views: FaceViews) -> DataLoader[FaceBatch]:
        return DataLoader(
            views,
            self.eval_batch_size,
            collate_fn=as_it_is,
            generator=torch.Generator(),  # its own: torch's global numbers stay for dropout
        )

    def crops(self, batch: FaceBatch, split: str) -> FaceCrops:
        """The cutter of a batch's windows, on the batch's device."""
        device = batch["face"].device
        key = "test" if split == "test" else "train"
        store = self._stores.get(key, self.faces(key).store)
        if store.pixels.device != device:
            store = store.to(device)
        self._stores[key] = store
        return FaceCrops(store, batch["face"], batch["frame"])

    def on_after_batch_transfer(self, batch: FaceBatch, dataloader_idx: int) -> StageBatch:
        """Cut the stage's crops: windows about the anchors, shaken in training."""
        if self.stage is None or self.trainer is None:
            raise RuntimeError("call for_stage(...) and attach a trainer before asking for crops")
        crop = self.crops(batch, "train")
        windows = shift(self.stage.windows(batch["anchors"]), batch["shake"])
        return {
            "image": crop(windows, self.stage.input_size),
            "frame": self.stage.frames(windows, batch["canvas"]),
            "points": batch["points"],
            "size": batch["size"],
        }

    def _find_anchors(self, views: FaceViews, split: str, epochs: int) -> None:
        """Let the previous stages find the points of every view, on the device that trains."""
        if self.prior is None or (split == "train" and self.anchors == "gt"):
            return
        device = self.trainer.strategy.root_device if self.trainer else torch.device("cpu")
        prior = self.prior.to(device)

        @torch.inference_mode()
        def find(batch: FaceBatch) -> Tensor:
            batch = move_data_to_device(batch, device)
            return cast(Tensor, prior(self.crops(batch, split), batch["canvas"]))[:, -1]

        views.find_anchors(find, self.eval_batch_size, epochs)
