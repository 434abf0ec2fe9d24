"""Where a model of normals fails on real people: Cas-FNE, Fig. 17, as numbers.

    python experiments/casfne/robustness.py casfne-faces DIR --reference DIR/reference --split test

Measured on photographs of the people of Extended Yale B under single lamps (all but those behind
the face), last refinement: error by angle of the lamp, by share of dark skin, by person, by part of
the face, under blur and behind black squares. Mean angle to the reference normals over the pixels
of mask_reliable, all images pooled, degrees. Prints Markdown tables; --csv FILE writes all rows.
"""

import argparse
import csv
from collections import defaultdict
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from yaleb import read

from facegeo.geometry.normals import angle_map
from facegeo.normals.light_mixtures import LightMixturesDataModule
from facegeo.normals.people import light_angles
from facegeo.training.model_file import load_model

Change = Callable[[Tensor, Tensor], Tensor]
"""Makes other pictures (B, 3, S, S) of given ones, and numbers of the samples (B,)."""
LAMPS = (0, 20, 40, 60, 75, 90)
DARK = (0.0, 0.05, 0.15, 0.3, 0.5, 1.0)
DARK_LEVEL = 0.1
"""sRGB value below which skin is dark: 1 % of white's light."""
BLURS = (0.5, 1.0, 2.0, 4.0)
SQUARES = (0.1, 0.2, 0.3, 0.4)


class Means:
    """Mean of an angle by topic and row, pixels pooled."""

    def __init__(self) -> None:
        self.sums: dict[tuple[str, str], list[float]] = defaultdict(lambda: [0.0, 0])

    def add(self, topic: str, row: str, angles: Tensor) -> None:
        """Add angles of pixels, degrees, (N,)."""
        total = self.sums[topic, row]
        total[0] += float(angles.double().sum())
        total[1] += angles.numel()

    def rows(self) -> list[tuple[str, str, float, int]]:
        """Topic, row, mean and pixels of everything."""
        return [(*key, s / n, n) for key, (s, n) in self.sums.items() if n]


def measure(
    model: nn.Module, data: LightMixturesDataModule, split: str, change: Change | None = None
) -> list[tuple[int, Tensor, Tensor, Tensor]]:
    """Run the model: sample, picture (3, S, S), angles and mask (S, S) of each photograph."""
    every = []
    for stored in data.in_order(split):
        batch = data.on_after_batch_transfer(stored, 0)
        image, samples = batch["image"], batch["sample"]
        if change is not None:
            image = change(image, samples)
        with torch.inference_mode():
            normals = model(image)[-1]
        angles = angle_map(normals, batch["normal"])[:, 0]
        every += list(zip(samples.tolist(), image, angles, batch["mask"][:, 0], strict=True))
    return every


def parts(points: Tensor, size: int) -> dict[str, Tensor]:
    """Regions of a face around its five points (5, 2), px: bool, (S, S). Ours, in eye distances."""
    rows, columns = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    left, right, nose, low_left, low_right = points
    unit = (right - left).norm()
    across = (right - left) / unit
    down = torch.stack([-across[1], across[0]])
    place = torch.stack([columns, rows], dim=-1).float()

    def ellipse(middle: Tensor, wide: float, high: float) -> Tensor:
        offset = (place - middle) / unit
        return ((offset @ across) / wide) ** 2 + ((offset @ down) / high) ** 2 < 1

    mouth = (low_left + low_right) / 2
    bridge = (left + right) / 2
    regions = {
        "eyes and lids": ellipse(left, 0.3, 0.2) | ellipse(right, 0.3, 0.2),
        "nose": ellipse((2 * nose + bridge) / 3, 0.27, 0.45),
        "lips": ellipse(mouth, 0.5, 0.22),
        "cheeks": ellipse((left + low_left) / 2 - 0.12 * unit * across, 0.3, 0.35)
        | ellipse((right + low_right) / 2 + 0.12 * unit * across, 0.3, 0.35),
    }
    taken = torch.zeros(size, size, dtype=torch.bool)
    for name, region in regions.items():
        regions[name] = region & ~taken
        taken |= region
    return regions


def rim(mask: Tensor, size: int) -> Tensor:
    """Pixels of a mask (S, S) within a sixteenth of the side of its outer border."""
    reach = size // 16
    kernel = np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)
    whole = mask.numpy().astype(np.uint8)
    outer, _ = cv2.findContours(whole, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    filled = cv2.drawContours(np.zeros_like(whole), outer, -1, 1, cv2.FILLED)
    inside = cv2.erode(filled, kernel, borderValue=0)
    return mask & ~torch.from_numpy(inside.astype(bool))


def between(value: float, bounds: tuple[float, ...]) -> tuple[float, float] | None:
    """The two neighbours among ``bounds`` between which a value is, the larger pair at a bound."""
    inside = [pair for pair in pairwise(bounds) if pair[0] <= value <= pair[1]]
    return inside[-1] if inside else None


def plain(model: nn.Module, data: LightMixturesDataModule, split: str, found: Means) -> None:
    """Errors on the photographs as they are."""
    people, names = data.people, data.subjects(split)
    lamps = lights(data, split)
    half, none = data.size / 2, torch.empty(0)
    found.add("all", "all", none)
    for low, high in pairwise(LAMPS):  # the order of the tables
        found.add("lamp, degrees from the camera", lamp_row(low, high), none)
    for low, high in pairwise(DARK):
        found.add("share of dark skin", dark_row(low, high), none)
    for name in dict.fromkeys(names):
        found.add("person", name, none)
    for sample, image, angles, mask in measure(model, data, split):
        inside = angles[mask]
        found.add("all", "all", inside)
        if (lamp := between(lamps[sample], LAMPS)) is not None:
            found.add("lamp, degrees from the camera", lamp_row(*lamp), inside)
        dark = float((image.mean(0)[mask] < DARK_LEVEL).float().mean())
        if (share := between(dark, DARK)) is not None:
            found.add("share of dark skin", dark_row(*share), inside)
        found.add("person", names[sample], inside)
        row = people.names.index(names[sample])
        square = people.squares[row]
        points = ((people.points[row] - square[:2]) / square[2] * 2 + 1) * half - 0.5
        edge = rim(mask, data.size)
        found.add("part of the face", "rim", angles[edge])
        for name, region in parts(points, data.size).items():
            found.add("part of the face", name, angles[mask & ~edge & region])


def lamp_row(low: float, high: float) -> str:
    """Row of lamps between two angles."""
    return f"{low:.0f} to {high:.0f}"


def dark_row(low: float, high: float) -> str:
    """Row of photographs between two shares of dark skin."""
    return f"{100 * low:.0f} to {100 * high:.0f} %"


def lights(data: LightMixturesDataModule, split: str) -> list[float]:
    """Angle between lamp and camera of each photograph of a split, degrees."""
    angles = []
    for row in data.rows[split]:
        for name in data.people.records[row].lights:
            azimuth, elevation = light_angles(name)
            if max(abs(azimuth), abs(elevation)) <= LAMPS[-1]:
                towards = np.cos(np.radians(azimuth)) * np.cos(np.radians(elevation))
                angles.append(float(np.degrees(np.arccos(towards))))
    return angles


def blurred(sigma: float, size: int) -> Change:
    """Blur pictures; ``sigma`` in px at 128 px."""

    def change(image: Tensor, samples: Tensor) -> Tensor:
        pixels = image.permute(0, 2, 3, 1).numpy()
        done = [cv2.GaussianBlur(one, (0, 0), sigma * size / 128) for one in pixels]
        return torch.from_numpy(np.stack(done)).permute(0, 3, 1, 2).contiguous()

    return change


def corners(sample: int, side: int, size: int) -> tuple[int, int]:
    """Top row and left column of the black square of a picture, drawn within its middle half."""
    random = np.random.default_rng(sample)
    top, left = random.integers(size // 4, max(size // 4 + 1, 3 * size // 4 - side), size=2)
    return int(top), int(left)


def covered(side: int, size: int) -> Change:
    """Lay a black square of ``side`` px over each picture."""

    def change(image: Tensor, samples: Tensor) -> Tensor:
        image = image.clone()
        for one, sample in zip(image, samples.tolist(), strict=True):
            top, left = corners(sample, side, size)
            one[:, top : top + side, left : left + side] = 0
        return image

    return change


def changed(model: nn.Module, data: LightMixturesDataModule, split: str, found: Means) -> None:
    """Errors on blurred and on covered photographs."""
    for sigma in BLURS:
        for _, _, angles, mask in measure(model, data, split, blurred(sigma, data.size)):
            found.add("blur, px at 128 px", f"{sigma:g}", angles[mask])
    for place in ("behind", "beside"):
        for share in SQUARES:
            found.add(
                f"black square, {place} it", f"{100 * share:.0f} % of the side", torch.empty(0)
            )
    for share in SQUARES:
        side = round(share * data.size)
        row = f"{100 * share:.0f} % of the side"
        for sample, _, angles, mask in measure(model, data, split, covered(side, data.size)):
            top, left = corners(sample, side, data.size)
            hidden = torch.zeros_like(mask)
            hidden[top : top + side, left : left + side] = True
            found.add("black square, behind it", row, angles[mask & hidden])
            found.add("black square, beside it", row, angles[mask & ~hidden])


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("model", help="released name, model file or a run's folder")
    parser.add_argument("root", type=Path, help="CroppedYale, or the folder that holds it")
    parser.add_argument("--reference", type=Path, required=True, help="folder of yaleBNN.npz")
    parser.add_argument("--split", default="val", choices=["val", "test"])
    parser.add_argument("--size", type=int, default=192, help="side of the faces, px")
    parser.add_argument("--csv", type=Path, help="file for all rows")
    options = parser.parse_args()
    model, found = load_model(options.model)[0].eval(), Means()
    limits = {"max_azimuth_deg": LAMPS[-1], "max_elevation_deg": LAMPS[-1]}
    data = read(options.root, options.reference, size=options.size, **limits)
    plain(model, data, options.split, found)
    changed(model, data, options.split, found)
    rows, last = found.rows(), None
    for topic, row, mean, _ in rows:
        if topic != last:
            print(f"\n| {topic} | mean, degrees |\n| :--- | ---: |")
        print(f"| {row} | {mean:.2f} |")
        last = topic
    if options.csv:
        with options.csv.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(["model", "split", "topic", "row", "mean_deg", "pixels"])
            writer.writerows([options.model, options.split, *row] for row in rows)


if __name__ == "__main__":
    main()
