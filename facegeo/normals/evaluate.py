"""Measure models of normals, and show their normals of plain photos."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.utilities import move_data_to_device
from rich.console import Console
from torch import Tensor, nn
from torch.utils.data import DataLoader

from facegeo.errors import UserError
from facegeo.geometry.normals import normalise
from facegeo.normals.data import NormalBatch, NormalDataModule
from facegeo.normals.generator import Stages
from facegeo.normals.maps import as_trained
from facegeo.normals.metrics import AuthorErrors, NormalErrors
from facegeo.normals.panels import normal_panel
from facegeo.normals.photos import PhotoFolder
from facegeo.normals.tables import normal_table, person_table, refinement_table
from facegeo.training.results import keep_metrics, keep_table

log = logging.getLogger(__name__)
SHOWN = 6
"""Faces of a page of panels."""


@dataclass(frozen=True)
class Estimated:
    """Faces of a batch and their estimated normals, on the CPU.

    Attributes:
        batch: The faces.
        stages: Normals of t = 0..T, each (B, 3, S, S).
        from_noise: One refinement of noise in place of normals, the same shape; None: the model
            has no refinements, or t is 0.
    """

    batch: NormalBatch
    stages: tuple[Tensor, ...]
    from_noise: Tensor | None = None


def report_normals(
    model: nn.Module,
    data: NormalDataModule,
    folder: Path,
    splits: Sequence[str],
    paper: Mapping[str, Any] | None = None,
    device: torch.device | str = "cpu",
    console: Console | None = None,
    *,
    t: int | None = None,
    panels: bool = False,
) -> dict[str, float]:
    """Measure a generator; write numbers and panels into ``folder`` and show the table.

    Args:
        model: Maps images to the normals of t = 0..T.
        data: The faces.
        folder: Gets ``metrics.json``, and for each split and view of it tables (Markdown, CSV; one
            of its refinements, if there are any, one of its people, if the data name them) and
            panels.
        splits: Of "train", "val" and "test".
        paper: Rows of the paper by name, such as ``t2: {mean_deg: 7.31, ...}``.
        device: Where the generator runs.
        console: Shows the table; None: the terminal.
        t: Refinements to run; None: as the model was built.
        panels: Draw every face, not only the first few.

    Returns:
        The metrics, such as ``test/t2/mean_deg``, ``test/mixtures/t2/mean_deg`` of a view,
        ``test/yaleB12/mean_deg`` of a person at the last t, and, where the data have it,
        ``test/average_face/mean_deg`` of the training people's mean normals; those named
        ``author_compat`` are averaged as the authors' tools do.

    Raises:
        UserError: As ``find_normals``.
    """
    console, results, name_of_data = console or Console(), dict[str, float](), data.title
    if data.real_people:
        log.warning("%s: pictures of real people are written to %s", name_of_data, folder)
    data, model = data.measured, model.to(device).eval()
    parts = {
        split if view is None else f"{split}/{view}": (split, view)
        for split in splits
        for view in (None, *data.views(split))
    }
    counts = {part: len(data.pictures(*choice)) for part, choice in parts.items()}
    listed = " and ".join(f"{count} {part} images" for part, count in counts.items())
    log.info("measuring %s on %s", listed, device)
    for part, (split, view) in parts.items():
        measured = _measure(model, data, split, view, device, t, folder, panels)
        results |= measured
        title = f"{name_of_data}: {counts[part]} {part} images, {data.size} px, {data.split_kind}"
        name = part.replace("/", "_")
        keep_table(folder, name, normal_table(measured, part, title, paper or {}), console)
        if f"{part}/t1/moved_deg" in measured:
            title = f"{name_of_data}: refinements, {part}"
            table = refinement_table(measured, part, title)
            keep_table(folder, f"{name}_refinements", table, console)
        people = list(dict.fromkeys(data.subjects(split, view)))
        if people:
            title = f"{name_of_data}: people of {part}"
            table = person_table(measured, part, people, title)
            keep_table(folder, f"{name}_people", table, console)
    keep_metrics(folder, results, console)
    return results


def _measure(
    model: nn.Module,
    data: NormalDataModule,
    split: str,
    view: str | None,
    device: torch.device | str,
    t: int | None,
    folder: Path,
    panels: bool,
) -> dict[str, float]:
    part = split if view is None else f"{split}/{view}"
    name, errors = part.replace("/", "_"), _PartErrors(part, data, split, view)
    pages = 0
    for found in estimate(model, data, split, device, t, view):
        errors.update(found)
        count = len(found.batch["sample"])
        if panels:
            path = folder / "panels" / f"{name}_{{:04d}}.png"
            pages += _draw(found, torch.arange(count), data, part, path, pages)
        elif not pages:
            rows = torch.linspace(0, count - 1, min(SHOWN, count)).long()
            pages += _draw(found, rows, data, part, folder / f"{name}_panels.png", pages)
    return errors.results()


class _PartErrors:
    """Errors of each t, of each person at the last t, and of the average face.

    Of each refinement also how far it moves the normals given to it (``moved_deg``), and how far
    its output is from that for noise in their place (``normals_used_deg``; 0: it does not look at
    them). Mean angles over face pixels, degrees.

    Args:
        part: First part of the metrics' names.
        data: The faces.
        split: Which of them.
        view: Which pictures of them.
    """

    def __init__(self, part: str, data: NormalDataModule, split: str, view: str | None) -> None:
        self.part, self.subjects = part, data.subjects(split, view)
        self.average = data.average_face()
        self.floor = NormalErrors(f"{part}/average_face/")
        self.people = {person: NormalErrors(f"{part}/{person}/") for person in self.subjects}
        self.stages: list[NormalErrors | AuthorErrors] = []
        self.refinements: dict[str, NormalErrors] = {}

    def update(self, found: Estimated) -> None:
        """Add a batch."""
        if not self.stages:
            for stage in range(len(found.stages)):
                self.stages += [NormalErrors(f"{self.part}/t{stage}/")]
                self.stages += [AuthorErrors(f"{self.part}/t{stage}/author_compat/")]
        truth, mask = found.batch["normal"], found.batch["mask"]
        for number, metric in enumerate(self.stages):
            metric.update(found.stages[number // 2], truth, mask)
        self._update_refinements(found)
        if self.average is not None:
            self.floor.update(self.average.cpu().expand_as(truth), truth, mask)
        for row, sample in enumerate(found.batch["sample"].tolist() if self.people else ()):
            one = slice(row, row + 1)
            person = self.people[self.subjects[sample]]
            person.update(found.stages[-1][one], truth[one], mask[one])

    def _update_refinements(self, found: Estimated) -> None:
        for t, (before, after) in enumerate(pairwise(found.stages), 1):
            others = {"moved": before, "normals_used": found.from_noise}
            for name, other in others.items():
                if other is not None:
                    metric = self.refinements.setdefault(f"t{t}/{name}_deg", NormalErrors())
                    metric.update(other, after, found.batch["mask"])

    def results(self) -> dict[str, float]:
        """Everything by name."""
        floor = [] if self.average is None else [self.floor]
        every = [*floor, *self.stages, *self.people.values()]
        found = {name: v.item() for metric in every for name, v in metric.compute().items()}
        return found | {
            f"{self.part}/{name}": metric.compute()["mean_deg"].item()
            for name, metric in self.refinements.items()
        }


@torch.inference_mode()
def estimate(
    model: nn.Module,
    data: NormalDataModule,
    split: str,
    device: torch.device | str,
    t: int | None = None,
    view: str | None = None,
) -> Iterator[Estimated]:
    """Run a generator over the faces of a split, or of one of its views, in order."""
    for stored in data.in_order(split, view):
        batch = data.on_after_batch_transfer(move_data_to_device(stored, torch.device(device)), 0)
        stages = find_normals(model, batch["image"], t)
        refined = None
        if len(stages) > 1 and isinstance(model, Stages):
            given = noise(batch["sample"], data.size).to(batch["image"])
            refined = model.refine(batch["image"], given).float().cpu()
        yield Estimated(move_data_to_device(batch, torch.device("cpu")), stages, refined)


def noise(samples: Tensor, side: int) -> Tensor:
    """Unit vectors towards the camera without any order, float32, (B, 3, S, S).

    Args:
        samples: Numbers of the faces (B,), which decide theirs alone.
        side: S, px.
    """
    every = []
    for number in samples.tolist():
        random = torch.Generator().manual_seed(number)
        vectors = torch.randn(3, side, side, generator=random)
        every.append(torch.cat([vectors[:2], vectors[2:].abs()]))
    return normalise(torch.stack(every))


def find_normals(model: nn.Module, images: Tensor, t: int | None) -> tuple[Tensor, ...]:
    """Run a generator on images (B, 3, S, S); its normals of t = 0..T come to the CPU.

    Raises:
        UserError: If the model finds points, or cannot take this ``t`` or this side S.
    """
    if getattr(model, "finds", "normals") != "normals":
        raise UserError(
            "these faces ask for normals and the model finds points; give data=lfpw, generated or "
            "fixture, or the checkpoint of a generator of normals"
        )
    try:
        stages = model(images) if t is None else model(images, t=t)
    except ValueError as error:
        raise UserError(f"the model refuses t or data.size: {error}") from error
    return tuple(stage.float().cpu() for stage in stages)


def _draw(
    found: Estimated,
    rows: Tensor,
    data: NormalDataModule,
    split: str,
    path: Path,
    page: int,
) -> int:
    """Draw rows of a batch; ``path`` may hold a place for the page's number. Pages drawn."""
    pages = rows.split(SHOWN)
    for number, chosen in enumerate(pages, page):
        normal_panel(
            path.with_name(path.name.format(number)),
            found.batch["image"][chosen],
            [stage[chosen] for stage in found.stages],
            f"{split} faces of {data.title}",
            normal=found.batch["normal"][chosen],
            mask=found.batch["mask"][chosen],
        )
    return len(pages)


@torch.inference_mode()
def show_photos(
    model: nn.Module,
    photos: PhotoFolder,
    folder: Path,
    splits: Sequence[str] = (),
    paper: object = None,
    device: torch.device | str = "cpu",
    console: Console | None = None,
    *,
    t: int | None = None,
    panels: bool = False,
    coding: str | None = None,
) -> dict[str, float]:
    """Draw a generator's normals of photos: ``photos_0000.png`` and so on.

    Args:
        model: Maps images to the normals of t = 0..T.
        photos: The faces.
        folder: Gets the pages.
        splits: Not used: photos have none.
        paper: Not used: nothing is measured.
        device: Where the generator runs.
        console: Says where they are; None: the terminal.
        t: Refinements to run; None: as the model was built.
        panels: Draw all photos, not only the first page.
        coding: Of the photos that the generator was trained on, see ``facegeo.normals.maps``.

    Returns:
        No numbers.

    Raises:
        UserError: As ``find_normals``.
    """
    model = model.to(device).eval()
    for page, batch in enumerate(DataLoader(photos, SHOWN)):
        if page and not panels:
            break
        stages = find_normals(model, as_trained(batch["image"].to(device), coding), t)
        path = folder / f"photos_{page:04d}.png"
        normal_panel(path, batch["image"], stages, photos.root.name)
    (console or Console()).print(f"Pictures: {folder}")
    return {}
