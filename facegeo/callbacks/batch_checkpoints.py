"""A checkpoint every so many batches, however many optimizers step in one."""

from __future__ import annotations

from pathlib import Path

import torch
from lightning import Callback, LightningModule, Trainer

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
            UserError: If the loss is no finite number: the checkpoint before is kept.
        """
        if (batch_idx + 1) % self.every:
            return
        loss = trainer.callback_metrics[LOSS]
        if not torch.isfinite(loss):
            raise UserError(
                f"{LOSS} is {loss.item()} at batch {batch_idx + 1}, wanted a finite number; lower "
                "task.optimizer.lr, set task.clip_norm=1 or trainer.precision=32-true. The "
                f"weights of batch {batch_idx + 1 - self.every} are kept"
            )
        trainer.save_checkpoint(self.path, weights_only=False)
