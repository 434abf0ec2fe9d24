"""Pictures of what a generator of normals finds, while it learns."""

from __future__ import annotations

from pathlib import Path

import torch
from lightning import Callback, LightningModule, Trainer
from torch import Tensor

from facegeo.data.coding import as_trained
from facegeo.data.photo_folder import PhotoFolder
from facegeo.figures.panels import normal_panel
from facegeo.types import NormalBatch


class Panels(Callback):
    """Draws the first held-out faces at every validation, and logs the picture where that goes.

    Args:
        folder: Run folder; pictures go to ``panels/faces_0000500.png`` in it.
        faces: Rows of a picture.
        photos: Photos without ground truth, of which the first are drawn too.
    """

    def __init__(self, folder: Path, faces: int = 4, photos: PhotoFolder | None = None) -> None:
        self.folder, self.faces = folder / "panels", faces
        self.photos = photos

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
        truth = (batch["normal"][few].cpu(), batch["mask"][few].cpu())
        self._draw("held-out faces", batch["image"][few], trainer, pl_module, truth)
        if self.photos is not None:
            rows = range(min(self.faces, len(self.photos)))
            photos = torch.stack([self.photos[row]["image"] for row in rows])
            coding = getattr(trainer.datamodule, "coding", None)  # type: ignore[attr-defined]
            self._draw("photos", photos.to(pl_module.device), trainer, pl_module, coding=coding)

    def _draw(
        self,
        title: str,
        images: Tensor,
        trainer: Trainer,
        pl_module: LightningModule,
        truth: tuple[Tensor, Tensor] | tuple[None, None] = (None, None),
        coding: str | None = None,
    ) -> None:
        with torch.inference_mode():
            stages = [stage.float().cpu() for stage in pl_module(as_trained(images, coding))]
        done = trainer.fit_loop.batch_idx + 1
        kind = title.split()[-1]
        path = self.folder / f"{kind}_{done:07d}.png"
        header, (normal, mask) = f"{title} after {done} batches", truth
        normal_panel(path, images.cpu(), stages, header, normal=normal, mask=mask)
        for logger in trainer.loggers:
            log_image = getattr(logger, "log_image", None)  # W&B's has it, CSV's has not
            if log_image is not None:
                log_image(key=f"panels/{kind}", images=[str(path)])
