"""Prepared people: photographs under one light each, their lights, normals and mask."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from facegeo.data.face_outline import MARGIN
from facegeo.data.faults import WantedError
from facegeo.data.normal_files import read_mask
from facegeo.data.photo_places import five_point_outline
from facegeo.errors import UserError
from facegeo.whole_file import write_whole

RECORD, PHOTOS, NORMALS = "prepared.json", "photos.npy", "normals.npy"
MASK, ALBEDO = "mask.png", "albedo.png"
MANIFEST, NAMES = "manifest.json", "names"
"""File of the whole folder, and the note in it that lists its people."""


@dataclass(frozen=True)
class Person:
    """Record of a prepared person; written last.

    Attributes:
        name: Such as ``yaleB01``.
        source: Digest of what it was made from.
        lights: Names of the lights, such as ``A+035E-20``, one a photograph, N.
        directions: Unit vectors towards them, x right, y up, z to the camera, N.
        strengths: Of the lamps, about 1, N.
        points: Left eye, right eye, nose tip, left and right mouth corner, px.
        bulge: How much the normals look like those of a convex face, -1 to 1.
    """

    name: str
    source: str
    lights: tuple[str, ...]
    directions: tuple[tuple[float, float, float], ...]
    strengths: tuple[float, ...]
    points: tuple[tuple[float, float], ...]
    bulge: float

    @staticmethod
    def read(folder: Path) -> Person:
        """Read the record of a folder.

        Raises:
            UserError: If it is not there, unfinished or something else.
        """
        try:
            values = json.loads((folder / RECORD).read_text(encoding="utf-8"))
            for key in ("lights", "directions", "strengths", "points"):
                items = values[key]
                values[key] = tuple(tuple(v) if isinstance(v, list) else v for v in items)
            return Person(**values)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(
                f"{folder / RECORD}: wanted the record of a prepared person, got {error}; run "
                "facegeo-prepare yaleb again"
            ) from error

    def write(self, folder: Path) -> None:
        """Write the record into a folder."""
        write_whole(folder / RECORD, json.dumps(asdict(self), indent=1))


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

    @property
    def counts(self) -> Tensor:
        """Photographs of each person, int64, (P,)."""
        return torch.tensor([len(record.lights) for record in self.records])

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

    def with_truth(self, truths: Mapping[int, tuple[Tensor, Tensor]]) -> People:
        """Replace normals (3, H, W) and masks (1, H, W) of some people, by their rows."""
        normals, masks = self.normals.clone(), self.masks.clone()
        for row, (normal, mask) in truths.items():
            normals[row], masks[row] = normal.to(normals.dtype), mask
        return replace(self, normals=normals, masks=masks)

    def digest(self) -> str:
        """SHA-256 of everything."""
        found = hashlib.sha256("\n".join(map(repr, self.records)).encode())
        for tensor in (self.photos, self.normals, self.masks):
            found.update(tensor.contiguous().numpy().tobytes())
        return found.hexdigest()


def read_people(folder: Path) -> People:
    """Read all prepared people of a folder.

    Args:
        folder: Written by ``facegeo-prepare yaleb``.

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


def read_references(folder: Path, names: Sequence[str]) -> dict[str, tuple[Tensor, Tensor]]:
    """Read reference normals and the mask of where to trust them.

    Args:
        folder: Holds ``<name>.npz`` with ``normals`` (H, W, 3) and ``mask_reliable`` (H, W).
        names: Of the people.

    Returns:
        Normals (3, H, W), float32, and mask (1, H, W), bool, by name.

    Raises:
        UserError: With all files that are missing or something else.
    """
    found: dict[str, tuple[Tensor, Tensor]] = {}
    faults = []
    for name in names:
        path = folder / f"{name}.npz"
        try:
            with np.load(path, allow_pickle=False) as file:
                normals = torch.from_numpy(file["normals"].astype(np.float32)).permute(2, 0, 1)
                mask = torch.from_numpy(file["mask_reliable"].astype(bool))[None]
            if normals.shape[1:] != mask.shape[1:]:
                raise ValueError(f"normals {tuple(normals.shape)}, mask {tuple(mask.shape)}")
            found[name] = normals.contiguous(), mask
        except (OSError, ValueError, KeyError, IndexError) as error:
            faults.append(f"{path.name}: wanted normals (H, W, 3) and mask_reliable, got {error}")
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
