"""One progress bar a stage, named for it."""

from __future__ import annotations

import logging
from typing import Any

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import RichProgressBar
from rich.console import Console

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
        """Say where a resumed training goes on."""
        super().on_train_start(trainer, pl_module)
        done = trainer.fit_loop.batch_idx + 1
        if done and trainer.is_global_zero:
            log.info("%s goes on from its checkpoint after %d batches", self.title, done)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Say in a log file what the bar shows on a terminal."""
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
        """Show what the task logs for the bar and nothing else."""
        shown: dict[str, Any] = super().get_metrics(trainer, pl_module)
        return {name: value for name, value in shown.items() if name != "v_num"}

    def _get_train_description(self, current_epoch: int) -> str:
        return self.title
