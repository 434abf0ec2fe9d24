"""Measure how well normals become depth, and detail on a coarse surface, where the truth is known.

    python experiments/casfne/geometry.py --checkpoint RUN --size 64

Generated faces, whose depth is known: both ways to integrate, the true normals and a model's,
before and after detail is transferred. The output folder gets ``metrics.json``, ``geometry.md`` and
``.csv``; ``faces.png``: photo, normals, relit photo, and the coarse surface, the refined and the
true one lit from the left; and of the first face ``face.gif``, a light around it, and ``face.glb``,
the refined surface.
"""

from __future__ import annotations

import argparse
import logging
import math
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from torch import Tensor, nn

from facegeo.errors import UserError
from facegeo.files.tables import Cell, Table
from facegeo.geometry.light import to_srgb
from facegeo.geometry.normals import angle_map, encode
from facegeo.landmarks.nets import Cascade
from facegeo.normals.evaluate import find_normals
from facegeo.normals.maps import trained_coding
from facegeo.normals.panels import tile_page
from facegeo.rendering.order import Order, Purpose, Task
from facegeo.rendering.render import Render
from facegeo.rendering.studio import Studio, photograph_session
from facegeo.surfaces.integrate import METHODS, integrate, transfer_detail
from facegeo.surfaces.lights import find_light
from facegeo.surfaces.mesh import mesh_files, surface_normals
from facegeo.surfaces.relight import relight, rotating_light
from facegeo.training.model_file import load_model
from facegeo.training.results import METRICS, keep_metrics, keep_table

Floats = NDArray[np.floating[Any]]
Bools = NDArray[np.bool_]
log = logging.getLogger("facegeo")
RELIT, SHADED = ("left", "studio", "sunset"), "left"
TABLE = "geometry"
SHOWN = 3
"""Faces in the picture."""
COLUMNS = {  # column: the end of its key
    "depth %": "depth_pct",
    "depth +-": "depth_pct_std",
    "angle": "angle_deg",
    "angle +-": "angle_deg_std",
}
NOTE = (
    "Mean and standard deviation over faces. depth = mean distance along the camera's axis to the "
    "true surface over face pixels, in % of the face's width, offset removed (median); angle = "
    "mean angle between the surface's normals and the true ones, in degrees. The true surface "
    "itself is made of flat triangles, whose edges the true normals smooth."
)


@dataclass(frozen=True, kw_only=True)
class Question:
    """The faces, and how coarse the surface is that gets detail.

    Attributes:
        faces: People, one photograph each, lit from one of the four corners.
        size: Side of a photograph, pixels.
        seed: Decides every face.
        blur_pct: Standard deviation of the blur that makes the true depth coarse, in % of the
            face's width.
        scale_pct: ``transfer_detail``'s scale, in % of the face's width.
        head: Head model, ``anny`` or ``ict``.
        head_path: Files of the head model, where it needs any.
    """

    faces: int
    size: int
    seed: int
    blur_pct: float
    scale_pct: float
    head: str = "anny"
    head_path: Path | None = None

    def check(self) -> None:
        """Look for mistakes before any work is done.

        Raises:
            UserError: If a value is out of range; the text names it.
        """
        if self.faces < 1:
            raise UserError(f"faces must be 1 or more, got {self.faces}")
        sizes = {"train": 0, "test": self.faces, "size": self.size, "seed": self.seed}
        Order(**sizes, head=self.head, head_path=self.head_path, maps=True)
        for name in ("blur_pct", "scale_pct"):
            if not 0.5 <= getattr(self, name) <= 50:
                raise UserError(f"{name} must be from 0.5 to 50, got {getattr(self, name)}")


@dataclass(frozen=True)
class Face:
    """One photograph and its geometry.

    Attributes:
        image: RGB, linear in light, shape (S, S, 3); one light of the session's four.
        bright: The same with all four lights on, each a quarter as strong, float32 in [0, 1].
        render: True normals, depth and mask.
    """

    image: NDArray[np.uint8]
    bright: Floats
    render: Render

    @property
    def width(self) -> int:
        """Columns of the picture from the mask's left to its right end."""
        columns = np.flatnonzero(self.render.mask.any(axis=0))
        return int(columns[-1] - columns[0] + 1)


def known_faces(question: Question) -> Iterator[Face]:
    """Photograph each person once, in a session of their own; the four lights take turns."""
    studio = Studio(question.head, question.head_path)
    for number in range(question.faces):
        task = Task("test", number)
        person, now = (task.key(p, question.seed) for p in (Purpose.PERSON, Purpose.SESSION))
        session = photograph_session(studio, person, now, question.size)
        bright = np.asarray(session.images, np.float32).mean(axis=0) / 255
        yield Face(session.images[number % len(session.images)], bright, session.render)


def surfaces_of(question: Question, face: Face, normals: Mapping[str, Floats]) -> dict[str, Floats]:
    """Build all surfaces of a face.

    Args:
        question: How coarse is coarse.
        face: Its true depth is blurred to the coarse one, inside the mask only.
        normals: Unit vectors (S, S, 3) by name.

    Returns:
        Depth in pixels, (S, S), finite in the mask: ``true surface``, ``coarse surface``, and for
        each name ``name/dct``, ``name/weighted`` (integrated) and ``name/detail`` (transferred).
    """
    mask, depth = face.render.mask, face.render.depth
    coarse = _blurred(depth, mask, question.blur_pct / 100 * face.width)
    found = {"true surface": depth, "coarse surface": coarse}
    for name, given in normals.items():
        found |= {f"{name}/{method}": integrate(given, mask, method) for method in METHODS}
        scale = question.scale_pct / 100 * face.width
        found[f"{name}/detail"] = transfer_detail(coarse, given, mask, scale)
    return found


def _blurred(depth: Floats, mask: Bools, sigma: float) -> Floats:
    """Blur inside a mask: each pixel is the weighted mean of the face pixels around it."""
    cover = cv2.GaussianBlur(mask.astype(np.float64), (0, 0), sigma)
    total = cv2.GaussianBlur(np.where(mask, depth, 0).astype(np.float64), (0, 0), sigma)
    return np.asarray(total / np.maximum(cover, 1e-9))


@dataclass(frozen=True)
class Example:
    """A face to show.

    Attributes:
        face: Photograph and truth.
        normals: To relight with, (S, S, 3).
        surfaces: Depth (S, S) by name, as ``surfaces_of`` returns them.
    """

    face: Face
    normals: Floats
    surfaces: Mapping[str, Floats]


def show_geometry(folder: Path, examples: Sequence[Example], title: str) -> None:
    """Write pictures of some faces, and a film and a mesh of the first."""
    columns: dict[str, list[Floats]] = {}
    for example in examples:
        for name, tile in _tiles(example).items():
            columns.setdefault(name, []).append(tile)
    pages = {
        name: torch.from_numpy(np.stack(tiles)).permute(0, 3, 1, 2).mul(255).round().byte()
        for name, tiles in columns.items()
    }
    tile_page(folder / "faces.png", pages, title)
    first = examples[0]
    photo, mask = _photo(first.face), first.face.render.mask
    film = rotating_light("gif", first.normals, photo, mask)
    depth = list(first.surfaces.values())[-1]
    meshes = mesh_files("face.glb", depth, mask, photo, first.normals)
    for name, content in {"face.gif": film, **meshes}.items():
        (folder / name).write_bytes(content)


def _tiles(example: Example) -> dict[str, Floats]:
    """Pictures (S, S, 3) in [0, 1] of one face, by name."""
    face, normals, mask = example.face, example.normals, example.face.render.mask
    colours = encode(torch.from_numpy(normals).permute(2, 0, 1)).permute(1, 2, 0).numpy() / 255
    photo = _photo(face)
    tiles = {"photo": photo, "normals": (colours * mask[..., None]).astype(np.float32)}
    tiles |= {f"light: {n}": relight(normals, photo, mask, find_light(n)) for n in RELIT}
    refined = list(example.surfaces)[-1]
    for name in ("coarse surface", refined, "true surface"):
        shown = surface_normals(example.surfaces[name], mask)
        label = "with detail" if name == refined else name
        tiles[label] = relight(shown, None, mask, find_light(SHADED))
    return tiles


def _photo(face: Face) -> Floats:
    """Return the photograph under all four lights as a screen wants it."""
    shown: Floats = to_srgb(torch.from_numpy(face.bright)).numpy()
    return shown


def measure_geometry(
    question: Question,
    folder: Path,
    model: nn.Module | None = None,
    notes: Mapping[str, Any] = MappingProxyType({}),
    *,
    t: int | None = None,
) -> dict[str, float]:
    """Measure surfaces made of normals; write numbers, table and pictures and show the table.

    Args:
        question: Faces, and how coarse a surface.
        folder: Gets everything; results of an earlier run there are replaced.
        model: Maps images to the normals of t = 0..T; its last are measured beside the true ones.
        notes: The model's: how the pixels that it was trained on were coded, and their size.
        t: Refinements to run; None: as the model was built.

    Returns:
        Means over faces, such as ``true/weighted/depth_pct`` and ``model/detail/angle_deg``, and
        their standard deviations, ``..._std``; ``model/normals/angle_deg`` is the error of the
        model's normals, before any surface is made of them.

    Raises:
        UserError: If a value is out of range or the folder holds other files, or as
            ``find_normals`` says.
    """
    question.check()
    if folder.is_dir() and any(folder.iterdir()) and not (folder / f"{TABLE}.csv").is_file():
        raise UserError(
            f"{folder} must be new, empty or written by this script, but it holds other files; "
            "choose another folder"
        )
    trained = notes.get("size", question.size)
    if trained != question.size:
        log.warning("trained on faces of %d px, these are %d px: set size", trained, question.size)
    errors: dict[str, list[tuple[float, float]]] = defaultdict(list)
    examples: list[Example] = []
    for face in known_faces(question):
        normals = {"true": face.render.normals}
        if model is not None:
            normals["model"] = _guess(model, face, trained_coding(notes), t)
        surfaces = surfaces_of(question, face, normals)
        for name, depth in surfaces.items():
            errors[name].append(_errors(face, depth))
        if model is not None:
            angle = _angle(normals["model"], face.render.normals, face.render.mask)
            errors["model/normals"].append((math.nan, angle))
        if len(examples) < SHOWN:
            examples.append(Example(face, normals[list(normals)[-1]], surfaces))
    return _report(question, folder, errors, examples)


def _report(
    question: Question,
    folder: Path,
    errors: dict[str, list[tuple[float, float]]],
    examples: list[Example],
) -> dict[str, float]:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / METRICS).unlink(missing_ok=True)  # of another question
    results: dict[str, float] = {}
    for name, values in errors.items():
        array = np.array(values)
        means = np.stack([array.mean(axis=0), array.std(axis=0)], axis=1).ravel().tolist()
        named = {f"{name}/{end}": v for end, v in zip(COLUMNS.values(), means, strict=True)}
        results |= {key: value for key, value in named.items() if not math.isnan(value)}
    rows: list[tuple[Cell, ...]] = [
        (name, *(results.get(f"{name}/{end}") for end in COLUMNS.values())) for name in errors
    ]
    title = (
        f"{question.faces} generated faces, {question.head}, {question.size} px, "
        f"seed {question.seed}"
    )
    console = Console()
    keep_table(folder, TABLE, Table(title, ("surface", *COLUMNS), tuple(rows), NOTE), console)
    show_geometry(folder, examples, title)
    keep_metrics(folder, results, console)
    return results


@torch.inference_mode()
def _guess(model: nn.Module, face: Face, coding: str | None, t: int | None) -> Floats:
    pixels = torch.from_numpy(face.image).permute(2, 0, 1)[None].float() / 255
    pixels = to_srgb(pixels) if coding == "srgb" else pixels
    found: Floats = find_normals(model, pixels, t)[-1][0].permute(1, 2, 0).numpy()
    return found


def _errors(face: Face, depth: Floats) -> tuple[float, float]:
    """Error of a surface in depth (% of the face's width) and of its normals (degrees)."""
    true, mask = face.render, face.render.mask
    away = (depth - true.depth)[mask].astype(np.float64)
    away = np.abs(away - np.median(away)).mean() * 100 / face.width
    return float(away), _angle(surface_normals(depth, mask), true.normals, mask)


def _angle(found: Floats, true: Floats, mask: Bools) -> float:
    """Mean angle over face pixels that have a normal, degrees."""
    errors = angle_map(_planes(found), _planes(true))[0, torch.from_numpy(mask)]
    return float(errors.nanmean())


def _planes(vectors: Floats) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(vectors, np.float32)).permute(2, 0, 1)


def main(words: Sequence[str] | None = None) -> None:
    """Measure from the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--checkpoint", help="model of normals: name, file or run folder")
    parser.add_argument("--t", type=int, help="refinements; by default as the model was built")
    parser.add_argument("--head", default="anny", help="anny or ict")
    parser.add_argument("--head-path", type=Path, help="files of ICT-FaceKit")
    parser.add_argument("--faces", type=int, default=40, help="people, one photograph each")
    parser.add_argument("--size", type=int, default=256, help="side of a photograph, px")
    parser.add_argument("--seed", type=int, default=1, help="of the faces; training has 0")
    parser.add_argument("--blur-pct", type=float, default=5.0, help="blur of the coarse surface")
    parser.add_argument("--scale-pct", type=float, default=8.0, help="scale of detail")
    parser.add_argument("--out", type=Path, default=Path("runs/geometry"))
    options = vars(parser.parse_args(words))
    checkpoint, t, out = (options.pop(key) for key in ("checkpoint", "t", "out"))
    model, notes = (None, {}) if checkpoint is None else load_model(checkpoint)
    if isinstance(model, Cascade):
        raise UserError(f"{checkpoint} finds points: wanted a model of normals")
    measure_geometry(Question(**options), out, model, notes, t=t)


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(f"error: {error}")
