"""Pictures of a face while a light goes round it, as a GIF or an MP4."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from facegeo.checks import check_range
from facegeo.errors import UserError
from facegeo.lighting.lights import turning
from facegeo.lighting.relit import Bools, Floats, relit
from facegeo.opencv_name import opencv_name

Frames = list[NDArray[np.uint8]]
FRAMES: Final = 36
PER_SECOND: Final = 12
COLOURS: Final = 256


def save_rotating_light(
    path: Path, normals: Floats, photo: Floats | None, mask: Bools, frames: int = FRAMES
) -> Path:
    """Write a film of a light that goes once round the camera's axis, 45 degrees off.

    Args:
        path: Ends in .gif, which repeats for ever, or .mp4; its folder is made.
        normals: Unit vectors, shape (S, S, 3), x right, y up, z to the camera.
        photo: sRGB in [0, 1], shape (S, S, 3); None shows a white face.
        mask: Face pixels, bool, shape (S, S).
        frames: Pictures, shown 12 a second, or 80 ms each: a GIF counts hundredths of a second.

    Returns:
        ``path``.

    Raises:
        ValueError: If the shapes do not belong together or ``frames`` is below 1.
        UserError: If ``path`` ends otherwise or can not be written.
    """
    check_range("frames", frames, 1)
    writers = {".gif": _write_gif, ".mp4": _write_mp4}
    if path.suffix.lower() not in writers:
        raise UserError(f"{path} must end in .gif or .mp4, got {path.suffix!r}")
    path.parent.mkdir(parents=True, exist_ok=True)
    pictures = [
        (picture * 255).round().astype(np.uint8)
        for picture in relit(normals, photo, mask, turning(frames))
    ]
    writers[path.suffix.lower()](path, pictures)
    return path


def _write_gif(path: Path, pictures: Frames) -> None:
    """One palette for all frames: palettes of their own would flicker."""
    sample = np.concatenate(pictures[:: max(1, len(pictures) // 12)])
    palette = Image.fromarray(sample).quantize(COLOURS, Image.Quantize.MEDIANCUT)
    first, *rest = (
        Image.fromarray(picture).quantize(palette=palette, dither=Image.Dither.NONE)
        for picture in pictures
    )
    wait_ms = round(1000 / PER_SECOND)
    first.save(path, save_all=True, append_images=rest, duration=wait_ms, loop=0, optimize=False)


def _write_mp4(path: Path, pictures: Frames) -> None:
    height, width = pictures[0].shape[:2]
    with opencv_name(path) as file:
        writer = cv2.VideoWriter(file, _mp4v(), PER_SECOND, (width, height))
        if not writer.isOpened():
            raise UserError(
                f"{width} x {height} pixels can not be written to {path} by this OpenCV; choose "
                ".gif, a larger picture or another folder"
            )
        for picture in pictures:
            writer.write(cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
        writer.release()


def _mp4v() -> Any:  # noqa: ANN401
    return cv2.VideoWriter.fourcc(*"mp4v")
