"""Panels of plain photos, which have no ground truth."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from rich.console import Console
from torch import nn
from torch.utils.data import DataLoader

from facegeo.data.coding import as_trained
from facegeo.data.photo_folder import PhotoFolder
from facegeo.figures.panels import normal_panel
from facegeo.procedures.report_normals import find_normals

ROWS = 6
"""Faces of a page."""


@torch.inference_mode()
def show_photos(
    model: nn.Module,
    photos: PhotoFolder,
    folder: Path,
    splits: Sequence[str] = (),
    paper: object = None,
    device: torch.device | str = "cpu",
    console: Console | None = None,
    *,
    t: int | None = None,
    panels: bool = False,
    coding: str | None = None,
) -> dict[str, float]:
    """Draw what a generator of normals sees in photos: ``photos_0000.png`` and so on.

    Args:
        model: Maps images to the normals of t = 0..T.
        photos: The faces.
        folder: Gets the pages.
        splits: Not used: photos have none.
        paper: Not used: nothing is measured.
        device: Where the generator runs.
        console: Says where they are; None: the terminal.
        t: Refinements to run; None: as the model was built.
        panels: Draw all photos, not the first page alone.
        coding: Of the photos that the generator was trained on, see ``facegeo.data.coding``.

    Returns:
        No numbers.

    Raises:
        UserError: As ``find_normals`` says.
    """
    model = model.to(device).eval()
    for page, batch in enumerate(DataLoader(photos, ROWS)):
        if page and not panels:
            break
        stages = find_normals(model, as_trained(batch["image"].to(device), coding), t)
        path = folder / f"photos_{page:04d}.png"
        normal_panel(path, batch["image"], stages, photos.root.name)
    (console or Console()).print(f"Pictures: {folder}")
    return {}
