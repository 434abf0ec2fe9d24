"""Training: samples a second, the share of time that data takes, and peak memory."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import numpy as np
import pydantic.dataclasses
import torch
from lightning import Callback, LightningDataModule, LightningModule, Trainer
from pydantic import ConfigDict, Field, PositiveInt
from torch.utils.data import DataLoader

from facegeo.bench.report import Row
from facegeo.bench.timing import CLOCKS, counted, cpu_threads, quartiles
from facegeo.bench.training_data import OneByOneFaces, OneByOneNormals, write_faces, write_sessions
from facegeo.landmarks.data import LFPWDataModule
from facegeo.landmarks.losses import EuclideanError
from facegeo.landmarks.metrics import LandmarkErrors
from facegeo.landmarks.nets import Cascade, Stage
from facegeo.landmarks.task import LandmarkStageTask
from facegeo.landmarks.views import Augment
from facegeo.normals.augment import NormalAugment
from facegeo.normals.generator import CasFNE, PatchDiscriminator
from facegeo.normals.losses import (
    AdversarialLoss,
    CosineLoss,
    NormalDifferenceLoss,
    TotalVariationLoss,
)
from facegeo.normals.metrics import NormalErrors
from facegeo.normals.photoface import PhotofaceDataModule
from facegeo.normals.task import NormalGANTask
from facegeo.training.memory import give_freed_memory_back
from facegeo.training.schedules import cosine

GROUP = "training"
WARM_UP = 2
"""Batches before the first that is timed."""
ROUNDS = 2
"""Trainings with each feed, in turn."""
Feed = LightningDataModule | DataLoader[object]
MIB = 2**20
STATUS, RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


STRICT = ConfigDict(strict=True, extra="forbid")
Side = Annotated[int, Field(gt=0, multiple_of=32)]
"""Side of an image for Cas-FNE, px."""


@pydantic.dataclasses.dataclass(frozen=True, config=STRICT)
class Lengths:
    """Amounts of training; keys of ``training`` in ``conf/bench.yaml``.

    Attributes:
        faces: Pictures of CCNN's data.
        batch: Its samples of a step.
        steps: Timed steps of each of its stages.
        gan_size: Side of Cas-FNE's images, px.
        gan_batch: Its samples of a step.
        gan_steps: Its timed steps.
    """

    faces: PositiveInt
    batch: PositiveInt
    steps: PositiveInt
    gan_size: Side
    gan_batch: PositiveInt
    gan_steps: PositiveInt


def training_rows(
    cascade: Cascade, lengths: Lengths, clock: str, device: str, threads: int
) -> Iterator[list[Row]]:
    """Train every stage of a cascade, and Cas-FNE with t = 2, for some steps.

    Args:
        cascade: Its stages are copied and trained.
        lengths: Amounts.
        clock: A key of ``CLOCKS``.
        device: "cpu" or "cuda".
        threads: Cores that compute.
    """
    with TemporaryDirectory() as folder, cpu_threads(threads):
        turns = partial(race, clock=clock, device=device)
        where = counted(threads, "thread") if device == "cpu" else "CUDA"
        root = write_faces(Path(folder) / "faces", lengths.faces)
        steps = WARM_UP + lengths.steps
        for name, stage in cascade.by_name().items():
            samples = OneByOneFaces(root, lengths.faces, stage, lengths.batch * steps)
            feeds: dict[str, Feed] = {
                "per-sample loader": DataLoader(samples, lengths.batch),
                "facegeo": _faces(root, stage, lengths, steps),
            }
            make = partial(_stage_task, stage, steps)
            yield turns(f"CCNN {name}, {where}", make, feeds, lengths.batch)
        root = write_sessions(Path(folder) / "sessions", 3, lengths.gan_size)
        steps = WARM_UP + lengths.gan_steps
        normals = OneByOneNormals(root, lengths.gan_batch * steps)
        feeds = {
            "per-sample loader": DataLoader(normals, lengths.gan_batch),
            "facegeo": _normals(root, lengths, steps),
        }
        case = f"Cas-FNE t = 2 at {lengths.gan_size} px, {where}"
        yield turns(case, partial(_gan_task, steps), feeds, lengths.gan_batch)


def _stage_task(stage: Stage, steps: int) -> LightningModule:
    adam = partial(torch.optim.Adam, lr=1e-3)
    return LandmarkStageTask(
        deepcopy(stage).train(), EuclideanError(), LandmarkErrors(), adam, cosine, steps
    )


def _gan_task(steps: int) -> LightningModule:
    adam = partial(torch.optim.Adam, lr=1e-4)
    return NormalGANTask(
        CasFNE(2),
        weights={"rec": 1.0, "diff": 0.0, "tv": 2e-3, "adv": 1e-4},
        rec=CosineLoss(),
        diff=NormalDifferenceLoss(),
        tv=TotalVariationLoss(),
        adv=AdversarialLoss(),
        discriminator=PatchDiscriminator,
        metrics=NormalErrors(),
        optimizer=adam,
        discriminator_optimizer=adam,
        steps=steps,
    )


def _faces(root: Path, stage: Stage, lengths: Lengths, steps: int) -> LFPWDataModule:
    augment = Augment(views=6, rotations_deg=(0, 15, -12), flip=0.5, shake_sigma=0.01)
    data = LFPWDataModule(
        str(root),
        str(root / "cache"),
        augment,
        batch_size=lengths.batch,
        val_fraction=0,
        anchors="gt",
    )
    data.faces("train")
    data.for_stage(stage, None, steps)
    return data


def _normals(root: Path, lengths: Lengths, steps: int) -> PhotofaceDataModule:
    data = PhotofaceDataModule(
        str(root),
        str(root / "cache"),
        NormalAugment(),
        batch_size=lengths.gan_batch,
        size=lengths.gan_size,
        val_fraction=0,
    )
    data.for_training(steps)
    return data


@dataclass
class StepClock(Callback):
    """Times steps, and the time between them: of data, and of the trainer itself.

    Attributes:
        clock: Seconds.
        steps: Seconds of each step.
        between: Seconds before each step but the first.
    """

    clock: Callable[[], float]
    steps: list[float] = field(default_factory=list)
    between: list[float] = field(default_factory=list)
    _last: float | None = None

    def on_train_batch_start(self, *_: object) -> None:
        """The batch is ready."""
        now = self.clock()
        if self._last is not None:
            self.between.append(now - self._last)
        self._last = now

    def on_train_batch_end(self, *_: object) -> None:
        """The weights are updated."""
        assert self._last is not None
        now = self.clock()
        self.steps.append(now - self._last)
        self._last = now


def race(
    case: str,
    make: Callable[[], LightningModule],
    feeds: Mapping[str, Feed],
    batch: int,
    *,
    clock: str,
    device: str,
) -> list[Row]:
    """Train with each feed in turn, ``ROUNDS`` times.

    Args:
        case: Of the rows.
        make: Builds a task with weights of its own.
        feeds: Data of the training by the row's name; the others are measured against the first.
        batch: Samples of a step.
        clock: A key of ``CLOCKS``; on a GPU always the wall's.
        device: "cpu" or "cuda".
    """
    clocks: dict[str, list[StepClock]] = {name: [] for name in feeds}
    peaks: dict[str, float | None] = {}
    for _ in range(ROUNDS):
        for name, feed in feeds.items():
            watch = StepClock(CLOCKS["wall" if device == "cuda" else clock])
            reset_peak(device)
            _train(make(), feed, watch, device)
            peaks[name] = peak_mb(device)
            clocks[name].append(watch)
    rows = [_row(case, name, clocks[name], batch, peaks[name]) for name in feeds]
    return [replace(row, faster=rows[0].median_ms / row.median_ms) for row in rows]


def _row(case: str, name: str, clocks: list[StepClock], batch: int, peak: float | None) -> Row:
    step = np.concatenate([watch.steps[WARM_UP:] for watch in clocks])
    before = np.concatenate([watch.between[WARM_UP - 1 :] for watch in clocks])
    share = float(before.sum() / (before.sum() + step.sum()))
    return Row(
        *(GROUP, case, name, batch),
        **quartiles((step + before).tolist()),
        note=f"data {share:.1%} of the time" + (f", peak {peak:,.0f} MB" if peak else ""),
        data_share=share,
        peak_mb=peak,
    )


def _train(task: LightningModule, feed: Feed, watch: StepClock, device: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of loaders without workers, and of no logger
        trainer = Trainer(
            accelerator="gpu" if device == "cuda" else "cpu",
            devices=1,
            max_epochs=1,
            limit_val_batches=0,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            callbacks=[watch],
        )
        trainer.fit(task, feed)


def reset_peak(device: str) -> None:
    """Forget the process's peak so far, where the system can."""
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    elif RESET.exists():
        give_freed_memory_back()
        RESET.write_text("5")


def peak_mb(device: str) -> float | None:
    """Since ``reset_peak``: the device's memory, or the whole process's; None: not known here."""
    if device == "cuda":
        return torch.cuda.max_memory_allocated() / MIB
    if not (STATUS.exists() and RESET.exists()):
        return None
    lines = dict(line.split(":", 1) for line in STATUS.read_text().splitlines())
    return float(lines["VmHWM"].split()[0]) / 1024
