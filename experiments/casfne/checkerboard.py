"""Checkerboard of two pixels in the normals of models, beside that of the true normals.

python experiments/casfne/checkerboard.py FOLDER --size 192 casfne-faces RUN ...

FOLDER is written by facegeo-render layout=portraits; the first 32 test faces are used. Printed, in
degrees: mean length of the highest Haar coefficient of 2 x 2 pixels inside the mask, for the truth
and for t = 0, 1, ... of each model.
"""

import argparse
import csv
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from facegeo.training.model_file import load_model

FACES = 32


def read(folder: Path, size: int) -> tuple[Tensor, Tensor, Tensor]:
    """Photos (B, 3, S, S) in [0, 1], stored normals (B, 3, S, S) and masks, bool, (B, S, S)."""
    with (folder / "test.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))[:FACES]
    photos, normals, masks = [], [], []
    for row in rows:
        photo = cv2.cvtColor(cv2.imread(str(folder / row["face"])), cv2.COLOR_BGR2RGB)
        photos.append(cv2.resize(photo, (size, size), interpolation=cv2.INTER_AREA))
        normal = np.load(folder / row["normal"]).astype(np.float32)
        normals.append(cv2.resize(normal, (size, size), interpolation=cv2.INTER_AREA))
        mask = cv2.imread(str(folder / row["mask"]), cv2.IMREAD_GRAYSCALE)
        masks.append(cv2.resize(mask, (size, size), interpolation=cv2.INTER_NEAREST) > 127)
    image = torch.from_numpy(np.stack(photos)).permute(0, 3, 1, 2).float() / 255
    return (
        image,
        torch.from_numpy(np.stack(normals)).permute(0, 3, 1, 2),
        torch.from_numpy(np.stack(masks)),
    )


def checkerboard(normals: Tensor, mask: Tensor) -> float:
    """Mean length of the highest Haar coefficient inside the mask, degrees."""
    n = normalize(normals, dim=1)
    corners = [(0, 0), (1, 1), (0, 1), (1, 0)]
    a, b, c, d = (n[:, :, y::2, x::2] for y, x in corners)
    inside = torch.stack([mask[:, y::2, x::2] for y, x in corners]).all(dim=0)
    return float(torch.rad2deg(((a + b - c - d) / 4).norm(dim=1))[inside].mean())


def main() -> None:
    """Print one line for the truth and one for each model."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("models", nargs="+")
    parser.add_argument("--size", type=int, default=192, help="side of the faces, px, even")
    options = parser.parse_args()
    image, truth, mask = read(options.folder, options.size)
    print(f"truth: {checkerboard(truth, mask):.3f}")
    for name in options.models:
        with torch.inference_mode():
            stages = load_model(name)[0](image)
        print(f"{name}: " + ", ".join(f"{checkerboard(stage, mask):.3f}" for stage in stages))


if __name__ == "__main__":
    main()
