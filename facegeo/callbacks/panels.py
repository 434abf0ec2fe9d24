"""Pictures of what a generator of normals finds, while it learns."""

from __future__ import annotations

from pathlib import Path

import torch
from lightning import Callback, LightningModule, Trainer

from facegeo.figures.panels import normal_panel
from facegeo.types import NormalBatch


class Panels(Callback):
    """Draws the first held-out faces at every validation, and logs the picture where that goes.

    Args:
        folder: Run folder; pictures go to ``panels/batch_0000500.png`` in it.
        faces: Rows of a picture.
    """

    def __init__(self, folder: Path, faces: int = 4) -> None:
        self.folder, self.faces = folder / "panels", faces

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: object,
        batch: NormalBatch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Draw, once a validation, in one process."""
        if batch_idx or not trainer.is_global_zero:
            return
        few = slice(self.faces)
        with torch.inference_mode():
            stages = pl_module(batch["image"][few])
        done = trainer.fit_loop.batch_idx + 1
        path = normal_panel(
            self.folder / f"batch_{done:07d}.png",
            batch["image"][few].cpu(),
            [stage.float().cpu() for stage in stages],
            f"held-out faces after {done} batches",
            normal=batch["normal"][few].cpu(),
            mask=batch["mask"][few].cpu(),
        )
        for logger in trainer.loggers:
            log_image = getattr(logger, "log_image", None)  # W&B's has it, CSV's has not
            if log_image is not None:
                log_image(key="panels", images=[str(path)])
