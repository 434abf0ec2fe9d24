"""A contact sheet of generated faces."""

from pathlib import Path

import numpy as np

from facegeo.errors import UserError
from facegeo.rendering.manifest import write_atomically
from facegeo.rendering.order import Order, Purpose, tasks
from facegeo.rendering.photo import Bytes, jpeg_bytes, normal_colours, png_bytes
from facegeo.rendering.sample import Sample
from facegeo.rendering.workers import studio_for

QUALITY = 85


def write_sheet(path: Path, order: Order, rows: int, columns: int, *, maps: bool = False) -> None:
    """Write the first faces of an order's training list side by side.

    Args:
        path: A ``.jpg`` or ``.png`` file.
        order: Decides faces and size.
        rows: Of the sheet.
        columns: Of the sheet; counted in faces.
        maps: Put the normal map and the mask of each face beside it.

    Raises:
        UserError: If the path has another ending or the grid is empty.
    """
    if path.suffix not in (".jpg", ".png"):
        raise UserError(f"sheet must end in .jpg or .png, got {path.name}")
    if min(rows, columns) < 1:
        raise UserError(f"sheet_grid must be two numbers from 1 up, got [{rows}, {columns}]")
    studio = studio_for(order)
    tiles = [
        _tile(studio.photograph(task.key(Purpose.FACE, order.seed), order.size), maps=maps)
        for task in tasks(rows * columns, 0)
    ]
    strips = [np.hstack(tiles[row * columns : (row + 1) * columns]) for row in range(rows)]
    sheet = np.vstack(strips)
    write_atomically(
        path, jpeg_bytes(sheet, QUALITY) if path.suffix == ".jpg" else png_bytes(sheet)
    )


def _tile(sample: Sample, *, maps: bool) -> Bytes:
    if not maps:
        return sample.image
    normals = normal_colours(sample.render.normals, sample.render.mask)
    mask = np.repeat(sample.render.mask[..., None].astype(np.uint8) * 255, 3, axis=-1)
    return np.hstack([sample.image, normals, mask])
