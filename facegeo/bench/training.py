"""Training: samples a second, the share of time that data takes, and peak memory."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from lightning import LightningModule

from facegeo.bench.feeding import WARM_UP, Feed, race
from facegeo.bench.per_sample import OneByOneFaces, OneByOneNormals, loader
from facegeo.bench.report import Row
from facegeo.bench.timing import cpu_threads
from facegeo.bench.training_data import write_faces, write_sessions
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
from facegeo.training.schedules import cosine

GROUP = "training"


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
        turns = partial(race, GROUP, clock=clock, device=device)
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
            yield turns(
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
