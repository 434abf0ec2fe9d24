"""LightningDataModule of people under mixtures of light: sums of photographs, one lamp each."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, cast

import torch
from pydantic import Field
from torch import Tensor

from facegeo.checks import Count, checked
from facegeo.errors import UserError
from facegeo.geometry.normals import normalise
from facegeo.normals.augment import FaceView
from facegeo.normals.data import NormalBatch, NormalDataModule, check_splits
from facegeo.normals.mixtures import (
    DrawnBatch,
    DrawnMixtures,
    FixedMixtures,
    LampTable,
    MixtureLight,
    develop_mixtures,
)
from facegeo.normals.people import People, PeopleSplit, light_angles, read_people, read_references
from facegeo.normals.photo_effects import BANK, PhotoEffects


@checked(prefix="data.")
class LightMixturesDataModule(NormalDataModule):
    """People photographed under one lamp at a time; light adds up, so any sum is a true picture.

    Training pictures are random sums of one person's photographs, made in batches on the device
    that trains. Validation and test pictures are single photographs, sRGB-coded, and, as another
    view, fixed mixtures. People are read once and kept in memory.

    Args:
        root: ``CroppedYale``, the folder that holds it, or what ``facegeo-prepare yaleb`` wrote.
        cache_dir: Where people are prepared if they are not.
        prepare: Called with ``root`` and ``cache_dir``; returns the folder of prepared people.
        light: How training pictures are lit.
        view: How training faces are moved.
        effects: Effects of cameras and files on training pictures.
        val: Names of the people to validate on, such as ``yaleB04``.
        test: Names of the people to test on; all others are trained on.
        train: Names of the people to train on; None takes all others.
        reference: Folder of ``<name>.npz`` with the truth and the mask of validation and test; None
            takes the prepared normals. Training always does.
        mixtures: Fixed mixtures by name: weights by the lights' names.
        max_azimuth_deg: Single lights farther to the side are not tested.
        max_elevation_deg: Single lights higher or lower are not tested.
        views_per_person: Training pictures of each person in an epoch.
        batch_size: Training pictures of a step in one process.
        eval_batch_size: Pictures of a validation or test batch.
        size: Side of all pictures, px.
        title: Name of the faces, for tables and pictures.
        paper: Section of ``experiments/paper_values.yaml`` with figures to print beside ours.
        seed: Seed of everything that is drawn.
        num_workers: Loader processes; they only draw numbers, so 0 is fastest.
    """

    coding = "srgb"
    real_people = True
    split_kind = "split by person, as listed"

    def __init__(
        self,
        root: str,
        cache_dir: str,
        prepare: Callable[..., Path],
        *,
        light: MixtureLight,
        view: FaceView,
        effects: PhotoEffects,
        val: Sequence[str],
        test: Sequence[str],
        train: Sequence[str] | None = None,
        reference: str | None = None,
        mixtures: Mapping[str, Mapping[str, float]] | None = None,
        max_azimuth_deg: float = 60.0,
        max_elevation_deg: float = 50.0,
        views_per_person: Count = 64,
        batch_size: Count = 8,
        eval_batch_size: Count = 32,
        size: Annotated[int, Field(ge=1, le=BANK)] = 128,
        title: str = "Extended Yale B",
        paper: str | None = None,
        seed: int = 0,
        num_workers: int = 0,
    ) -> None:
        super().__init__()
        self.root, self.cache_dir, self.prepare = root, cache_dir, prepare
        self.light, self.view, self.effects = light, view, effects
        self.listed, self.validates = PeopleSplit(train, val, test), bool(val)
        self.reference = None if reference is None else Path(reference).expanduser()
        self.mixtures = {name: dict(weights) for name, weights in (mixtures or {}).items()}
        self.limits = (max_azimuth_deg, max_elevation_deg)
        self.views_per_person = views_per_person
        self.batch_size, self.eval_batch_size, self.size = batch_size, eval_batch_size, size
        truth = "our prepared normals" if reference is None else "reference normals"
        self.title = f"{title} (truth: {truth})"
        self.paper, self.seed, self.num_workers = paper, seed, num_workers
        self._moved: dict[torch.device, People] = {}

    def check_sources(self, key: str = "data") -> None:
        """Check that the folder of references exists, if one is set."""
        if self.reference is not None and not self.reference.is_dir():
            raise UserError(f"data.reference={self.reference}: no such folder")

    def prepare_data(self) -> None:
        """Prepare people into the cache if they are not prepared."""
        self.check_sources()
        self.prepare(root=self.root, cache_dir=self.cache_dir)

    @cached_property
    def _prepared(self) -> People:
        return read_people(self.prepare(root=self.root, cache_dir=self.cache_dir))

    @cached_property
    def _digest(self) -> str:
        return self._prepared.digest()

    @cached_property
    def rows(self) -> dict[str, list[int]]:
        """Rows of the people of each split."""
        return self.listed.rows(self._prepared.names)

    @cached_property
    def people(self) -> People:
        """All people, read when first asked for; validation and test with their truth.

        Raises:
            UserError: With every fault of the files.
        """
        people = self._prepared
        if self.reference is None:
            return people
        held_out = [*self.rows["val"], *self.rows["test"]]
        names = [people.names[row] for row in held_out]
        truths = read_references(self.reference, names, people.normals.shape[2:])
        normals, masks = people.normals.clone(), people.masks.clone()
        for row, (normal, mask) in zip(held_out, truths, strict=True):
            normals[row], masks[row] = normal.to(normals.dtype), mask
        return replace(people, normals=normals, masks=masks)

    def check(self, splits: Sequence[str]) -> None:
        """Read everything before a training begins.

        Raises:
            UserError: With every fault of the files, or if a split is unknown or empty.
        """
        check_splits(splits)
        for split in splits:
            if not self.rows[split]:
                raise UserError(f"nobody is in the {split} split: name people in data.{split}")
            if split == "train":
                self.training_faces()
            else:
                self.faces(split)
                self.views(split)

    def description(self) -> dict[str, Any]:
        """All of the split, for its file."""
        people = self._prepared.names
        names = {part: [people[row] for row in own] for part, own in self.rows.items()}
        return {"split_by": "person", "content": self._digest, **names}

    def content(self) -> str:
        """Sixteen hex digits that change with any photograph, normal or mask, and the split."""
        shown = [self.description(), self.people.digest(), self.mixtures, self.limits, self.size]
        return hashlib.sha256(repr(shown).encode()).hexdigest()[:16]

    def training_faces(self) -> DrawnMixtures:
        """Random mixtures of the training people."""
        people = self.people
        directions = [record.directions for record in people.records]
        table = LampTable.of(people.first.tolist(), directions)
        rows = torch.tensor(self.rows["train"])
        return DrawnMixtures(rows, table, self.light, self.views_per_person, self.seed)

    def faces(self, split: str) -> FixedMixtures:
        """Single photographs of a split's people, by person and light."""
        people = self.people
        chosen = [
            (row, [int(people.first[row]) + photo], [1.0])
            for row in self.rows[split]
            for photo, name in enumerate(people.records[row].lights)
            if all(abs(a) <= most for a, most in zip(light_angles(name), self.limits, strict=True))
        ]
        if not chosen:
            raise UserError(
                f"no photograph of the {split} split is lit from within {self.limits[0]:g} x "
                f"{self.limits[1]:g} degrees; raise data.max_azimuth_deg or max_elevation_deg"
            )
        return FixedMixtures(chosen)

    def views(self, split: str) -> Mapping[str, FixedMixtures]:
        """Fixed mixtures of a split's people, all together under the name "mixtures".

        Lamps without a photograph of the person leave their weight to the others.

        Raises:
            UserError: If a person has no photograph of any lamp of a mixture.
        """
        chosen = []
        for row in self.rows[split]:
            names, first = self.people.records[row].lights, int(self.people.first[row])
            for weights in self.mixtures.values():
                there = {name: weight for name, weight in weights.items() if name in names}
                if not there:
                    got = f"got {', '.join(weights)}"
                    raise UserError(f"a mixture must name lights such as {names[0]}, {got}")
                scale = sum(weights.values()) / sum(there.values())
                photos = [first + names.index(name) for name in there]
                chosen.append((row, photos, [scale * weight for weight in there.values()]))
        return {"mixtures": FixedMixtures(chosen)} if chosen else {}

    def subjects(self, split: str, view: str | None = None) -> Sequence[str]:
        """Name the person of each picture of a split or view."""
        faces = cast(FixedMixtures, self.pictures(split, view))
        return [self.people.names[row] for row in faces.person.tolist()]

    def average_face(self) -> Tensor | None:
        """Mean normals of the training people, placed by the five points, (3, S, S), if any."""
        rows = self.rows["train"]
        if not rows:
            return None
        faces = FixedMixtures([(row, [int(self.people.first[row])], [1.0]) for row in rows])
        made = self.on_after_batch_transfer(faces.__getitems__(range(len(rows))), 0)
        mean = (made["normal"] * made["mask"]).sum(dim=0)
        ahead = mean.new_tensor([0, 0, 1])[:, None, None]
        known = made["mask"].any(dim=0)
        return normalise(torch.where(known, mean, ahead)[None], 1e-6)[0]

    def on_after_batch_transfer(self, batch: DrawnBatch, dataloader_idx: int) -> NormalBatch:
        """Make the pictures of a batch on its device; needs no trainer."""
        device = batch["person"].device
        if device not in self._moved:
            self._moved[device] = self.people.to(device)
        return develop_mixtures(batch, self._moved[device], self.size, self.view, self.effects)
