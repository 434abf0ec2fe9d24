"""Pictures of faces in new light and of surfaces made of their normals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from facegeo.figures.panels import tile_page
from facegeo.geometry.light import to_srgb
from facegeo.geometry.normals import encode
from facegeo.lighting.film import save_rotating_light
from facegeo.lighting.lights import find_light
from facegeo.lighting.relit import relight
from facegeo.mesh.files import save_mesh
from facegeo.mesh.surface import surface_normals
from facegeo.procedures.known_surfaces import Face

Floats = NDArray[np.floating[Any]]
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
    normals: Floats
    surfaces: Mapping[str, Floats]


def show_geometry(folder: Path, examples: Sequence[Example], title: str) -> None:
    """Write pictures of some faces, and a film and a mesh of the first.

    Args:
        folder: Gets ``faces.png``: photo, normals, relit photo, and the coarse surface, the
            refined and the true one shaded from the left; ``face.gif``, its light turning; and
            ``face.glb``, the refined surface with photo and normals.
        examples: The faces.
        title: Of the picture.
    """
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
    save_rotating_light(folder / "face.gif", first.normals, photo, mask)
    depth = list(first.surfaces.values())[-1]
    save_mesh(folder / "face.glb", depth, mask, photo, first.normals)


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
