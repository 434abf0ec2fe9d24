"""Train the stages of CCNN, one after the other."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from lightning import Callback, LightningModule, Trainer
from pydantic import PositiveInt
from safetensors.torch import load_file, save
from torch import nn

from facegeo.checks import checked_call
from facegeo.errors import UserError
from facegeo.files.writing import write_whole
from facegeo.landmarks.data import LFPWDataModule
from facegeo.landmarks.nets import Cascade, Stage
from facegeo.training.callbacks import (
    BatchCheckpoints,
    RandomState,
    StageProgress,
    WholeCheckpoints,
)
from facegeo.training.results import SharedWeights

log = logging.getLogger(__name__)
SHORT_S = 30.0
"""The length of a training shorter than this is not logged."""
PROBE_BATCHES = 3
"""Batches that each stage is timed with, after one that is not timed."""
BESIDE_NETS = 1.45
"""Time of a training over that of its nets only: crops, optimizer, validation, logging."""
MEASURING_S = 20.0
"""Reading the faces, measuring the trained cascade and drawing, s."""


def expected_time(training_s: float, rendering_s: float = 0.0) -> str:
    """Text that says how long everything will take.

    >>> expected_time(100.0, rendering_s=90.0)
    'this takes about 3.5 minutes on this machine: 1.5 to render faces, 1.5 to train'
    """

    def minutes(seconds: float) -> str:  # to the next half, from half a minute on
        return f"{max(1, round(seconds / 30)) / 2:g}"

    parts = [(rendering_s, "to render faces"), (training_s, "to train")]
    listed = ", ".join(f"{minutes(seconds)} {task}" for seconds, task in parts if seconds)
    total = minutes(training_s + rendering_s + MEASURING_S)
    return f"this takes about {total} minutes on this machine: {listed}"


def training_seconds(
    cascade: Cascade, steps: Mapping[str, int], batch_size: int, device: str
) -> float:
    """Estimate the time of a training, s: times a few empty batches through copies of the nets.

    Args:
        cascade: Left as it is.
        steps: Batches of each stage that is still to be trained, by the stage's name.
        batch_size: Faces of a batch.
        device: Where it will be trained.
    """
    return BESIDE_NETS * sum(
        steps[name] * _batch_seconds(stage, batch_size, device)
        for name, stage in cascade.by_name().items()
        if steps.get(name)
    )


def announce(
    model: nn.Module,
    data: LFPWDataModule,
    procedure: Mapping[str, Any],
    folder: Path,
    device: str,
) -> None:
    """Make the data where it is generated, and log how long that and the training will take.

    Args:
        model: To be trained; nothing is logged of anything but a cascade.
        data: The faces.
        procedure: ``steps`` by stage, ``max_steps``.
        folder: The run's: stages whose weights are in it take no time.
        device: Where the cascade will be trained.
    """
    lengths, longest = procedure.get("steps"), procedure.get("max_steps")
    if not (isinstance(lengths, Mapping) and isinstance(model, Cascade)):
        data.prepare_data()
        return
    steps = {
        name: min(count, longest or count)
        for name, count in lengths.items()
        if not (folder / f"{name}.safetensors").is_file()
    }
    training = training_seconds(model, steps, data.batch_size, device)
    rendering: list[float] = []

    def say(seconds: float) -> None:
        rendering.append(seconds)
        log.info(expected_time(training, seconds))

    data.prepare_data(on_rate=say)
    if not rendering and training > SHORT_S:
        log.info(expected_time(training))


def _batch_seconds(stage: Stage, batch_size: int, device: str) -> float:
    """Shortest time of a forward and backward pass, s."""
    nets = deepcopy(stage).to(device).eval()  # dropout would draw numbers
    side = stage.input_size
    crops = torch.zeros(batch_size, len(stage.names), 3, side, side, device=device)
    found = []
    for _ in range(1 + PROBE_BATCHES):
        start = time.perf_counter()
        loss = nets(crops).square().sum()
        loss.backward()
        float(loss.detach())  # waits for a GPU
        found.append(time.perf_counter() - start)
    return min(found[1:])


MakeTask = Callable[..., LightningModule]
MakeTrainer = Callable[..., Trainer]


@checked_call
def fit_cascade(
    cascade: Cascade,
    data: LFPWDataModule,
    make_task: MakeTask,
    make_trainer: MakeTrainer,
    folder: Path,
    *,
    steps: Mapping[str, PositiveInt],
    checkpoint_every: PositiveInt,
    validate_every: PositiveInt,
    seed: int,
    max_steps: PositiveInt | None = None,
    progress: bool = True,
    shared: SharedWeights | None = None,
) -> dict[str, object]:
    """Train the stages in order; a stage with weights in ``folder`` is loaded from there.

    Args:
        cascade: Trained in place.
        data: Serves each stage's crops.
        make_task: Builds the task from ``stage`` and ``steps``.
        make_trainer: Builds a trainer; called with the stage's name, its limits and callbacks.
        folder: The run's folder.
        steps: Batches of each stage.
        checkpoint_every: Batches between two checkpoints.
        validate_every: Batches between two validations on the held-out faces.
        seed: Seed of dropout.
        max_steps: No stage takes more batches than this.
        progress: Show a progress bar.
        shared: Stages that runs of a study have in common.

    Returns:
        Further entries of the run's record: none.

    Raises:
        UserError: If a stage has no number of steps, or diverges.
        ValueError: If a number of batches is below 1.
    """
    if missing := sorted(set(cascade.stages) - set(steps)):
        raise UserError(f"procedure.steps has no entry for {missing}: add one, in batches")
    for number, (name, stage) in enumerate(cascade.by_name().items()):
        done = folder / f"{name}.safetensors"
        with shared.reserved(name, done) if shared else nullcontext():
            if done.is_file():
                stage.load_state_dict(load_file(done))
                continue
            prior = cascade.first(number) if number else None
            length = min(steps[name], max_steps or steps[name])
            data.for_stage(stage, prior, length)
            torch.manual_seed(seed + number)
            last = folder / "checkpoints" / name / "last.ckpt"
            own: list[Callback] = [
                RandomState(),
                BatchCheckpoints(last, min(checkpoint_every, length)),
            ]
            trainer = make_trainer(
                part=name,
                max_steps=length,
                max_epochs=1,
                val_check_interval=min(validate_every, length),
                limit_val_batches=1.0 if data.val_fraction else 0,
                enable_checkpointing=False,
                plugins=[WholeCheckpoints()],
                callbacks=own + ([StageProgress(name)] if progress else []),
            )
            task = make_task(stage=stage, steps=length)
            trainer.fit(task, datamodule=data, ckpt_path=last if last.is_file() else None)
            if trainer.interrupted:
                raise KeyboardInterrupt
            stage.cpu().eval()
            if trainer.is_global_zero:
                write_whole(done, save(stage.state_dict()))
    return {}
