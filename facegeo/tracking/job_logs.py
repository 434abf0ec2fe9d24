"""All loggers of a job: those that each of its trainers gets anew, and the W&B run they share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger

from facegeo.tracking.wandb_run import WandbRun


class JobLogs:
    """Builds a job's loggers, and ends them with what the job has measured.

    Args:
        makers: Each builds a logger from ``save_dir``.
        folder: The job's folder.
        config: Its configuration, plain values.
    """

    def __init__(
        self, makers: Mapping[str, Callable[..., Logger]], folder: Path, config: Mapping[str, Any]
    ) -> None:
        self._folder, self._config = folder, dict(config)
        self._makers = dict(makers)
        self._wandb: WandbRun | None = None
        for name, make in makers.items():
            if getattr(make, "func", make) is WandbRun:
                self._wandb = self._makers.pop(name)(save_dir=folder)  # type: ignore[assignment]

    @property
    def address(self) -> str | None:
        """Where the W&B run is to be seen, if there is one."""
        return self._wandb.address if self._wandb else None

    def begin(self, record: Mapping[str, Any]) -> None:
        """Tell W&B what the job is, before anything is logged."""
        if self._wandb:
            self._wandb.log_hyperparams(self._config | {"record": dict(record)})

    def of_trainer(self, part: str = "fit") -> list[Logger]:
        """Loggers for one trainer, which trains ``part``."""
        loggers: list[Logger] = [make(save_dir=self._folder) for make in self._makers.values()]
        for logger in loggers:
            logger.log_hyperparams(self._config)
        if self._wandb:
            self._wandb.part = part
            loggers.append(self._wandb)
        return loggers

    def measured(self, metrics: Mapping[str, float]) -> None:
        """Hand the numbers of an evaluation, which has no trainer, to all loggers but W&B's."""
        for make in self._makers.values():
            logger = make(save_dir=self._folder)
            logger.log_metrics(dict(metrics))
            logger.finalize("success")

    def close(self, metrics: Mapping[str, float], record: Mapping[str, Any], status: str) -> None:
        """End the W&B run with final metrics, the pictures in the folder and the record."""
        if self._wandb:
            pictures = sorted(self._folder.rglob("*.png")) if metrics else []
            shown = {"panels", "wandb"}  # logged while it trained; W&B's own copies
            for picture in pictures:
                if picture.relative_to(self._folder).parts[0] not in shown:
                    self._wandb.log_image(picture.stem, [str(picture)])
            self._wandb.close(metrics, record, status)
