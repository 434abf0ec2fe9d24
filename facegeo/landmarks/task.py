"""Training of one CCNN stage, its nets side by side."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lightning import LightningModule
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
from torch.optim import Optimizer
from torchmetrics import Metric

from facegeo.landmarks.nets import Stage
from facegeo.landmarks.views import StageBatch
from facegeo.training.schedules import MakeScheduler

MakeOptimizer = Callable[[list[dict[str, Any]]], Optimizer]


class LandmarkStageTask(LightningModule):
    """Fit the nets of one stage together; knows losses and logging, nothing of architectures.

    The loss is a sum over nets that share no parameter, so each net learns what it would learn
    by itself (a test holds this). The L2 term of formula (6) is the optimizer's ``weight_decay``,
    which is applied to weights and not to biases.

    Args:
        stage: Its nets are trained; a bias has "bias" in its name.
        loss: Maps (votes, targets), both (B, V, 2) in window units, to a scalar.
        metrics: Takes points and true points (B, 5, 2) and box width (B,), px.
        optimizer: Called with parameter groups.
        scheduler: Called with the optimizer and the number of steps.
        steps: Batches this training takes.
    """

    def __init__(
        self,
        stage: Stage,
        loss: nn.Module,
        metrics: Metric,
        optimizer: MakeOptimizer,
        scheduler: MakeScheduler,
        steps: int,
    ) -> None:
        super().__init__()
        self.stage, self.loss, self.steps = stage, loss, steps
        self.val_metrics = metrics.clone()
        self._optimizer, self._scheduler = optimizer, scheduler

    def forward(self, image: Tensor) -> Tensor:
        """Votes (B, V, 2) from crops (B, W, 3, S, S)."""
        votes: Tensor = self.stage(image)
        return votes

    def _step(self, batch: StageBatch, split: str) -> Tensor:
        votes = self(batch["image"])
        loss: Tensor = self.loss(votes, self.stage.targets(batch["points"], batch["frame"]))
        on_step = split == "train"
        size = len(batch["points"])
        self.log(
            f"{split}/loss",
            loss,
            on_step=on_step,
            on_epoch=not on_step,
            batch_size=size,
            sync_dist=not on_step,
        )
        if split == "val":
            sides = batch["size"][:, None]
            found = self.stage.fuse(votes, batch["frame"])
            self.val_metrics.update(found * sides, batch["points"] * sides, batch["size"][:, 0])
        return loss

    def training_step(self, batch: StageBatch, batch_idx: int) -> Tensor:
        """Loss of a training batch."""
        return self._step(batch, "train")

    def validation_step(self, batch: StageBatch, batch_idx: int) -> None:
        """Loss and points of a validation batch."""
        self._step(batch, "val")

    def on_validation_epoch_end(self) -> None:
        """Log the error of the held-out faces, % of box width."""
        results = self.val_metrics.compute()
        named = {f"val/{name}": value for name, value in results.items()}
        self.log_dict(named, sync_dist=True)
        self.log("val/error", results["error_pct"], prog_bar=True, logger=False, sync_dist=True)
        self.val_metrics.reset()

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Weights decay, biases do not; the schedule is stepped every batch."""
        named = [(n, p) for n, p in self.stage.named_parameters() if p.requires_grad]
        groups: list[dict[str, Any]] = [
            {"params": [p for n, p in named if "bias" not in n]},
            {"params": [p for n, p in named if "bias" in n], "weight_decay": 0.0},
        ]
        optimizer = self._optimizer(groups)
        scheduler = self._scheduler(optimizer, steps=self.steps)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": scheduler, "interval": "step"},
        }
