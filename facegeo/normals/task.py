"""Training of a generator of normals against a discriminator: Cas-FNE, Sec. III-D."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, cast

import torch
from lightning import LightningModule
from lightning.pytorch.core.optimizer import LightningOptimizer
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torchmetrics import Metric

from facegeo.errors import UserError
from facegeo.normals.data import NormalBatch
from facegeo.normals.losses import WHITE_NORMAL
from facegeo.training.schedules import MakeScheduler

MakeOptimizer = Callable[[Any], Optimizer]
TERMS = ("rec", "diff", "tv", "adv")


class Adversarial(Protocol):
    """Losses of generator and discriminator, from logits of true and of generated normals."""

    def discriminator(self, real: Tensor, fakes: Sequence[Tensor]) -> Tensor:
        """What the discriminator lessens."""

    def generator(self, fakes: Sequence[Tensor]) -> Tensor:
        """What the generator lessens."""


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
        discriminator: Builds what maps normals to logits; not called if adv has weight 0.
        metrics: Takes normals, true normals and mask; cloned for each t.
        optimizer: Called with the generator's parameters.
        discriminator_optimizer: Called with the discriminator's parameters.
        steps: Batches this training takes.
        scheduler: Of both rates, stepped each batch; None keeps them.
        masked: The discriminator sees the face alone, zero around it. Without, it sees all
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
        weights: Mapping[str, float],
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
        self.weights = _checked(weights)
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
            terms |= self._generator_terms(stages, batch)
            loss = sum((self.weights[name] * terms[name] for name in self._active), torch.zeros(()))
            self._step(optimizers[0], loss)
        for scheduler in self._schedulers():
            scheduler.step()
        if self.average is not None:
            self.average.update_parameters(self.generator)
        named = {f"train/{name}": value.detach() for name, value in terms.items()}
        self.log_dict(named | {"train/loss": loss.detach()}, batch_size=len(batch["image"]))

    def _generator_terms(self, stages: Sequence[Tensor], batch: NormalBatch) -> dict[str, Tensor]:
        terms = {}
        if self.weights["rec"]:
            terms["rec"] = self.rec(stages, batch["normal"], batch["mask"])
        if self.weights["diff"]:
            terms["diff"] = self.diff(stages, batch["normal"], batch["mask"])
        if self.weights["tv"]:
            terms["tv"] = self.tv(stages, batch["mask"])
        if self.weights["adv"]:
            terms["adv"] = self.adv.generator(self._judge(stages, batch["mask"]))
        return terms

    @property
    def _active(self) -> list[str]:
        return [name for name in TERMS if self.weights[name]]

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
            self.log_dict(results, sync_dist=True)  # equal in all processes; else a warning each
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


def _checked(weights: Mapping[str, float]) -> dict[str, float]:
    given = {name: float(value) for name, value in weights.items()}
    if set(given) != set(TERMS) or min(given.values()) < 0 or not any(given.values()):
        raise UserError(
            f"task.weights must give {', '.join(TERMS)}, each 0 or more and one above 0, "
            f"got {given}"
        )
    return given
