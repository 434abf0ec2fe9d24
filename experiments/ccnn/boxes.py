"""Measure what a wrong face box costs a cascade; fit a detector's boxes to those of the training.

    python experiments/ccnn/boxes.py DIR

DIR holds Sun et al.'s lists and images, or faces in their layout. Errors are of the test list, in
the given boxes, moved and scaled ones, and those of OpenCV's Haar cascade, whose mapping to the
training's boxes is fitted on the training list. The output folder gets ``grid``, ``again``,
``mapping`` and ``detector`` as Markdown and CSV, ``boxes.png`` and ``metrics.json``.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from rich.console import Console
from torch import Tensor

from facegeo.errors import UserError
from facegeo.files.images import decode, in_threads
from facegeo.files.tables import Table
from facegeo.geometry.windows import point_errors
from facegeo.landmarks.data import LFPWDataModule
from facegeo.landmarks.nets import Cascade
from facegeo.landmarks.views import Augment, Faces
from facegeo.predict.boxes import BoxMapping, box_of_points, overlap
from facegeo.predict.detectors import HAAR_TO_TRAINING, Haar
from facegeo.predict.photo import Boxes
from facegeo.predict.points import points_in_boxes
from facegeo.training.canvas import COLOURS, DASHES, MARKERS, canvas, save_png
from facegeo.training.model_file import load_model
from facegeo.training.results import keep_metrics, keep_table

BATCH = 256
SAME_FACE = 0.3
"""Least overlap (IoU) of a detector's own box with the given one to be of the same face."""
FAILED_PCT = 10.0
SHIFTS = (0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3)
"""Moves of the box, in box sides."""
SCALES = (0.6, 0.7, 0.8, 0.9, 1, 1.1, 1.2, 1.3, 1.4)
"""Sides of the box, in given sides."""
BOXES = {
    "given": "given",
    "mapped": "Haar's, mapped",
    "again": "the same, two looks",
    "raw": "Haar's own",
    "missed": "given, missed",
}


@torch.inference_mode()
def errors_in(
    cascade: Cascade, faces: Faces, rows: Tensor, boxes: Tensor, device: str, looks: int = 1
) -> Tensor:
    """Mean error of the five points after each stage, in % of the *given* box's width.

    Args:
        cascade: Trained.
        faces: Of a list, with pixels 0.4 box sides around the given box; beyond, the border is
            repeated.
        rows: Of ``faces``, (N,).
        boxes: Where the cascade looks for them, left, right, top, bottom, px, (N, 4).
        device: Where it runs.
        looks: 2: look again in the box around the points found.

    Returns:
        Shape (N, T).
    """
    cascade, store = cascade.to(device).eval(), faces.store.to(device)
    parts = []
    for index in torch.arange(len(rows)).split(BATCH):
        some, box = rows[index], boxes[index].float()
        points = points_in_boxes(cascade, store, some, box)
        for _ in range(looks - 1):
            box = torch.from_numpy(box_of_points(points[:, -1].numpy())).float()
            points = points_in_boxes(cascade, store, some, box)
        width, true = faces.boxes[some, 1] - faces.boxes[some, 0], faces.points[some]
        stages = [point_errors(p, true, width).mean(dim=1) for p in points.unbind(1)]
        parts.append(100 * torch.stack(stages, dim=1))
    return torch.cat(parts)


def moved(boxes: Tensor, shift: float, scale: float, seed: int) -> Tensor:
    """Return boxes (N, 4) scaled about their middle and moved in a direction drawn for each.

    Args:
        boxes: Left, right, top, bottom, px.
        shift: Length of the move, in widths (along x) and heights (along y) of the box.
        scale: Of the sides.
        seed: Of the directions; the same for every shift and scale.
    """
    draw = torch.Generator().manual_seed(seed)
    angle = 2 * torch.pi * torch.rand(len(boxes), generator=draw)
    way = torch.stack([angle.cos(), angle.sin()], dim=1)
    low, high = boxes[:, 0::2], boxes[:, 1::2]
    middle = (low + high) / 2 + shift * way * (high - low)
    half = scale * (high - low) / 2
    return torch.stack([middle - half, middle + half], dim=2).flatten(1)


@dataclass(frozen=True)
class Matched:
    """The detector's box of each face of a list that it found.

    Attributes:
        rows: Of the faces found, (M,).
        boxes: The detector's own boxes of these, px, (M, 4).
        images: Number of images.
        others: Boxes that belong to no face of the list.
    """

    rows: npt.NDArray[np.int64]
    boxes: Boxes
    images: int
    others: int


def match(given: Boxes, found: Sequence[Boxes]) -> Matched:
    """Find the detected box of each face: the one that overlaps the given box most.

    Args:
        given: Box of the face of each image, (N, 4).
        found: The detector's boxes in each image, (F, 4) each.
    """
    rows, boxes = [], []
    for row, (box, own) in enumerate(zip(given, found, strict=True)):
        shares = overlap(box[None], own)[0]
        if len(own) and shares.max() > SAME_FACE:
            rows.append(row)
            boxes.append(own[shares.argmax()])
    others = sum(map(len, found)) - len(rows)
    places = np.stack(boxes) if boxes else np.zeros((0, 4))
    return Matched(np.array(rows, np.int64), places, len(given), others)


def fit_mapping(given: Boxes, detected: Boxes) -> tuple[BoxMapping, BoxMapping]:
    """Fit the mapping from detected boxes to the given ones: the median of each number.

    Args:
        given: Boxes of the training, (M, 4).
        detected: The detector's own boxes of the same faces, (M, 4).

    Returns:
        The medians, and the robust standard deviation (1.4826 MAD) of each.
    """
    side = detected[:, 1::2] - detected[:, 0::2]
    move = (given[:, 0::2] + given[:, 1::2] - detected[:, 0::2] - detected[:, 1::2]) / 2 / side
    scale = (given[:, 1::2] - given[:, 0::2]).mean(axis=1) / side.mean(axis=1)
    numbers = np.concatenate([move, scale[:, None]], axis=1)
    medians = np.median(numbers, axis=0)
    spread = 1.4826 * np.median(np.abs(numbers - medians), axis=0)
    return BoxMapping(*medians.tolist()), BoxMapping(*spread.tolist())


Curves = Mapping[float, Sequence[float]]


def draw(path: Path, by_shift: Curves, by_scale: Curves, names: Sequence[str], title: str) -> None:
    """Draw errors, one for each name, against the move of the box and against its scale."""
    figure = canvas(1000, 440)
    figure.suptitle(title)
    axes = figure.subplots(1, 2, sharey=True)
    for axis, curves, label in (
        (axes[0], by_shift, "move of the box (box sides)"),
        (axes[1], by_scale, "side of the box (given sides)"),
    ):
        errors = np.array(list(curves.values()))
        for values, name, *style in zip(errors.T, names, COLOURS, DASHES, MARKERS, strict=False):
            look = dict(zip(("color", "linestyle", "marker"), style, strict=True))
            axis.plot(list(curves), values, label=name, linewidth=2, **look)
        axis.set_xlabel(label)
        axis.grid(color="0.85")
    axes[0].set_ylim(bottom=0)
    axes[0].set_ylabel("mean error (% of the given box's width)")
    axes[0].legend(loc="upper left")
    save_png(figure, path)


def report_boxes(
    cascade: Cascade,
    data: LFPWDataModule,
    folder: Path,
    shifts: Sequence[float],
    scales: Sequence[float],
    device: str = "cpu",
) -> dict[str, float]:
    """Measure, write and show everything.

    Args:
        cascade: Trained.
        data: The faces.
        folder: Gets tables, plot and numbers.
        shifts: Moves of the box, box sides; 0 must be among them.
        scales: Of its sides; 1 must be among them.
        device: Where the cascade runs.

    Returns:
        The numbers of the tables by name.
    """
    console = Console()
    folder.mkdir(parents=True, exist_ok=True)
    test, train = data.faces("test"), data.faces("train")
    cells = [(float(shift), float(scale)) for shift in shifts for scale in scales]
    grid = _grid(cascade, test, cells, device)
    keep_table(folder, "grid", _grid_table(grid, data.title, len(test.boxes)), console)
    again = _grid(cascade, test, [cell for cell in grid if cell[0] == 0 or cell[1] == 1], device, 2)
    keep_table(folder, "again", _again_table(grid, again, data.title, len(test.boxes)), console)
    curves = [
        {at: [*grid[cell], again[cell][-1]] for at, cell in cells.items()}
        for cells in (
            {float(shift): (float(shift), 1.0) for shift in shifts},
            {float(scale): (0.0, float(scale)) for scale in scales},
        )
    ]
    names = [f"stage {i + 1}" for i in range(len(cascade.stages))] + ["the last, second look"]
    draw(folder / "boxes.png", *curves, names, f"{len(test.boxes)} test faces of {data.title}")
    numbers = {
        f"{name}shift{shift:g}/scale{scale:g}/stage{stage + 1}/error_pct": float(error)
        for name, cells in (("", grid), ("again/", again))
        for (shift, scale), errors in cells.items()
        for stage, error in enumerate(errors)
    }
    haar = Haar()
    fitted = _detected(haar, data.root, train, "Detecting training faces")
    keep_table(folder, "mapping", _mapping_table(train, fitted), console)
    found = _detected(haar, data.root, test, "Detecting test faces")
    measured = _measure(cascade, test, found, device)
    keep_table(folder, "detector", _detector_table(measured, data.title), console)
    numbers |= {f"haar/{name}": value for name, value in measured.items()}
    keep_metrics(folder, numbers, console)
    return numbers


Grid = dict[tuple[float, float], npt.NDArray[np.float64]]


def _grid(
    cascade: Cascade,
    faces: Faces,
    cells: Sequence[tuple[float, float]],
    device: str,
    looks: int = 1,
) -> Grid:
    """Mean error after each stage, (T,), by shift and scale."""
    rows, grid = torch.arange(len(faces.boxes)), {}
    for cell in cells:
        errors = errors_in(cascade, faces, rows, moved(faces.boxes, *cell, seed=0), device, looks)
        grid[cell] = errors.double().mean(dim=0).numpy()
    return grid


def _grid_table(grid: Grid, title: str, faces: int) -> Table:
    shifts, scales = (list(dict.fromkeys(values)) for values in zip(*grid, strict=True))
    rows: list[tuple[str | float, ...]] = [
        (f"{shift:g}", *(float(grid[shift, scale][-1]) for scale in scales)) for shift in shifts
    ]
    return Table(
        title=f"{title}: {faces} test faces, error of the last stage, % of the given box's width",
        columns=("moved by", *(f"x {scale:g}" for scale in scales)),
        rows=tuple(rows),
        note="moved by: box sides, in a direction drawn for each face; x: side of the box over "
        "that of the given one. Pixels are there 0.4 sides round the given box, where the image "
        "has them; beyond, the border is repeated.",
    )


def _again_table(grid: Grid, again: Grid, title: str, faces: int) -> Table:
    rows = [
        (f"{shift:g}", f"x {scale:g}", float(grid[shift, scale][-1]), float(errors[-1]))
        for (shift, scale), errors in again.items()
    ]
    return Table(
        title=f"{title}: {faces} test faces, a second look in the box around the points",
        columns=("moved by", "side", "one look %", "two looks %"),
        rows=tuple(rows),
        note="error of the last stage, % of the given box's width.",
    )


def _detected(haar: Haar, root: Path, faces: Faces, title: str) -> Matched:
    def find(name: str) -> Boxes:
        return haar.raw(decode((root / name).read_bytes()))

    found = list(in_threads(find, list(faces.names), title, True))
    return match(faces.boxes.double().numpy(), found)


def _mapping_table(train: Faces, found: Matched) -> Table:
    given = train.boxes.double().numpy()[found.rows]
    mapping, spread = fit_mapping(given, found.boxes)
    rows = [
        (name, *(float(getattr(one, name)) for one in (mapping, spread, HAAR_TO_TRAINING)))
        for name in ("right", "down", "scale")
    ]
    return Table(
        title=f"Haar's boxes to those of the training: {len(found.rows)} of {found.images} "
        "training faces",
        columns=("", "median", "+-", "in use"),
        rows=tuple(rows),
        note="right, down: move of the middle in sides of Haar's box; scale: side of the given box "
        "over Haar's; +-: 1.4826 x the median absolute deviation; in use: "
        "facegeo.predict.detectors.HAAR_TO_TRAINING.",
        digits={"median": 4, "+-": 3, "in use": 4},
    )


def _measure(cascade: Cascade, faces: Faces, found: Matched, device: str) -> dict[str, float]:
    """Rate of detection, overlap, and errors in detected and in given boxes of the same faces."""
    rows, given = torch.from_numpy(found.rows), faces.boxes.double()
    missed = torch.ones(len(given), dtype=torch.bool)
    missed[rows] = False
    mapped, raw = (torch.from_numpy(b) for b in (HAAR_TO_TRAINING(found.boxes), found.boxes))
    places = {
        "given": (rows, given[rows], 1),
        "mapped": (rows, mapped, 1),
        "again": (rows, mapped, 2),
        "raw": (rows, raw, 1),
        "missed": (missed.nonzero()[:, 0], given[missed], 1),
    }
    numbers = {
        "images": float(found.images),
        "found_pct": 100 * len(rows) / found.images,
        "others_per_100": 100 * found.others / found.images,
    }
    for name, (some, boxes, looks) in places.items():
        if len(some):
            shares = overlap(given[some].numpy(), boxes.numpy()).diagonal()
            errors = errors_in(cascade, faces, some, boxes, device, looks)
            numbers |= {
                f"{name}/faces": float(len(some)),
                f"{name}/iou_mean": float(shares.mean()),
                f"{name}/iou_p5": float(np.quantile(shares, 0.05)),
                f"{name}/fail10_pct": 100 * (errors[:, -1] > FAILED_PCT).double().mean().item(),
            }
            for stage, error in enumerate(errors.double().mean(dim=0).tolist()):
                numbers[f"{name}/stage{stage + 1}/error_pct"] = error
    return numbers


def _detector_table(numbers: Mapping[str, float], title: str) -> Table:
    stages = sum(name.startswith("given/stage") for name in numbers)
    columns = ["faces", "iou_mean", "iou_p5"]
    columns += [f"stage{stage + 1}/error_pct" for stage in range(stages)] + ["fail10_pct"]
    heads = ["faces", "IoU", "IoU p5", *(f"stage {i + 1}" for i in range(stages)), ">10 %"]
    rows: list[tuple[str | int | float | None, ...]] = [
        (label, *(_cell(numbers.get(f"{name}/{column}"), column) for column in columns))
        for name, label in BOXES.items()
    ]
    return Table(
        title=f"{title}: Haar finds {numbers['found_pct']:.2f} % of the faces in "
        f"{numbers['images']:.0f} test images, and {numbers['others_per_100']:.2f} other boxes in "
        "100 images",
        columns=("boxes", *heads),
        rows=tuple(rows),
        note="given: boxes of the list, for the faces that Haar finds; missed: for the others. "
        "Error: mean of the five points, % of the given box's width; IoU: overlap with the "
        "given box, mean and 5th percentile; >10 %: share of faces whose mean error exceeds 10 %.",
    )


def _cell(value: float | None, column: str) -> float | int | None:
    return int(value) if value is not None and column == "faces" else value


def main(words: Sequence[str] | None = None) -> None:
    """Measure from the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("root", help="folder with the two lists and the images")
    parser.add_argument("--train-list", default="trainImageList.txt")
    parser.add_argument("--test-list", default="testImageList.txt")
    parser.add_argument("--title", default="LFPW (Sun et al.)", help="of the faces, for tables")
    parser.add_argument("--cache-dir", default="~/.cache/facegeo/pixels", help="decoded pixels")
    parser.add_argument("--checkpoint", default="ccnn-lfpw", help="name, model file or run folder")
    parser.add_argument("--shifts", type=float, nargs="+", default=SHIFTS, help="in box sides")
    parser.add_argument("--scales", type=float, nargs="+", default=SCALES, help="in given sides")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path, default=Path("runs/boxes"))
    options = parser.parse_args(words)
    for key, middle, least in (("shifts", 0, 0), ("scales", 1, 0.1)):
        values = getattr(options, key)
        if middle not in values or min(values) < least:
            parser.error(f"--{key} must hold {middle}, the given box, and none below {least}")
    model, _ = load_model(options.checkpoint)
    if not isinstance(model, Cascade):
        raise UserError(f"{options.checkpoint} finds normals: wanted a model of points")
    lists = {"train_list": options.train_list, "test_list": options.test_list}
    data = LFPWDataModule(options.root, options.cache_dir, Augment(), title=options.title, **lists)
    data.check(["test"])
    report_boxes(model, data, options.out, options.shifts, options.scales, options.device)


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(f"error: {error}")
