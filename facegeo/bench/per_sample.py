"""Loaders as one writes them down first: every sample read, decoded and cut by itself."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from facegeo.bench.pictures import BOX_PX, decode, picture
from facegeo.bench.training_data import PLACES
from facegeo.files.images import Bytes
from facegeo.geometry.windows import shift
from facegeo.landmarks.nets import Stage
from facegeo.landmarks.views import StageBatch
from facegeo.normals.data import NormalBatch

ANGLES_DEG = (0.0, 15.0, -12.0)


class OneByOneFaces(Dataset[StageBatch]):
    """Crops of one stage from what ``write_faces`` wrote: turned, flipped, shaken.

    Args:
        root: The folder.
        count: Pictures in it.
        stage: Whose windows are cut.
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

    def _cut(self, image: Bytes, low: npt.NDArray[np.float64], window: Tensor) -> Tensor:
        size = self.stage.input_size
        centre, half = np.split(window.numpy().astype(np.float64) * BOX_PX, 2)
        scale = size / (2 * half)
        move = np.hstack([np.diag(scale), ((half - centre - low) * scale - 0.5)[:, None]])
        crop = cv2.warpAffine(image, move, (size, size), borderMode=cv2.BORDER_REPLICATE)
        return torch.from_numpy(crop).permute(2, 0, 1).float() / 255


class OneByOneNormals(Dataset[NormalBatch]):
    """Faces with normals from what ``write_sessions`` wrote.

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


def loader(samples: Dataset[StageBatch] | Dataset[NormalBatch], batch: int) -> DataLoader[object]:
    """Batches of samples, put together one by one."""
    return DataLoader(samples, batch)
