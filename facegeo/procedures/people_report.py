"""What a preparation of people did, in a table, and how far it is from reference normals."""

from __future__ import annotations

import statistics
from pathlib import Path

from facegeo.data.people import read_people, read_references
from facegeo.errors import UserError
from facegeo.geometry.angles import angle_map
from facegeo.procedures.prepare_people import PeopleReport
from facegeo.tables import Cell, Table

COLUMNS = ("", "lights", "mean deg", "median deg", "mask %")
NOTE = (
    "lights = photographs; angles between the normals made here and the reference, inside the "
    "reference's mask_reliable; mask = share of mask_reliable that the mask made here covers; "
    "mean = mean over people."
)


def people_table(report: PeopleReport, out: Path, reference: Path | None, title: str) -> Table:
    """Tabulate the people of a folder: a row for each, and their mean.

    Args:
        report: What was done.
        out: Folder of the prepared people.
        reference: Folder of ``<name>.npz``, see ``read_references``; None compares with nothing.
        title: Of the table.

    Raises:
        UserError: If a reference is missing or of another size.
    """
    done = (
        f"{report.done} people prepared now, {report.kept} finished before, "
        f"{report.faulty} left out."
    )
    if reference is None:
        rows = tuple((person.name, len(person.lights)) for person in report.people)
        return Table(title=title, columns=COLUMNS[:2], rows=rows, note=done)
    people = read_people(out)
    truths = read_references(reference, people.names)
    cells: list[tuple[Cell, ...]] = []
    for row, (name, (truth, reliable)) in enumerate(truths.items()):
        found, mask = people.normals[row].float(), people.masks[row]
        if truth.shape != found.shape:
            raise UserError(
                f"{reference / name}.npz: wanted normals of the photographs' size, "
                f"{tuple(found.shape[1:])}, got {tuple(truth.shape[1:])}"
            )
        angles = angle_map(found, truth)[reliable]
        covered = 100 * float(mask[reliable].float().mean())
        lights = len(people.records[row].lights)
        cells.append((name, lights, float(angles.mean()), float(angles.median()), covered))
    means = (statistics.fmean(float(row[k] or 0) for row in cells) for k in (2, 3, 4))
    return Table(title, COLUMNS, (*cells, ("mean", None, *means)), f"{done} {NOTE}")
