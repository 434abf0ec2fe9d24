"""Measure a cascade: errors, tables, pictures, causes."""

from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.fabric.utilities import move_data_to_device
from rich.console import Console
from torch import Tensor

from facegeo.files.writing import write_whole
from facegeo.geometry.windows import POINT_NAMES, point_errors, to_window
from facegeo.landmarks.data import LFPWDataModule
from facegeo.landmarks.figures import ced_plot, found_points, stage_plot
from facegeo.landmarks.metrics import LandmarkErrors
from facegeo.landmarks.nets import Cascade
from facegeo.landmarks.tables import stage_table
from facegeo.papers import printed
from facegeo.training.results import keep_metrics, keep_table


@dataclass(frozen=True)
class Found:
    """Points of a list, each relative to its box's left top corner, px.

    Attributes:
        points: After each stage, (N, T, 5, 2).
        target: True points, (N, 5, 2).
        size: Width and height of the boxes, (N, 2).
        rows: Rows of the list, (N,).
    """

    points: Tensor
    target: Tensor
    size: Tensor
    rows: Tensor


@torch.inference_mode()
def find_points(cascade: Cascade, data: LFPWDataModule, split: str, device: torch.device) -> Found:
    """Run the cascade on the faces of "train" (as they are), "val" or "test"."""
    cascade = cascade.to(device).eval()
    parts: list[tuple[Tensor, ...]] = []
    for batch in data.in_order(split):
        batch = move_data_to_device(batch, device)
        found = cascade(data.crops(batch, split), batch["canvas"])
        sides = batch["size"][:, None]
        parts.append(
            (found * sides[:, None], batch["points"] * sides, batch["size"], batch["face"])
        )
    return Found(*(torch.cat(column).cpu() for column in zip(*parts, strict=True)))


def measure(
    found: Found, split: str, mean_shape: Tensor | None = None
) -> dict[str, LandmarkErrors]:
    """Errors after each stage ("stage1", ...) and of the mean shape where that is given.

    Args:
        found: Points of a list.
        split: First part of the metrics' names.
        mean_shape: Mean points of the training faces, box frame, (5, 2).
    """
    guesses = {f"stage{i + 1}": found.points[:, i] for i in range(found.points.shape[1])}
    if mean_shape is not None:
        guesses["mean_shape"] = mean_shape * found.size[:, None]
    measured = {}
    for name, guess in guesses.items():
        measured[name] = LandmarkErrors(prefix=f"{split}/{name}/")
        measured[name].update(guess, found.target, found.size[:, 0])
    return measured


def mean_shape(data: LFPWDataModule) -> Tensor:
    """Mean of the training faces' points in their boxes, (5, 2): a guess that ignores images."""
    views = data.views("train")
    rows = torch.arange(len(views))
    return views.batch(torch.zeros_like(rows), rows)["points"].mean(dim=0)


def window_misses(cascade: Cascade, found: Found, split: str) -> dict[str, float]:
    """Share of true points outside the window that should contain them, by stage.

    Args:
        cascade: What found the points.
        found: Points of a list.
        split: First part of the names.

    Returns:
        ``split/stage1/outside_pct`` and so on: share of votes, in %, whose true point lies
        outside their window; the net cannot see it then.
    """
    sides = found.size[:, None]
    target = found.target / sides
    anchors = torch.full_like(target, 0.5)
    misses = {}
    for number, stage in enumerate(cascade.by_name().values()):
        device = stage.vote_net.device
        windows = stage.windows(anchors.to(device))[:, stage.vote_net].cpu()
        inside = to_window(target[:, stage.vote_point.cpu()], windows)
        outside = ((inside < 0) | (inside > 1)).any(dim=2)
        misses[f"{split}/stage{number + 1}/outside_pct"] = 100 * outside.float().mean().item()
        anchors = found.points[:, number] / sides
    return misses


def label_noise(data: LFPWDataModule) -> Tensor:
    """Distance between two labels of the same photograph, as a share of the box width.

    Byte-identical images of the training and the test list were labelled more than once. The
    distance of two labels with independent errors of one size is the square root of two times
    that size.

    Returns:
        Mean over the five points for each pair of copies, (P,); boxes may differ, so points are
        compared in image pixels.
    """
    copies: dict[str, list[tuple[Tensor, Tensor]]] = defaultdict(list)
    for split in ("train", "test"):
        faces = data.faces(split)
        for row, digest in enumerate(faces.store.digest):
            copies[digest].append((faces.points[row], faces.boxes[row]))
    pairs = [
        point_errors(one[0][None], other[0][None], (one[1][1] - one[1][0])[None]).mean()
        for group in copies.values()
        for one, other in combinations(group, 2)
    ]
    return torch.stack(pairs) if pairs else torch.empty(0)


SHOWN = 18


def report_points(
    cascade: Cascade,
    data: LFPWDataModule,
    folder: Path,
    splits: Sequence[str],
    paper: Mapping[str, Any] | None = None,
    device: torch.device | str = "cpu",
    console: Console | None = None,
) -> dict[str, float]:
    """Measure a cascade; write numbers and pictures into ``folder`` and show the table.

    Args:
        cascade: Trained.
        data: The faces.
        folder: Gets ``metrics.json``, and for each split a table (Markdown, CSV), the error of
            each image, pictures of found points, the error curve and the errors by stage.
        splits: Of "val" and "test".
        paper: The paper's average error by stage, ``{error_pct: ...}``, drawn beside ours.
        device: Where the cascade runs.
        console: Shows the table; None: the terminal.

    Returns:
        The metrics, such as ``test/stage1/error_pct``.
    """
    device = torch.device(device)
    guess = mean_shape(data)
    console = console or Console()
    results: dict[str, float] = {}
    for split in splits:
        found = find_points(cascade, data, split, device)
        measured = measure(found, split, guess)
        for metric in measured.values():
            results |= {name: value.item() for name, value in metric.compute().items()}
        misses = window_misses(cascade, found, split)
        results |= misses
        table = stage_table(results, split, f"{data.title}: {len(found.rows)} {split} faces")
        keep_table(folder, split, table, console)
        shares = ", ".join(f"{name.split('/')[1]} {share:.2f} %" for name, share in misses.items())
        console.print(f"True points outside the window that should hold them: {shares}")
        keep_errors(folder / f"{split}_errors.npz", found)
        _draw(data, found, measured, folder, split, paper)
    if "test" in splits:
        noise = label_noise(data)
        if len(noise):
            console.print(
                f"{len(noise)} pairs of byte-identical images are labelled differently, by "
                f"{100 * noise.mean():.2f} % of the box width on average"
            )
        for train, test in data.twins():
            console.print(
                f"Test image {test} is byte-identical to training image {train}; it counts"
            )
    keep_metrics(folder, results, console)
    return results


def keep_errors(path: Path, found: Found) -> None:
    """Write each image's mean error of the five points, in % of the box width, by stage (N,)."""
    width = found.size[:, 0].double()
    errors: dict[str, Any] = {}
    for i in range(found.points.shape[1]):
        percent = 100 * point_errors(found.points[:, i], found.target, width)
        errors[f"stage{i + 1}"] = percent.mean(dim=1).float().numpy()
    content = io.BytesIO()
    np.savez_compressed(content, **errors)
    write_whole(path, content.getvalue())


def _draw(
    data: LFPWDataModule,
    found: Found,
    measured: Mapping[str, LandmarkErrors],
    folder: Path,
    split: str,
    paper: Mapping[str, Any] | None,
) -> None:
    title = f"{len(found.rows)} {split} faces of {data.title}"
    ced_plot(folder / f"{split}_ced.png", {n: m.ced_curve() for n, m in measured.items()}, title)
    ours = {}
    for name, metric in measured.items():
        if name != "mean_shape":
            values = metric.compute()
            points = [values[f"{split}/{name}/error_{point}_pct"] for point in POINT_NAMES]
            ours[name] = torch.stack(points)[None]
    cells = {name: printed(paper or {}, name, "error_pct") for name in ours}
    beside = {name: cell.value for name, cell in cells.items() if cell}
    stage_plot(folder / f"{split}_stages.png", ours, title, beside)
    shown = torch.linspace(0, len(found.rows) - 1, min(SHOWN, len(found.rows))).long()
    faces = data.faces("test" if split == "test" else "train")
    rows = found.rows[shown]
    origin = (faces.boxes[rows, 0::2] - faces.store.origin[rows].cpu())[:, None]
    found_points(
        folder / f"{split}_points.png",
        [faces.store.image(row).cpu().numpy() for row in rows.tolist()],
        found.target[shown] + origin,
        found.points[shown, -1] + origin,
        title,
    )
