"""Callbacks of every training: progress, random state, checkpoints."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import torch
from lightning import Callback, LightningModule, Trainer
from lightning.fabric.plugins import TorchCheckpointIO
from lightning.pytorch.callbacks import RichProgressBar
from rich.console import Console
from torch import Tensor

from facegeo.errors import UserError
from facegeo.files.writing import whole_file

log = logging.getLogger(__name__)


class StageProgress(RichProgressBar):
    """Lightning's bar under the stage's name, without the logger's version.

    Args:
        title: What is trained.
    """

    def __init__(self, title: str) -> None:
        super().__init__(leave=True)
        self.title = title

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log where a resumed training continues."""
        super().on_train_start(trainer, pl_module)
        done = trainer.fit_loop.batch_idx + 1
        if done and trainer.is_global_zero:
            log.info("%s continues from its checkpoint after %d batches", self.title, done)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log the bar's numbers where there is no terminal."""
        super().on_validation_end(trainer, pl_module)
        terminal = Console(stderr=True).is_terminal or Console().is_terminal
        if trainer.is_global_zero and not terminal:
            shown = ", ".join(
                f"{name} {float(value):.4g}" for name, value in trainer.progress_bar_metrics.items()
            )
            log.info("%s after %d batches: %s", self.title, trainer.fit_loop.batch_idx + 1, shown)

    def get_metrics(
        self, trainer: Trainer, pl_module: LightningModule
    ) -> dict[str, int | str | float | dict[str, float]]:
        """Show only what the task logs for the bar."""
        shown: dict[str, Any] = super().get_metrics(trainer, pl_module)
        return {name: value for name, value in shown.items() if name != "v_num"}

    def _get_train_description(self, current_epoch: int) -> str:
        return self.title


class RandomState(Callback):
    """Keeps the states of torch's generators (dropout) in checkpoints; Lightning does not."""

    def __init__(self) -> None:
        self._restored: dict[str, Tensor] = {}

    def state_dict(self) -> dict[str, Any]:
        """States of the CPU and, where there is one, the current CUDA generator."""
        states = {"cpu": torch.get_rng_state()}
        if torch.cuda.is_available():
            states["cuda"] = torch.cuda.get_rng_state()
        return states

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Keep the states until training starts: the setup draws numbers too."""
        self._restored = dict(state_dict)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Restore the generators' states."""
        if "cpu" in self._restored:
            torch.set_rng_state(self._restored["cpu"].cpu())
        if "cuda" in self._restored and torch.cuda.is_available():
            torch.cuda.set_rng_state(self._restored["cuda"].cpu())
        self._restored = {}


LOSS = "train/loss"


class BatchCheckpoints(Callback):
    """Keeps the newest checkpoint; Lightning's own counts optimizer steps, two a batch in a GAN.

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
        """Write a checkpoint every so many batches and after the last.

        Raises:
            UserError: If the loss or a weight is not finite: the last checkpoint is kept.
        """
        done = batch_idx + 1
        if done % self.every and done < trainer.num_training_batches:
            return
        fault = _fault(trainer.callback_metrics[LOSS], pl_module)
        if fault is not None:
            kept = "No weights are kept yet"
            if self.path.is_file():
                kept = f"The weights of batch {(done - 1) // self.every * self.every} are kept"
            clip = ", set task.clip_norm=1" if hasattr(pl_module, "clip_norm") else ""
            raise UserError(
                f"{fault} at batch {done}, wanted a finite number; lower task.optimizer.lr{clip} "
                f"or set trainer.precision=32-true. {kept}"
            )
        trainer.save_checkpoint(self.path, weights_only=False)


def _fault(loss: Tensor, module: LightningModule) -> str | None:
    """Name a loss or weight that is not finite; a finite loss can still break weights."""
    if not torch.isfinite(loss):
        return f"{LOSS} is {loss.item()}"
    lost = (name for name, value in module.state_dict().items() if not value.isfinite().all())
    return next((f"{name} is not finite" for name in lost), None)


class WholeCheckpoints(TorchCheckpointIO):
    """Writes checkpoints whole or not at all.

    Lightning writes into the system's temporary folder; if that is on another disk, the file is
    copied from there, and a kill during the copy leaves half a checkpoint.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: object = None
    ) -> None:
        """Write ``checkpoint`` to ``path``."""
        path = Path(path)
        for leftover in path.parent.glob(f".*.{path.name}"):  # of a process that was killed
            leftover.unlink()
        with whole_file(path) as partial:
            torch.save(checkpoint, partial)
