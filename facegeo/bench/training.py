"""Training: samples a second, the share of time that data takes, and peak memory."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from lightning import Callback, LightningDataModule, LightningModule, Trainer
from torch.utils.data import DataLoader

from facegeo.bench.memory import peak_mb, reset_peak
from facegeo.bench.per_sample import OneByOneFaces, OneByOneNormals, loader
from facegeo.bench.report import Row
from facegeo.bench.timing import CLOCKS, cpu_threads, quantile_ms
from facegeo.bench.training_data import write_faces, write_sessions
from facegeo.data.augment import Augment
from facegeo.data.lfpw import LFPWDataModule
from facegeo.data.normal_augment import NormalAugment
from facegeo.data.photoface import PhotofaceDataModule
from facegeo.losses.adversarial import AdversarialLoss
from facegeo.losses.landmark import EuclideanError
from facegeo.losses.normal import CosineLoss, TotalVariationLoss
from facegeo.metrics.landmark import LandmarkErrors
from facegeo.metrics.normal import NormalErrors
from facegeo.models.casfne.discriminator import PatchDiscriminator
from facegeo.models.casfne.generator import CasFNE
from facegeo.models.ccnn import Cascade, Stage
from facegeo.tasks.landmark_stage import LandmarkStageTask
from facegeo.tasks.normal_gan import NormalGANTask
from facegeo.tasks.schedules import cosine

GROUP = "training"
WARM_UP = 2
"""Batches before the first that is timed."""
ROUNDS = 2
"""Times that both ways to feed a model take their turn."""
Feed = LightningDataModule | DataLoader[object]


@dataclass(frozen=True)
class Lengths:
    """How much is trained; keys of ``conf/bench.yaml``.

    Attributes:
        faces: Pictures of CCNN's data.
        batch: Its samples of a step.
        steps: Timed steps of each of its stages.
        gan_size: Side of Cas-FNE's images, px.
        gan_batch: Its samples of a step.
        gan_steps: Its timed steps.
    """

    faces: int
    batch: int
    steps: int
    gan_size: int
    gan_batch: int
    gan_steps: int


@dataclass
class StepClock(Callback):
    """Times steps, and what lies between them: data, and the trainer itself.

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
        """Data are there."""
        now = self.clock()
        if self._last is not None:
            self.between.append(now - self._last)
        self._last = now

    def on_train_batch_end(self, *_: object) -> None:
        """The weights are new."""
        assert self._last is not None
        now = self.clock()
        self.steps.append(now - self._last)
        self._last = now


def training_rows(
    cascade: Cascade, lengths: Lengths, clock: str, device: str, threads: int
) -> Iterator[list[Row]]:
    """Train every stage of a cascade, and Cas-FNE with t = 2, for some steps.

    Args:
        cascade: Whose stages are trained; left as it is.
        lengths: How much.
        clock: A key of ``CLOCKS``.
        device: "cpu" or "cuda".
        threads: Cores that compute.
    """
    with TemporaryDirectory() as folder, cpu_threads(threads):
        race = partial(_race, clock=_clock(clock, device), device=device)
        where = f"{threads} thread{'s' * (threads > 1)}" if device == "cpu" else "CUDA"
        root = write_faces(Path(folder) / "faces", lengths.faces)
        steps = WARM_UP + lengths.steps
        for name, stage in cascade.by_name().items():
            data = _faces(root, stage, lengths, steps)
            slow = OneByOneFaces(root, lengths.faces, stage, lengths.batch * steps)
            feeds: dict[str, Feed] = {
                "per-sample loader": loader(slow, lengths.batch),
                "facegeo": data,
            }
            yield race(
                f"CCNN {name}, {where}", partial(_stage_task, stage, steps), feeds, lengths.batch
            )
        root = write_sessions(Path(folder) / "sessions", 3, lengths.gan_size)
        steps = WARM_UP + lengths.gan_steps
        feeds = {
            "per-sample loader": loader(
                OneByOneNormals(root, lengths.gan_batch * steps), lengths.gan_batch
            ),
            "facegeo": _normals(root, lengths, steps),
        }
        case = f"Cas-FNE t = 2 at {lengths.gan_size} px, {where}"
        yield race(case, partial(_gan_task, steps), feeds, lengths.gan_batch)


def _race(
    case: str,
    make: Callable[[], LightningModule],
    feeds: dict[str, Feed],
    batch: int,
    *,
    clock: Callable[[], float],
    device: str,
) -> list[Row]:
    clocks: dict[str, list[StepClock]] = {name: [] for name in feeds}
    peaks: dict[str, float | None] = {}
    for _ in range(ROUNDS):
        for name, feed in feeds.items():
            watch = StepClock(clock)
            reset_peak(device)
            _train(make(), feed, watch, device)
            peaks[name] = peak_mb(device)
            clocks[name].append(watch)
    rows = [_row(case, name, clocks[name], batch, peaks[name]) for name in feeds]
    return [replace(row, faster=rows[0].median_ms / row.median_ms) for row in rows]


def _row(case: str, name: str, clocks: list[StepClock], batch: int, peak: float | None) -> Row:
    step = np.concatenate([watch.steps[WARM_UP:] for watch in clocks])
    before = np.concatenate([watch.between[WARM_UP - 1 :] for watch in clocks])
    whole = list(step + before)
    share = float(before.sum() / (before.sum() + step.sum()))
    return Row(
        group=GROUP,
        case=case,
        name=name,
        items=batch,
        median_ms=quantile_ms(whole, 0.5),
        p95_ms=quantile_ms(whole, 0.95),
        low_ms=quantile_ms(whole, 0.25),
        high_ms=quantile_ms(whole, 0.75),
        rounds=len(whole),
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
        if isinstance(feed, LightningDataModule):
            trainer.fit(task, datamodule=feed)
        else:
            trainer.fit(task, feed)


def _clock(name: str, device: str) -> Callable[[], float]:
    if device == "cpu":
        return CLOCKS[name]

    def after_the_device() -> float:
        torch.cuda.synchronize()
        return CLOCKS["wall"]()

    return after_the_device


def _stage_task(stage: Stage, steps: int) -> LightningModule:
    adam = partial(torch.optim.Adam, lr=1e-3)
    return LandmarkStageTask(
        deepcopy(stage).train(), EuclideanError(), LandmarkErrors(), adam, cosine, steps
    )


def _gan_task(steps: int) -> LightningModule:
    adam = partial(torch.optim.Adam, lr=1e-4)
    return NormalGANTask(
        CasFNE(2),
        weights={"rec": 1.0, "tv": 2e-3, "adv": 1e-4},
        rec=CosineLoss(),
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
