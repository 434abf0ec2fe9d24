"""Training of a generator of normals against a discriminator: Cas-FNE, Sec. III-D.

``NormalGANTask`` takes the steps; ``fit_normals`` runs them and can be killed and resumed anywhere.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Any, Protocol, cast

import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.core.optimizer import LightningOptimizer
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from pydantic import Field
from safetensors.torch import load_file, save
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torchmetrics import Metric

from facegeo.checks import Count, checked, checked_call
from facegeo.errors import UserError
from facegeo.files.torch_file import sha256
from facegeo.files.writing import write_whole
from facegeo.normals.data import NormalBatch, NormalDataModule
from facegeo.normals.losses import WHITE_NORMAL
from facegeo.training.callbacks import (
    BatchCheckpoints,
    RandomState,
    StageProgress,
    WholeCheckpoints,
)
from facegeo.training.model_file import find_model, is_model, load_model
from facegeo.training.resnet import ResNet, load_encoder
from facegeo.training.results import SharedWeights
from facegeo.training.schedules import MakeScheduler

MakeOptimizer = Callable[[Any], Optimizer]
MakeTask = Callable[..., LightningModule]
MakeTrainer = Callable[..., Trainer]
TERMS = ("rec", "diff", "tv", "adv")
Weight = Annotated[float, Field(ge=0)]


class Adversarial(Protocol):
    """Losses of generator and discriminator, from logits of true and of generated normals."""

    def discriminator(self, real: Tensor, fakes: Sequence[Tensor]) -> Tensor:
        """Loss of the discriminator."""

    def generator(self, fakes: Sequence[Tensor]) -> Tensor:
        """Loss of the generator."""


@checked(prefix="task.")
class NormalGANTask(LightningModule):
    """Fit a generator to normals and, unless its weight is 0, to a discriminator.

    A batch takes one discriminator step on detached fakes, then one generator step on
    ``sum of weights * (rec, diff, tv, adv)`` over all stages (Eq. 8; ``diff`` is ours).
    Optimisation is manual, so length is counted in batches, not in ``global_step``, which counts
    the steps of both optimizers.

    Args:
        generator: Maps images (B, 3, S, S) to normals of t = 0..T, a tuple of (B, 3, S, S).
        weights: Of the terms ``rec``, ``diff``, ``tv`` and ``adv``; a term of weight 0 is not
            computed.
        rec: Called with stages, true normals and mask (B, 1, S, S).
        diff: The same.
        tv: Called with stages and mask.
        adv: Adversarial losses.
        discriminator: Builds the map from normals to logits; not called if adv has weight 0.
        metrics: Takes normals, true normals and mask; cloned for each t.
        optimizer: Called with the generator's parameters.
        discriminator_optimizer: Called with the discriminator's parameters.
        steps: Batches this training takes.
        scheduler: Of both rates, stepped each batch; None keeps them.
        masked: The discriminator sees only the face, zero around it. Without, it sees all
            pixels, the truth white where no face is, as in the published code.
        clip_norm: Bound of the gradients' norm, each optimizer's; None sets none.
        ema: Decay a batch of the running mean of the weights that is validated and kept; None
            keeps the weights themselves.
        channels_last: Order of pixels in memory that most convolutions prefer.
        compile: Let ``torch.compile`` translate the generator: a minute, then faster steps.
    """

    def __init__(
        self,
        generator: nn.Module,
        *,
        weights: Mapping[str, Weight],
        rec: nn.Module,
        diff: nn.Module,
        tv: nn.Module,
        adv: Adversarial,
        discriminator: Callable[[], nn.Module],
        metrics: Metric,
        optimizer: MakeOptimizer,
        discriminator_optimizer: MakeOptimizer,
        steps: int,
        scheduler: MakeScheduler | None = None,
        masked: bool = True,
        clip_norm: float | None = None,
        ema: float | None = None,
        channels_last: bool = False,
        compile: bool = False,
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        if set(weights) != set(TERMS) or not any(weights.values()):
            raise UserError(
                f"task.weights must give {', '.join(TERMS)}, one of them above 0, got {weights}"
            )
        self.weights = {name: float(value) for name, value in weights.items()}
        self.generator, self.rec, self.diff, self.tv, self.adv = generator, rec, diff, tv, adv
        self.discriminator = discriminator() if self.weights["adv"] else None
        if channels_last:
            self.to(memory_format=torch.channels_last)
        self.average = (
            None
            if ema is None
            else AveragedModel(generator, multi_avg_fn=get_ema_multi_avg_fn(ema), use_buffers=True)
        )
        self._layout = torch.channels_last if channels_last else torch.contiguous_format
        self._metrics, self.val_metrics = metrics, nn.ModuleList()
        self._optimizers = (optimizer, discriminator_optimizer)
        self.steps, self._scheduler = steps, scheduler
        self.masked, self.clip_norm = masked, clip_norm
        if compile:
            generator.compile()

    @property
    def trained(self) -> nn.Module:
        """The generator to keep: the running mean if there is one."""
        return self.generator if self.average is None else self.average.module

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Normals of t = 0..T, each (B, 3, S, S), from images (B, 3, S, S)."""
        image = image.contiguous(memory_format=self._layout)
        stages: tuple[Tensor, ...] = (self.generator if self.training else self.trained)(image)
        return stages

    def training_step(self, batch: NormalBatch, batch_idx: int) -> None:
        """One step of the discriminator, then one of the generator."""
        optimizers = cast("list[LightningOptimizer]", self.optimizers(use_pl_optimizer=True))
        optimizers = optimizers if isinstance(optimizers, list) else [optimizers]
        stages = self(batch["image"])
        terms = {}
        if self.discriminator is not None:
            with self.toggled_optimizer(optimizers[1]):
                white = batch["normal"].new_tensor(WHITE_NORMAL)[:, None, None]
                truth = torch.where(batch["mask"], batch["normal"], white)
                fakes = [stage.detach() for stage in stages]
                real, *fakes = self._judge([truth, *fakes], batch["mask"])
                terms["discriminator"] = self.adv.discriminator(real, fakes)
                self._step(optimizers[1], terms["discriminator"])
        with self.toggled_optimizer(optimizers[0]):
            own = self._generator_terms(stages, batch)
            loss = sum((self.weights[name] * term for name, term in own.items()), torch.zeros(()))
            self._step(optimizers[0], loss)
        for scheduler in self._schedulers():
            scheduler.step()
        if self.average is not None:
            self.average.update_parameters(self.generator)
        named = {f"train/{name}": value.detach() for name, value in (terms | own).items()}
        self.log_dict(named | {"train/loss": loss.detach()}, batch_size=len(batch["image"]))

    def _generator_terms(self, stages: Sequence[Tensor], batch: NormalBatch) -> dict[str, Tensor]:
        normal, mask = batch["normal"], batch["mask"]
        terms: dict[str, Callable[[], Tensor]] = {
            "rec": lambda: self.rec(stages, normal, mask),
            "diff": lambda: self.diff(stages, normal, mask),
            "tv": lambda: self.tv(stages, mask),
            "adv": lambda: self.adv.generator(self._judge(stages, mask)),
        }
        return {name: term() for name, term in terms.items() if self.weights[name]}

    def _judge(self, normals: Sequence[Tensor], mask: Tensor) -> list[Tensor]:
        """Logits of several batches in one pass: the discriminator mixes no samples."""
        assert self.discriminator is not None
        seen = torch.stack(list(normals)) * mask if self.masked else torch.stack(list(normals))
        logits: Tensor = self.discriminator(seen.flatten(0, 1))
        return list(logits.unflatten(0, seen.shape[:2]))

    def _step(self, optimizer: LightningOptimizer, loss: Tensor) -> None:
        optimizer.zero_grad()
        self.manual_backward(loss)
        optimizer.step()

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        """Clip here: half-precision gradients are unscaled by now."""
        if self.clip_norm is not None:
            self.clip_gradients(optimizer, self.clip_norm, "norm")

    def validation_step(self, batch: NormalBatch, batch_idx: int) -> None:
        """Measure every t."""
        stages = self(batch["image"])
        while len(self.val_metrics) < len(stages):
            prefix = f"val/t{len(self.val_metrics)}/"
            self.val_metrics.append(self._metrics.clone().to(self.device))
            cast(Any, self.val_metrics[-1]).key_prefix = prefix
        for metric, normals in zip(self.val_metrics, stages, strict=True):
            cast(Metric, metric).update(normals.float(), batch["normal"], batch["mask"])

    def on_validation_epoch_end(self) -> None:
        """Log the errors of every t; the last one's on the bar."""
        for metric in self.val_metrics:
            results = cast(Metric, metric).compute()
            self.log_dict(results, sync_dist=True)  # equal in all processes: avoids a warning
            cast(Metric, metric).reset()
        error = next(value for name, value in results.items() if name.endswith("/mean_deg"))
        self.log("val/error_deg", error, prog_bar=True, logger=False, sync_dist=True)

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """The generator's optimizer, then the discriminator's if there is one."""
        networks = [self.generator, self.discriminator]
        optimizers = [
            make(network.parameters())
            for make, network in zip(self._optimizers, networks, strict=True)
            if network is not None
        ]
        if self._scheduler is None:
            return optimizers
        return optimizers, [self._scheduler(each, steps=self.steps) for each in optimizers]

    def _schedulers(self) -> list[LRScheduler]:
        found: Any = self.lr_schedulers()
        return [] if found is None else found if isinstance(found, list) else [found]


GENERATOR = "generator.safetensors"
STRIDE = 32
"""Pixels of the image for one of the encoder's last layer."""


@checked_call
def fit_normals(
    generator: nn.Module,
    data: NormalDataModule,
    make_task: MakeTask,
    make_trainer: MakeTrainer,
    folder: Path,
    *,
    steps: Count,
    checkpoint_every: Count,
    validate_every: Count,
    seed: int,
    weights: str = "none",
    max_steps: Count | None = None,
    progress: bool = True,
    callbacks: Iterable[Callable[[Path], Callback]] = (),
    shared: SharedWeights | None = None,
) -> dict[str, Any]:
    """Train the generator; if its weights are in ``folder`` already, load those.

    Args:
        generator: Trained in place; left with the weights to keep, on the CPU, in eval mode.
        data: Serves faces with normals.
        make_task: Builds the task from ``generator`` and ``steps``.
        make_trainer: Builds a trainer; called with its limits and callbacks.
        folder: The run's folder.
        steps: Batches.
        checkpoint_every: Batches between two checkpoints; a killed run loses no more.
        validate_every: Batches between two validations.
        seed: Seed of the training's random numbers.
        weights: Initial weights: none, imagenet or torchvision's file (only the encoder), or the
            whole generator of a model file, a run's folder or a released model.
        max_steps: Take no more batches than this.
        progress: Show a progress bar.
        callbacks: Each is called with ``folder`` and builds one more callback.
        shared: Generators that runs of a study have in common.

    Returns:
        For the run's record: ``weights`` and the SHA-256 of their file.

    Raises:
        UserError: If the weights cannot be loaded, do not fit, or the loss is not finite.
        ValueError: If a number of batches is below 1.
    """
    check_size(generator, data)
    done, last = folder / GENERATOR, folder / "checkpoints" / "last.ckpt"
    with shared.reserved("generator", done) if shared else nullcontext():
        begun = done.is_file() or last.is_file()
        record = _first_weights(generator, weights, data, folder / "first_weights.json", begun)
        if done.is_file():
            generator.load_state_dict(load_file(done))
            generator.eval()
            return record
        steps = min(steps, max_steps or steps)
        data.for_training(steps)
        torch.manual_seed(seed)
        own: list[Callback] = [RandomState(), BatchCheckpoints(last, min(checkpoint_every, steps))]
        own += [make(folder) for make in callbacks]
        trainer = make_trainer(
            max_epochs=1,
            max_steps=-1,  # it counts the steps of both optimizers
            val_check_interval=min(validate_every, steps),
            limit_val_batches=1.0 if data.validates else 0,
            enable_checkpointing=False,
            plugins=[WholeCheckpoints()],
            callbacks=[*own, StageProgress("normals")] if progress else own,
        )
        task = make_task(generator=generator, steps=steps)
        trainer.fit(task, datamodule=data, ckpt_path=last if last.is_file() else None)
        if trainer.interrupted:
            raise KeyboardInterrupt
        generator.load_state_dict(cast(Any, task.cpu()).trained.state_dict())
        # In the order that a model from its file has: the last bits of outputs depend on it.
        generator.to(memory_format=torch.contiguous_format).eval()  # type: ignore[call-overload]
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
    """Check that the generator can take pictures of this side, before any is read.

    Raises:
        UserError: If it cannot.
    """
    resnet = isinstance(getattr(generator, "encoder", None), ResNet)
    stride: int = STRIDE if resnet else getattr(generator, "stride", 1)
    if data.size % stride:
        raise UserError(
            f"data.size must be a multiple of {stride}, got {data.size}; set data.size="
            f"{max(round(data.size / stride), 1) * stride}"
        )
