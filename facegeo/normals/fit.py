"""Training of a generator of normals that can be killed anywhere and goes on."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from safetensors.torch import load_file, save
from torch import nn

from facegeo.errors import UserError
from facegeo.files.torch_file import sha256
from facegeo.files.writing import write_whole
from facegeo.normals.data import NormalDataModule
from facegeo.training.callbacks import (
    BatchCheckpoints,
    RandomState,
    StageProgress,
    WholeCheckpoints,
)
from facegeo.training.model_file import find_model, is_model, load_model
from facegeo.training.resnet import ResNet, load_encoder
from facegeo.training.results import SharedWeights

MakeTask = Callable[..., LightningModule]
MakeTrainer = Callable[..., Trainer]
GENERATOR = "generator.safetensors"
STRIDE = 32
"""Pixels of the image for one of the encoder's last layer."""


def fit_normals(
    generator: nn.Module,
    data: NormalDataModule,
    make_task: MakeTask,
    make_trainer: MakeTrainer,
    folder: Path,
    *,
    steps: int,
    checkpoint_every: int,
    validate_every: int,
    seed: int,
    weights: str = "none",
    max_steps: int | None = None,
    progress: bool = True,
    callbacks: Sequence[Callable[[Path], Callback]] = (),
    shared: SharedWeights | None = None,
) -> dict[str, Any]:
    """Train the generator; if its weights stand in ``folder`` already, take those.

    Args:
        generator: Trained in place; left with the weights to keep, on the CPU, in eval mode.
        data: Serves faces with normals.
        make_task: Builds the task from ``generator`` and ``steps``.
        make_trainer: Builds a trainer; called with its limits and callbacks.
        folder: The run's folder.
        steps: Batches.
        checkpoint_every: Batches between two checkpoints; a killed run loses no more.
        validate_every: Batches between two looks at the held-out faces.
        seed: Seed of what the training draws.
        weights: What the training starts from: none, imagenet or torchvision's file (the encoder
            alone), or the whole generator of a model file, a run's folder or a released model.
        max_steps: Take no more batches than this.
        progress: Show a progress bar.
        callbacks: Each is called with ``folder`` and gives one more callback.
        shared: Generators that other runs train alike.

    Returns:
        What the run should record: ``weights`` and the SHA-256 of their file.

    Raises:
        UserError: If a number is below 1, ``data`` has no normals, the weights can not be had, or
            the loss is not finite.
    """
    max_steps = steps if max_steps is None else max_steps
    lengths = {"checkpoint_every": checkpoint_every, "validate_every": validate_every}
    _check(data, {"steps": steps, "max_steps": max_steps} | lengths)
    steps = min(steps, max_steps)
    check_size(generator, data)
    done, last = folder / GENERATOR, folder / "checkpoints" / "last.ckpt"
    with shared.reserved("generator", done) if shared else nullcontext():
        begun = done.is_file() or last.is_file()
        record = _first_weights(generator, weights, data, folder / "first_weights.json", begun)
        if done.is_file():
            generator.load_state_dict(load_file(done))
            generator.eval()
            return record
        data.for_training(steps)
        torch.manual_seed(seed)
        own: list[Callback] = [RandomState(), BatchCheckpoints(last, min(checkpoint_every, steps))]
        trainer = make_trainer(
            max_epochs=1,
            max_steps=-1,  # it counts the steps of both optimizers
            val_check_interval=min(validate_every, steps),
            limit_val_batches=1.0 if data.validates else 0,
            enable_checkpointing=False,
            plugins=[WholeCheckpoints()],
            callbacks=own
            + [make(folder) for make in callbacks]
            + ([StageProgress("normals")] if progress else []),
        )
        task = make_task(generator=generator, steps=steps)
        trainer.fit(task, datamodule=data, ckpt_path=last if last.is_file() else None)
        if trainer.interrupted:
            raise KeyboardInterrupt
        trained: Any = task.cpu()
        generator.load_state_dict(trained.trained.state_dict())
        generator.eval()
        if trainer.is_global_zero:
            tensors = {n: t.contiguous() for n, t in generator.state_dict().items()}
            write_whole(done, save(tensors))
    return record


def _first_weights(
    generator: nn.Module, weights: str, data: NormalDataModule, path: Path, begun: bool
) -> dict[str, Any]:
    """Give the encoder its first weights and record them; of a run that has begun, read that."""
    if begun and path.is_file():
        kept: dict[str, Any] = json.loads(path.read_text())
        return kept
    encoder = getattr(generator, "encoder", None)
    if is_model(weights):
        record: dict[str, Any] = _start_from(generator, weights, data)
    elif isinstance(encoder, ResNet):
        record = load_encoder(encoder, weights)
    elif weights == "none":
        record = {"weights": "none"}
    else:
        raise UserError(
            f"procedure.weights={weights} is for generators with a ResNet encoder, got "
            f"{type(generator).__name__}; set procedure.weights=none"
        )
    write_whole(path, json.dumps(record))
    return record


def _start_from(generator: nn.Module, name: str, data: NormalDataModule) -> dict[str, Any]:
    """Give the whole generator the weights of a trained one, which may not have seen the test."""
    model, notes = load_model(name)
    people = {*notes.get("split", {}).get("train", ()), *notes.get("earlier_people", ())}
    held_out = {*data.split_settings.get("val", ()), *data.split_settings.get("test", ())}
    if seen := sorted(people & held_out):
        raise UserError(
            f"procedure.weights={name} was trained on {', '.join(seen)}, who are held out here; "
            "start from another model, or change data.val and data.test"
        )
    try:
        generator.load_state_dict(model.state_dict())
    except RuntimeError as error:
        raise UserError(
            f"procedure.weights={name} holds another network than model=...: {error}"
        ) from error
    record = {"weights": name, "sha256": sha256(find_model(name))}
    return record | ({"earlier_people": sorted(people)} if people else {})


def check_size(generator: nn.Module, data: NormalDataModule) -> None:
    """See that the generator can take pictures of this side, before any is read.

    Raises:
        UserError: If it can not.
    """
    resnet = isinstance(getattr(generator, "encoder", None), ResNet)
    stride: int = STRIDE if resnet else getattr(generator, "stride", 1)
    if data.size % stride:
        raise UserError(
            f"data.size must be a multiple of {stride}, got {data.size}; set data.size="
            f"{max(round(data.size / stride), 1) * stride}"
        )


def _check(data: object, lengths: Mapping[str, int]) -> None:
    for name, batches in lengths.items():
        if not isinstance(batches, int) or batches < 1:
            raise UserError(f"procedure.{name} must be at least 1 batch, got {batches}")
    if not isinstance(data, NormalDataModule):
        raise UserError(
            f"this training wants faces with normals, got a {type(data).__name__}; "
            "choose data=sessions, data=photoface, data=yaleb or data=fixture_sessions"
        )
