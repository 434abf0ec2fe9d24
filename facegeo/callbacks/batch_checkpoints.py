"""A checkpoint every so many batches, however many optimizers step in one."""

from __future__ import annotations

from pathlib import Path

import torch
from lightning import Callback, LightningModule, Trainer
from torch import Tensor

from facegeo.errors import UserError

LOSS = "train/loss"


class BatchCheckpoints(Callback):
    """Keeps the newest checkpoint; Lightning's own counts optimizer steps, two a batch in a game.

    Args:
        path: File to write.
        every: Batches between two checkpoints.
    """

    def __init__(self, path: Path, every: int) -> None:
        self.path, self.every = path, every

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: object,
        batch: object,
        batch_idx: int,
    ) -> None:
        """Write it when it is time.

        Raises:
            UserError: If the loss or a weight is no finite number: the checkpoint before is kept.
        """
        done = batch_idx + 1
        if done % self.every and done < trainer.num_training_batches:
            return
        fault = _fault(trainer.callback_metrics[LOSS], pl_module)
        if fault is not None:
            before = f"The weights of batch {(done - 1) // self.every * self.every} are kept"
            raise UserError(
                f"{fault} at batch {done}, wanted a finite number; lower task.optimizer.lr, set "
                "task.clip_norm=1 or trainer.precision=32-true. "
                f"{before if self.path.is_file() else 'No weights are kept yet'}"
            )
        trainer.save_checkpoint(self.path, weights_only=False)


def _fault(loss: Tensor, module: LightningModule) -> str | None:
    """What is no finite number; weights may be lost by a step whose loss still was one."""
    if not torch.isfinite(loss):
        return f"{LOSS} is {loss.item()}"
    lost = (name for name, value in module.state_dict().items() if not value.isfinite().all())
    return next((f"{name} is not finite" for name in lost), None)
