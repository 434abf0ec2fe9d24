"""Folders of noise to train on, in the layouts of the real data sets, and plain loaders for them.

The loaders are written down straightforwardly: every sample read, decoded and cut by itself.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import Dataset

from facegeo.bench.cascade import BOX_PX, decode, jpeg, picture
from facegeo.bench.peers import Pixels
from facegeo.geometry.windows import shift
from facegeo.landmarks.nets import Stage
from facegeo.landmarks.views import StageBatch
from facegeo.normals.data import NormalBatch

ANGLES_DEG = (0.0, 15.0, -12.0)
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


def _png(path: Path, rgb: Pixels) -> None:
    done, file = cv2.imencode(".png", rgb[..., ::-1] if rgb.ndim == 3 else rgb)
    assert done
    path.write_bytes(file.tobytes())


class OneByOneFaces(Dataset[StageBatch]):
    """Crops of one stage from the folder of ``write_faces``: turned, flipped, shaken.

    Args:
        root: The folder.
        count: Pictures in it.
        stage: Its windows are cut.
        length: Samples to serve.
    """

    def __init__(self, root: Path, count: int, stage: Stage, length: int) -> None:
        self.root, self.count, self.stage, self.length = root, count, stage, length
        self.box = picture(1)[1][0]

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> StageBatch:
        """One sample."""
        image = decode(np.fromfile(self.root / f"{index % self.count}.jpg", np.uint8))
        low, places = self.box[0::2], PLACES.copy()
        centre = low + BOX_PX / 2
        turn = cv2.getRotationMatrix2D(centre.tolist(), ANGLES_DEG[index % 3], 1.0)
        size = (image.shape[1], image.shape[0])
        image = np.asarray(cv2.warpAffine(image, turn, size), np.uint8)
        places = ((places * BOX_PX + low) @ turn[:, :2].T + turn[:, 2] - low) / BOX_PX
        if index % 2:
            image = np.ascontiguousarray(image[:, ::-1])
            places[:, 0] = 1 - places[:, 0]
            low = np.array([size[0] - 1 - low[0] - BOX_PX, low[1]])
        points = torch.from_numpy(places).float()
        windows = shift(
            self.stage.windows(points[None])[0], 0.01 * torch.randn(len(self.stage.names), 2)
        )
        crops = torch.stack([self._cut(image, low, window) for window in windows])
        canvas = torch.tensor([[0.5, 0.5, 1.0, 1.0]])
        frames = self.stage.frames(windows[None], canvas)[0]
        side = torch.full((2,), float(BOX_PX))
        return {"image": crops, "frame": frames, "points": points, "size": side}

    def _cut(self, image: Pixels, low: npt.NDArray[np.float64], window: Tensor) -> Tensor:
        size = self.stage.input_size
        centre, half = np.split(window.numpy().astype(np.float64) * BOX_PX, 2)
        scale = size / (2 * half)
        move = np.hstack([np.diag(scale), ((half - centre - low) * scale - 0.5)[:, None]])
        crop = cv2.warpAffine(image, move, (size, size), borderMode=cv2.BORDER_REPLICATE)
        return torch.from_numpy(crop).permute(2, 0, 1).float() / 255


class OneByOneNormals(Dataset[NormalBatch]):
    """Faces with normals from the folder of ``write_sessions``.

    Args:
        root: The folder.
        length: Samples to serve.
    """

    def __init__(self, root: Path, length: int) -> None:
        self.files, self.length = sorted(root.rglob("im*_c.png")), length

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> NormalBatch:
        """One sample."""
        file = self.files[index % len(self.files)]
        image = decode(np.fromfile(file, np.uint8))
        stored = decode(np.fromfile(file.with_name("sn_c.png"), np.uint8))
        mask = torch.from_numpy(decode(np.fromfile(file.with_name("mask_c.png"), np.uint8)))
        down, right, towards = torch.from_numpy(stored).permute(2, 0, 1).float() / 127.5 - 1
        normal = torch.nn.functional.normalize(torch.stack([right, -down, towards]), dim=0)
        inside = mask[None, ..., 0] > 127
        return {
            "sample": torch.tensor(index),
            "image": torch.from_numpy(image).permute(2, 0, 1).float() / 255,
            "normal": normal * inside,
            "mask": inside,
        }
