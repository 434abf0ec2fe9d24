"""Photometric stereo from four flashes on real people, beside what networks reach with one photo.

    python experiments/casfne/four_flashes.py DIR --reference DIR/reference --split test

Four photographs of each person of Extended Yale B, lit by lamps near those of Photoface's booth
(35 degrees aside and 15 up, 20 aside and 40 down). Normals by least squares and by
facegeo.normals.photometric_stereo.robust; angle to the reference normals over the pixels of
mask_reliable, all people pooled, degrees, and shares of pixels below a limit, %.
"""

import argparse
from pathlib import Path

import torch
from yaleb import read

from facegeo.normals.metrics import NormalErrors
from facegeo.normals.people import light_angles
from facegeo.normals.photometric_stereo import least_squares, robust

FLASHES = ((-35, 15), (35, 15), (-20, -40), (20, -40))
"""Azimuth and elevation, degrees."""
COLUMNS = ("mean_deg", "std_deg", "median_deg", *(f"lt{x}_pct" for x in (11.25, 20, 22.5, 25, 30)))


def nearest(lights: tuple[str, ...], flash: tuple[int, int]) -> int:
    """The photograph whose lamp is nearest to a flash."""
    angles = [light_angles(name) for name in lights]
    return min(
        range(len(lights)),
        key=lambda n: (angles[n][0] - flash[0]) ** 2 + (angles[n][1] - flash[1]) ** 2,
    )


def main() -> None:
    """Print a Markdown table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("root", type=Path, help="CroppedYale, or the folder that holds it")
    parser.add_argument("--reference", type=Path, required=True, help="folder of yaleBNN.npz")
    parser.add_argument("--split", default="val", choices=["val", "test"])
    options = parser.parse_args()
    data = read(options.root, options.reference)
    people = data.people
    ways = {"least squares": least_squares, "robust": robust}
    errors = {name: NormalErrors() for name in ways}
    for row in data.rows[options.split]:
        record = people.records[row]
        chosen = [nearest(record.lights, flash) for flash in FLASHES]
        photos = people.photos[int(people.first[row]) + torch.tensor(chosen)].float() / 255
        strengths = torch.tensor([record.strengths[n] for n in chosen])
        directions = torch.tensor([record.directions[n] for n in chosen])
        for name, solve in ways.items():
            found = solve(photos / strengths[:, None, None], directions).normals
            errors[name].update(found[None], people.normals[row][None].float(), people.masks[[row]])
        print(record.name, "lit by", ", ".join(record.lights[n] for n in chosen))
    print("| | " + " | ".join(COLUMNS) + " |")
    print("| :--- |" + " ---: |" * len(COLUMNS))
    for name, error in errors.items():
        found = error.compute()
        print(f"| {name} | " + " | ".join(f"{found[end]:.2f}" for end in COLUMNS) + " |")


if __name__ == "__main__":
    main()
