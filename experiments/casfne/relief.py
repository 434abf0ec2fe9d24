r"""How deep faces are in normals by photometric stereo and in those of rendered heads.

    facegeo-render out=PORTRAITS layout=portraits head=ict head.path=FILE \
      train=60 test=0 size=128 seed=5
    python experiments/casfne/relief.py DIR PORTRAITS --reference DIR/reference

Depth from the nose tip to the cheeks (halfway from eye to mouth corner and .12 eye distances
outward), integrated from the normals (facegeo.surfaces.integrate), in distances of the eyes: of the
val and test people of Extended Yale B (reference normals) and of the portraits that look into the
camera (mean of x of the normals within .1).
"""

import argparse
import csv
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import torch
from yaleb import read

from facegeo.geometry.normals import from_frame
from facegeo.surfaces.integrate import integrate

SIZE = 128
"""Side of the faces, px."""
SPOT = 2.5
"""Standard deviation of the Gaussian that depths are averaged with, px."""
OUTWARD = 0.12
FRONTAL = 0.1
POINTS = ("le", "re", "n", "lm", "rm")
"""Columns of the five points in a portrait's list."""
Array = npt.NDArray[np.float64]


def nose_to_cheeks(normals: Array, mask: npt.NDArray[np.bool_], points: Array) -> float:
    """Relief of one face, see above.

    Args:
        normals: x right, y up, z to the camera, (S, S, 3).
        mask: Pixels with a normal, (S, S).
        points: Left eye, right eye, nose tip, left and right mouth corner, px, (5, 2).
    """
    depth = np.where(mask, integrate(normals, mask), 0)
    rows, columns = np.mgrid[: mask.shape[0], : mask.shape[1]]

    def at(point: Array) -> float:
        distance = (columns - point[0]) ** 2 + (rows - point[1]) ** 2
        weight = np.exp(-distance / (2 * SPOT**2)) * mask
        return float((weight * depth).sum() / weight.sum())

    left, right, nose, low_left, low_right = points
    eyes = float(np.linalg.norm(right - left))
    aside = np.array([OUTWARD * eyes, 0])
    cheeks = at((left + low_left) / 2 - aside), at((right + low_right) / 2 + aside)
    return (at(nose) - sum(cheeks) / 2) / eyes


def people(root: Path, reference: Path) -> list[float]:
    """Print and return the relief of the val and test people."""
    data = read(root, reference, size=SIZE)
    found = []
    for split in ("val", "test"):
        names = data.subjects(split)
        first = [names.index(name) for name in dict.fromkeys(names)]
        batch = data.on_after_batch_transfer(data.faces(split).__getitems__(first), 0)
        for place, row in enumerate(first):
            person = data.people.names.index(names[row])
            square, own = data.people.squares[person], data.people.points[person]
            points = ((own - square[:2]) / square[2] + 0.5) * SIZE
            normals = batch["normal"][place].permute(1, 2, 0).double().numpy()
            mask = batch["mask"][place, 0].numpy()
            found.append(nose_to_cheeks(normals, mask, points.double().numpy()))
            print(f"{names[row]}: {found[-1]:.3f}")
    return found


def portraits(folder: Path) -> list[float]:
    """Relief of the training portraits of a folder that look into the camera."""
    found = []
    with (folder / "train.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        stored = torch.from_numpy(np.load(folder / row["normal"]).astype(np.float64))
        normals = from_frame(stored.permute(2, 0, 1), "down_right_camera").permute(1, 2, 0).numpy()
        mask = cv2.imread(str(folder / row["mask"]), cv2.IMREAD_GRAYSCALE) > 127
        if abs(normals[mask][:, 0].mean()) > FRONTAL:
            continue
        points = [[float(row[f"{axis}_{name}"]) for axis in "xy"] for name in POINTS]
        found.append(nose_to_cheeks(normals, mask, np.array(points)))
    return found


def main() -> None:
    """Print both."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("root", type=Path, help="CroppedYale, or the folder that holds it")
    parser.add_argument("portraits", type=Path, help="folder of facegeo-render layout=portraits")
    parser.add_argument("--reference", type=Path, required=True, help="folder of yaleBNN.npz")
    options = parser.parse_args()
    real, rendered = people(options.root, options.reference), portraits(options.portraits)
    for name, found in (("people", real), ("portraits", rendered)):
        print(f"{name}: {np.mean(found):.3f} +- {np.std(found, ddof=1):.3f}, {len(found)} faces")


if __name__ == "__main__":
    main()
