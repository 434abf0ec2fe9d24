"""People under many lamps, prepared by ``facegeo-prepare yaleb``, and their split by person."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from facegeo.errors import UserError
from facegeo.files.lists import WantedError
from facegeo.files.places import MARGIN, five_point_outline
from facegeo.normals.maps import read_mask
from facegeo.normals.prepare import MANIFEST, Record

LIGHT = re.compile(r"A([+-]\d{3})E([+-]\d{2})")


def light_angles(name: str) -> tuple[int, int]:
    """Azimuth and elevation of the light that a photograph's name gives, degrees.

    >>> light_angles("yaleB01_P00A+035E-20.pgm")
    (35, -20)
    """
    found = LIGHT.search(name)
    if found is None:
        raise ValueError(f"name must hold a light such as A+035E-20, got {name!r}")
    return int(found[1]), int(found[2])


@dataclass(frozen=True)
class PeopleSplit:
    """Who is in which split; nobody is in two.

    Attributes:
        train: Names of the people to train on; None takes all that are in no other split.
        val: Names of the people for every choice.
        test: Names of the people to test on.
    """

    train: Sequence[str] | None
    val: Sequence[str]
    test: Sequence[str]

    def __post_init__(self) -> None:
        splits: dict[str, list[str]] = {}
        for split, names in self._listed.items():
            for name in names:
                splits.setdefault(name, []).append(split)
        faults = [f"{name} in {' and '.join(own)}" for name, own in splits.items() if own[1:]]
        if faults:
            raise UserError(
                f"data.train, val and test must not share people, got {'; '.join(faults)}: a "
                "person in two splits would be tested on after training"
            )

    @property
    def _listed(self) -> dict[str, Sequence[str]]:
        return {"train": self.train or (), "val": self.val, "test": self.test}

    def rows(self, names: Sequence[str]) -> dict[str, list[int]]:
        """Rows of the people of each split among all ``names``.

        Raises:
            UserError: If a listed person is not among them.
        """
        place = {name: row for row, name in enumerate(names)}
        unknown = [name for own in self._listed.values() for name in own if name not in place]
        if unknown:
            raise UserError(
                f"data.train, val or test name people that are not in data.root: "
                f"{', '.join(unknown)}; it holds {', '.join(names)}"
            )
        rows = {split: [place[name] for name in own] for split, own in self._listed.items()}
        if self.train is None:
            rows["train"] = sorted({*place.values()} - {*rows["val"], *rows["test"]})
        return rows


PHOTOS, NORMALS, MASK, ALBEDO = "photos.npy", "normals.npy", "mask.png", "albedo.png"
NAMES = "names"
"""The note in the manifest that lists the folder's people."""


@dataclass(frozen=True)
class Person(Record):
    """Record of a prepared person, such as ``yaleB01``.

    Attributes:
        lights: Names of the lights, such as ``A+035E-20``, one a photograph, N.
        directions: Unit vectors towards them, x right, y up, z to the camera, N.
        strengths: Of the lamps, about 1, N.
        points: Left eye, right eye, nose tip, left and right mouth corner, px.
        bulge: How similar the normals are to those of a convex face, -1 to 1.
    """

    lights: tuple[str, ...]
    directions: tuple[tuple[float, float, float], ...]
    strengths: tuple[float, ...]
    points: tuple[tuple[float, float], ...]
    bulge: float

    def files(self) -> list[str]:
        """Names of the person's files."""
        return [PHOTOS, NORMALS, MASK, ALBEDO]


@dataclass(frozen=True, eq=False)
class People:
    """P people of one picture size, in memory; move them to a device with ``to``.

    Attributes:
        records: Their records, P.
        photos: All photographs, one person after the other, linear in light, uint8, (N, H, W).
        first: Row of each person's first photograph, int64, (P,).
        normals: Unit vectors, x right, y up, z to the camera, float16, (P, 3, H, W).
        masks: Face pixels with a known normal, bool, (P, 1, H, W).
        points: Five points, px, float32, (P, 5, 2).
    """

    records: tuple[Person, ...]
    photos: Tensor
    first: Tensor
    normals: Tensor
    masks: Tensor
    points: Tensor

    @property
    def names(self) -> list[str]:
        """Names of the people."""
        return [record.name for record in self.records]

    @cached_property
    def squares(self) -> Tensor:
        """Squares about the faces, as ``facegeo.predict.normals`` lays them in large photos.

        x and y of the middle and side, px, float32, (P, 3).
        """
        boxes = [five_point_outline(one) for one in self.points.cpu().double().numpy()]
        rows = [[*box.mean(axis=0), MARGIN * np.ptp(box, axis=0).max()] for box in boxes]
        return torch.tensor(rows, dtype=torch.float32, device=self.points.device)

    @cached_property
    def side_px(self) -> float:
        """Mean side of the squares, px."""
        return float(self.squares[:, 2].mean())

    def to(self, device: torch.device) -> People:
        """Move all arrays to a device."""
        return replace(
            self,
            photos=self.photos.to(device),
            first=self.first.to(device),
            normals=self.normals.to(device),
            masks=self.masks.to(device),
            points=self.points.to(device),
        )

    def digest(self) -> str:
        """SHA-256 of everything."""
        found = hashlib.sha256("\n".join(map(repr, self.records)).encode())
        for tensor in (self.photos, self.normals, self.masks):
            found.update(tensor.contiguous().numpy().tobytes())
        return found.hexdigest()


def read_people(folder: Path) -> People:
    """Read all prepared people of a folder, which ``facegeo-prepare yaleb`` wrote.

    Raises:
        UserError: With every fault of all files at once.
    """
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        names = sorted(manifest["notes"][NAMES].split())
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f"{folder} must hold prepared people (facegeo-prepare yaleb), got {error!r}"
        ) from error
    records: list[Person] = []
    parts: list[tuple[Tensor, Tensor, Tensor]] = []
    faults: list[str] = []
    for name in names:
        try:
            record = Person.read(folder / name)
            parts.append(_arrays(folder / name, record, parts[0][0].shape[1:] if parts else None))
            records.append(record)
        except WantedError as error:  # a ValueError
            faults.append(f"{name}/{MASK}: wanted {error.wanted}, got {error.got}")
        except (UserError, OSError, ValueError) as error:
            faults.append(f"{name}: {error}")
    if faults:
        lines = "".join(f"\n  {fault}" for fault in faults)
        raise UserError(f"faults in {folder}:{lines}\nrun facegeo-prepare yaleb again")
    photos, normals, masks = (list(column) for column in zip(*parts, strict=True))
    counts = torch.tensor([len(one) for one in photos])
    return People(
        records=tuple(records),
        photos=torch.cat(photos),
        first=counts.cumsum(0) - counts,
        normals=torch.stack(normals),
        masks=torch.stack(masks),
        points=torch.tensor([record.points for record in records]),
    )


def read_references(
    folder: Path, names: Sequence[str], size: torch.Size
) -> list[tuple[Tensor, Tensor]]:
    """Read reference normals and the mask of where to trust them.

    Args:
        folder: Holds ``<name>.npz`` with ``normals`` (H, W, 3) and ``mask_reliable`` (H, W).
        names: Of the people.
        size: Height and width of their photographs, px.

    Returns:
        Of each: normals (3, H, W), float32, and mask (1, H, W), bool.

    Raises:
        UserError: With all files that are missing, of another size or something else.
    """
    found: list[tuple[Tensor, Tensor]] = []
    faults = []
    for name in names:
        path = folder / f"{name}.npz"
        try:
            with np.load(path, allow_pickle=False) as file:
                normals = torch.from_numpy(file["normals"].astype(np.float32)).permute(2, 0, 1)
                mask = torch.from_numpy(file["mask_reliable"].astype(bool))[None]
            if not normals.shape[1:] == mask.shape[1:] == size:
                raise ValueError(f"{tuple(normals.shape[1:])} and {tuple(mask.shape[1:])}")
            found.append((normals.contiguous(), mask))
        except (OSError, ValueError, KeyError, IndexError) as error:
            wanted = f"normals (H, W, 3) and mask_reliable of {size[0]} x {size[1]} (H x W) pixels"
            faults.append(f"{path.name}: wanted {wanted}, got {error}")
    if faults:
        lines = "".join(f"\n  {fault}" for fault in faults)
        raise UserError(f"reference={folder} has faults:{lines}\nset another folder, or null")
    return found


def _arrays(folder: Path, record: Person, size: torch.Size | None) -> tuple[Tensor, Tensor, Tensor]:
    """Photographs, normals and mask of a person, checked against each other."""
    photos = torch.from_numpy(np.load(folder / PHOTOS, allow_pickle=False))
    normals = torch.from_numpy(np.load(folder / NORMALS, allow_pickle=False)).permute(2, 0, 1)
    mask = torch.from_numpy(read_mask((folder / MASK).read_bytes()))[None]
    size = photos.shape[1:] if size is None else size
    shapes = [photos.shape, normals.shape, mask.shape]
    if shapes != [(len(record.lights), *size), (3, *size), (1, *size)]:
        raise ValueError(f"photographs, normals and mask do not fit together: {shapes}")
    return photos, normals.contiguous(), mask
