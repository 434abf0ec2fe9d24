"""One progress bar a stage, named for it."""

from __future__ import annotations

from typing import Any

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import RichProgressBar


class StageProgress(RichProgressBar):
    """Lightning's bar under the stage's name, without the logger's version.

    Args:
        title: What is trained.
    """

    def __init__(self, title: str) -> None:
        super().__init__(leave=True)
        self.title = title

    def get_metrics(
        self, trainer: Trainer, pl_module: LightningModule
    ) -> dict[str, int | str | float | dict[str, float]]:
        """Show what the task logs for the bar and nothing else."""
        shown: dict[str, Any] = super().get_metrics(trainer, pl_module)
        return {name: value for name, value in shown.items() if name != "v_num"}

    def _get_train_description(self, current_epoch: int) -> str:
        return self.title
