"""Panels of faces, normals and errors; the callback that draws them in training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
import torch
from lightning import Callback, LightningModule, Trainer
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor

from facegeo.checks import check_shape
from facegeo.geometry.light import LIGHTS, directional_shading
from facegeo.geometry.normals import angle_map, encode, normalise
from facegeo.normals.data import NormalBatch
from facegeo.normals.maps import as_trained
from facegeo.normals.photos import PhotoFolder
from facegeo.training.canvas import canvas, save_png

Board = NDArray[np.uint8]
SCALE_DEG = 40.0
COLOURS = "viridis"
MIN_TILE_PX = 128
GAP_PX = 4
TITLE_PX = 30
LABEL_PX = 22
NOTE_PX = 18
BAR_PX = 58
BAR_WIDTH_PX = 320


def normal_panel(
    path: Path,
    images: Tensor,
    stages: Sequence[Tensor],
    title: str,
    *,
    normal: Tensor | None = None,
    mask: Tensor | None = None,
    lights: Sequence[str] = ("left", "above", "right"),
) -> Path:
    """Draw input, normals of every stage, truth, error map and shading, a row a face.

    Normals are shown as colours (n + 1) / 2: red for x to the right, green for y up, blue for z
    to the camera. Errors are those of the last stage, in colours that end at 40 degrees; under each
    stage is the mean of its errors over the face's mask, in degrees. The first light shades
    every stage, as in Cas-FNE's Figs. 3 and 10 to 13, the others the last one. Pixels are shown as
    they are; maps under 128 pixels are enlarged by a whole number.

    Args:
        path: PNG file to write; its folder is made.
        images: RGB in [0, 1], shape (B, 3, H, W).
        stages: Predicted normals of t = 0, 1, ..., each of that shape, x right, y up, z to the
            camera, any length > 0.
        title: One line on top: which data, which run.
        normal: True normals, same shape; None leaves out the truth, the errors and their map.
        mask: Face pixels, bool, shape (B, 1, H, W); None takes all. Pixels outside are white.
        lights: Names of lights to shade with, keys of ``LIGHTS``.

    Returns:
        ``path``.

    Raises:
        ValueError: If there is no face or no stage, shapes do not belong together, or a light
            has no name.
    """
    _check(images, stages, normal, mask, lights)
    images, stages = _plain(images), [normalise(_plain(stage)) for stage in stages]
    inside = torch.ones_like(images[:, :1], dtype=torch.bool) if mask is None else mask.cpu()
    columns, notes = {"input": _bytes(images)}, dict[str, list[str]]()
    columns |= {f"t = {t}": encode(stage, inside) for t, stage in enumerate(stages)}
    if normal is not None:
        truth = _plain(normal)
        errors = [angle_map(stage, truth) for stage in stages]
        notes = {f"t = {t}": _means(error, inside) for t, error in enumerate(errors)}
        columns["ground truth"] = encode(truth, inside)
        columns[f"error, t = {len(stages) - 1}"] = _heat(errors[-1], inside)
    for name in lights:
        for t, stage in enumerate(stages):
            if t == len(stages) - 1 or name == lights[0]:
                grey = directional_shading(stage, torch.tensor([LIGHTS[name]]))
                columns[f"{name}, t = {t}"] = _bytes(grey.where(inside, 1).expand_as(images))
    return save_png(_figure(title, columns, notes), path)


def tile_page(path: Path, columns: Mapping[str, Tensor], title: str) -> Path:
    """Draw pictures side by side, a row a face.

    Args:
        path: PNG file to write; its folder is made.
        columns: RGB, uint8, (B, 3, H, W) each, by the text over the column.
        title: One line on top.

    Returns:
        ``path``.
    """
    return save_png(_figure(title, columns, {}), path)


def _figure(title: str, columns: Mapping[str, Tensor], notes: Mapping[str, list[str]]) -> Figure:
    """Lay out columns of tiles (B, 3, H, W) under their names, with notes under the tiles."""
    faces, _, height, width = next(iter(columns.values())).shape
    zoom = -(-MIN_TILE_PX // min(width, MIN_TILE_PX))
    tall, wide = zoom * height, zoom * width
    step_x, step_y = wide + GAP_PX, tall + GAP_PX + (NOTE_PX if notes else 0)
    top, bottom = TITLE_PX + LABEL_PX, BAR_PX if notes else 0
    size = (len(columns) * step_x + GAP_PX, top + faces * step_y + bottom)
    board = np.full((size[1], size[0], 3), 255, np.uint8)
    figure = canvas(*size)
    figure.set_layout_engine("none")  # every tile has its place, pixel by pixel

    def write(text: str, x: float, y: float, points: int) -> None:
        place = (x / size[0], 1 - y / size[1])
        figure.text(*place, text, ha="center", va="center", fontsize=points)

    write(title, size[0] / 2, TITLE_PX / 2, 12)
    for column, (name, tiles) in enumerate(columns.items()):
        left = GAP_PX + column * step_x
        write(name, left + wide / 2, TITLE_PX + LABEL_PX / 2, 10)
        for row, tile in enumerate(tiles.permute(0, 2, 3, 1).numpy()):
            upper = top + row * step_y
            board[upper : upper + tall, left : left + wide] = tile.repeat(zoom, 0).repeat(zoom, 1)
            if name in notes:
                write(notes[name][row], left + wide / 2, upper + tall + NOTE_PX / 2, 9)
    figure.figimage(board, zorder=-1)
    if notes:
        _colour_bar(figure, size)
    return figure


def _colour_bar(figure: Figure, size: tuple[int, int]) -> None:
    width = min(BAR_WIDTH_PX, size[0] - 40)
    place = ((size[0] - width) / 2 / size[0], 38 / size[1], width / size[0], 10 / size[1])
    scale = ScalarMappable(Normalize(0, SCALE_DEG), COLOURS)
    bar = figure.colorbar(scale, cax=figure.add_axes(place), orientation="horizontal", extend="max")
    bar.set_label("angle to the true normal (degrees)", fontsize=9, labelpad=1)
    bar.ax.tick_params(labelsize=8, pad=2)


def _plain(values: Tensor) -> Tensor:
    return values.detach().cpu().float()


def _bytes(images: Tensor) -> Tensor:
    return (images.nan_to_num().clamp(0, 1) * 255).round().to(torch.uint8)


def _heat(errors: Tensor, mask: Tensor) -> Tensor:
    """Colours of errors in degrees (B, 1, H, W), RGB bytes; no direction counts as the worst."""
    share = (errors.nan_to_num(nan=180) / SCALE_DEG).clamp(0, 1)[:, 0].numpy()
    colours = torch.from_numpy(mpl.colormaps[COLOURS](share)[..., :3]).permute(0, 3, 1, 2)
    return _bytes(colours.where(mask, 1))


def _means(errors: Tensor, mask: Tensor) -> list[str]:
    """Mean over each face's mask as text; a dash where the mask is empty."""
    means = [error[face].mean() for error, face in zip(errors, mask, strict=True)]
    return [f"{mean:.1f}°" if face.any() else "-" for mean, face in zip(means, mask, strict=True)]


def _check(
    images: Tensor,
    stages: Sequence[Tensor],
    normal: Tensor | None,
    mask: Tensor | None,
    lights: Sequence[str],
) -> None:
    sizes: dict[str, int] = {}
    check_shape("images", images, "B", 3, "H", "W", sizes=sizes)
    if not (len(images) and stages):
        raise ValueError(f"wanted a face and a stage at least, got {len(images)} and {len(stages)}")
    for number, stage in enumerate(stages):
        check_shape(f"stage {number}", stage, "B", 3, "H", "W", sizes=sizes)
    if normal is not None:
        check_shape("normal", normal, "B", 3, "H", "W", sizes=sizes)
    if mask is not None:
        check_shape("mask", mask, "B", 1, "H", "W", sizes=sizes)
    if unknown := [name for name in lights if name not in LIGHTS]:
        raise ValueError(f"lights must be among {', '.join(LIGHTS)}; got {', '.join(unknown)}")


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
