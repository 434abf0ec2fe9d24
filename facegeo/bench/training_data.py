"""Folders to train on, of noise, in the layouts of the real data sets."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from facegeo.bench.pictures import BOX_PX, jpeg, picture
from facegeo.files.images import Bytes

PLACES = np.array([[0.27, 0.26], [0.74, 0.25], [0.5, 0.54], [0.31, 0.77], [0.71, 0.76]])
"""Points in box sides, about where they are in faces."""
PHOTOGRAPHS = 4
"""Of a session."""


def write_faces(root: Path, count: int) -> Path:
    """Write the lists of Sun et al. with so many pictures of one face each."""
    lines = []
    image, boxes = picture(1)
    root.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        turned = np.ascontiguousarray(np.roll(image, 7 * number, axis=1))
        (root / f"{number}.jpg").write_bytes(jpeg(turned).tobytes())
        points = boxes[0, 0::2] + PLACES * BOX_PX
        numbers = (*boxes[0], *points.ravel())
        lines.append(" ".join([f"{number}.jpg", *(f"{value:.3f}" for value in numbers)]))
    for name in ("trainImageList.txt", "testImageList.txt"):
        (root / name).write_text("\n".join(lines), encoding="utf-8")
    return root


def write_sessions(root: Path, count: int, size: int) -> Path:
    """Write so many sessions, the last to test on, as prepared Photoface has them; ``size`` px."""
    random = np.random.default_rng(0)
    rows, columns = (np.mgrid[:size, :size] + 0.5) / size * 2 - 1
    inside = rows**2 + columns**2 < 0.9
    depth = np.sqrt(np.clip(1 - rows**2 - columns**2, 0, 1))
    stored = (np.stack([rows, columns, depth], axis=-1) + 1) / 2 * 255  # down, right, to the viewer
    normals = np.where(inside[..., None], stored, 255).round().astype(np.uint8)
    names = []
    for number in range(count):
        folder = root / f"{number:06d}" / "session1"
        folder.mkdir(parents=True, exist_ok=True)
        _png(folder / "sn_c.png", normals)
        _png(folder / "mask_c.png", inside.astype(np.uint8) * 255)
        for photograph in range(PHOTOGRAPHS):
            noise = random.integers(0, 256, (size, size, 3), dtype=np.uint8)
            _png(folder / f"im{photograph}_c.png", np.asarray(cv2.blur(noise, (9, 9)), np.uint8))
            names.append(f"{folder.relative_to(root).as_posix()}/im{photograph}_c.png")
    split = {"train.csv": names[:-PHOTOGRAPHS], "test.csv": names[-PHOTOGRAPHS:]}
    for name, faces in split.items():
        (root / name).write_text("\n".join(["face", *faces]) + "\n", encoding="utf-8")
    return root


def _png(path: Path, rgb: Bytes) -> None:
    done, file = cv2.imencode(".png", rgb[..., ::-1] if rgb.ndim == 3 else rgb)
    assert done
    path.write_bytes(file.tobytes())
