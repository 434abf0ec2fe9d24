"""Measure depth and relighting on surfaces that are known."""

from __future__ import annotations

import logging
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from torch import Tensor, nn

from facegeo.errors import UserError
from facegeo.files.tables import Cell, Table
from facegeo.geometry.light import to_srgb
from facegeo.geometry.normals import angle_map, encode
from facegeo.normals.evaluate import find_normals
from facegeo.normals.maps import trained_coding
from facegeo.normals.panels import tile_page
from facegeo.surfaces.known_surfaces import Bools, Face, Floats, Question, known_faces, surfaces_of
from facegeo.surfaces.lights import find_light
from facegeo.surfaces.mesh import save_mesh, surface_normals
from facegeo.surfaces.relight import relight, save_rotating_light
from facegeo.training.results import METRICS, keep_metrics, keep_table

Floats3 = NDArray[np.floating[Any]]
RELIT = ("left", "studio", "sunset")
SHADED = "left"


@dataclass(frozen=True)
class Example:
    """What is shown of a face.

    Attributes:
        face: Photograph and truth.
        normals: To relight with, (S, S, 3).
        surfaces: Depth (S, S) by name, as ``surfaces_of`` gives them.
    """

    face: Face
    normals: Floats3
    surfaces: Mapping[str, Floats3]


def show_geometry(folder: Path, examples: Sequence[Example], title: str) -> None:
    """Write pictures of some faces, and a film and a mesh of the first.

    Args:
        folder: Gets ``faces.png``: photo, normals, relit photo, and the coarse surface, the
            refined and the true one shaded from the left; ``face.gif``, its light turning; and
            ``face.glb``, the refined surface with photo and normals.
        examples: The faces.
        title: Of the picture.
    """
    columns: dict[str, list[Floats3]] = {}
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
    save_rotating_light(folder / "face.gif", first.normals, photo, mask)
    depth = list(first.surfaces.values())[-1]
    save_mesh(folder / "face.glb", depth, mask, photo, first.normals)


def _tiles(example: Example) -> dict[str, Floats3]:
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


def _photo(face: Face) -> Floats3:
    """Return the photograph under all four lights as a screen wants it."""
    shown: Floats3 = to_srgb(torch.from_numpy(face.bright)).numpy()
    return shown


log = logging.getLogger("facegeo")
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
        question: Which faces, how coarse a surface.
        folder: Gets ``metrics.json``, ``geometry.md``, ``geometry.csv``, and what
            ``show_geometry`` writes for the first faces.
        model: Maps images to the normals of t = 0..T; its last are measured beside the true ones.
        notes: The model's: how the pixels that it was trained on were coded, and their size.
        t: Refinements to run; None: as the model was built.

    Returns:
        Means over faces, such as ``true/weighted/depth_pct`` and ``model/detail/angle_deg``, and
        their standard deviations, ``..._std``; ``model/normals/angle_deg`` is of what the model
        found, before any surface is made of it.

    Raises:
        UserError: If a key is out of range, the folder holds something else, or as
            ``find_normals`` says.
    """
    question.check()
    if folder.is_dir() and any(folder.iterdir()) and not (folder / f"{TABLE}.csv").is_file():
        raise UserError(
            f"out={folder} must be new, empty or written by facegeo-geometry, but it holds other "
            "files; choose another folder"
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
