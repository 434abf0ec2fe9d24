"""From photographs of people under many lamps, one at a time, to a folder of prepared people."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch

from facegeo.data.cropped_yale import (
    find_people,
    light_angles,
    light_names,
    load_linear,
    read_person,
)
from facegeo.data.people import ALBEDO, MASK, NAMES, NORMALS, PHOTOS, Person
from facegeo.data.raw_session import RawSession, SessionFault
from facegeo.errors import UserError
from facegeo.geometry.lamp_strengths import lamp_strengths
from facegeo.geometry.lamps import check_lights, flash_directions
from facegeo.procedures.prepare_person import FindFace, lit_face, prepare_person
from facegeo.procedures.prepared_folder import claim, write_manifest
from facegeo.procedures.session_work import progress, share, stop_or_warn, survey
from facegeo.synthetic.manifest import write_atomically
from facegeo.synthetic.order import check_processes

VERSION = 3
"""Raised whenever the same photographs give other files."""
LAMPS = "lamps.json"
THINNED = 3
"""The strengths are estimated from every third row and column."""


@dataclass(frozen=True, kw_only=True)
class PeoplePreparation:
    """Everything that decides what is written.

    Attributes:
        root: ``CroppedYale`` or the folder that holds it.
        out: Folder to write to: new, empty, or written by the same preparation.
        max_azimuth_deg: Lights farther to the side do not take part in the fit.
        max_elevation_deg: Lights higher or lower do not take part in the fit.
        on_error: "raise" or "skip" faulty people.
        processes: How many share the work; None for one a core.
    """

    root: Path
    out: Path
    max_azimuth_deg: float = 85.0
    max_elevation_deg: float = 75.0
    on_error: Literal["raise", "skip"] = "raise"
    processes: int | None = 1

    def check(self) -> None:
        """Look for mistakes before any work is done.

        Raises:
            UserError: If an option is out of range; the text names it.
        """
        for key in ("max_azimuth_deg", "max_elevation_deg"):
            if not 30 <= getattr(self, key) <= 90:
                raise UserError(f"{key} must be from 30 to 90 degrees, got {getattr(self, key)}")
        if self.on_error not in ("raise", "skip"):
            raise UserError(f"on_error must be raise or skip, got {self.on_error!r}")
        check_processes(self.processes)

    def options(self) -> dict[str, Any]:
        """What decides the bytes of a person's files, as plain values."""
        return {
            "layout": "yaleb",
            "version": VERSION,
            "max_azimuth_deg": self.max_azimuth_deg,
            "max_elevation_deg": self.max_elevation_deg,
        }

    def fitted(self, session: RawSession) -> list[int]:
        """Photographs of a session whose lights take part in the fit."""
        angles = [light_angles(photo.name) for photo in session.photos]
        most = (self.max_azimuth_deg, self.max_elevation_deg)
        return [k for k, (a, e) in enumerate(angles) if abs(a) <= most[0] and abs(e) <= most[1]]


@dataclass(frozen=True)
class PeopleReport:
    """What was done.

    Attributes:
        done: People written now.
        kept: People that were there already.
        faulty: People left out.
        people: All people in the folder.
    """

    done: int
    kept: int
    faulty: int
    people: Sequence[Person]


def prepare_people(preparation: PeoplePreparation, find_face: FindFace) -> PeopleReport:
    """Write what the folder lacks.

    Args:
        preparation: What to write, and where.
        find_face: Finds points and outline of each face.

    Returns:
        What was done.

    Raises:
        UserError: If an option is out of range, people are faulty (with every fault) or the
            folder holds something else.
    """
    preparation.check()
    root, names = find_people(preparation.root.expanduser())
    out = preparation.out.expanduser()
    options = preparation.options() | {"points": getattr(find_face, "digest", "")}
    claim(root, out, options)
    sessions, faults = survey(names, partial(read_person, root))
    faults += _few_lights(sessions, preparation)
    stop_or_warn(faults, root, preparation.on_error)
    faulty = {fault.session for fault in faults}
    sessions = [session for session in sessions if session.name not in faulty]
    if not sessions:
        raise UserError(f"root={root}: every person has faults; nobody is left to prepare")
    source = source_digest(sessions)
    todo = [session for session in sessions if not _is_finished(out, session.name, source)]
    if todo:
        write_manifest(out, options, *_contents([]), complete=False)
        strengths = _strengths(out / LAMPS, source, sessions, preparation)
        work = partial(_work, preparation, find_face, strengths, source)
        written = share(work, todo, preparation.processes)
        late = [f for f in progress(written, "Preparing", len(todo)) if f is not None]
        stop_or_warn(late, root, preparation.on_error)
        faulty |= {fault.session for fault in late}
    people = [Person.read(out / s.name) for s in sessions if s.name not in faulty]
    write_manifest(out, options, *_contents(people), complete=True)
    done = len(todo) - len(faulty & {session.name for session in todo})
    return PeopleReport(done, len(sessions) - len(todo), len(faulty), people)


def source_digest(sessions: Sequence[RawSession]) -> str:
    """SHA-256 of all people together: the strengths of the lamps come from all of them."""
    text = "\n".join(f"{session.name} {session.digest}" for session in sessions)
    return hashlib.sha256(text.encode()).hexdigest()


def _few_lights(
    sessions: Sequence[RawSession], preparation: PeoplePreparation
) -> list[SessionFault]:
    """Faults of people whose lights within the limits are too few, or lie in one plane."""
    limits = f"{preparation.max_azimuth_deg:g} and {preparation.max_elevation_deg:g} degrees"
    faults = []
    for session in sessions:
        fitted = preparation.fitted(session)
        if len(fitted) < 5:
            wanted = f"5 lights or more within {limits}"
            faults.append(SessionFault(session.name, "*.pgm", wanted, str(len(fitted))))
            continue
        try:
            check_lights(torch.tensor(session.lights, dtype=torch.float64)[fitted])
        except ValueError as error:
            faults.append(SessionFault(session.name, "*.pgm", "lights from all sides", str(error)))
    return faults


def _strengths(
    path: Path, source: str, sessions: Sequence[RawSession], preparation: PeoplePreparation
) -> dict[str, float]:
    """Strengths of all lamps by the lights' names, as kept or estimated now."""
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        if kept["source"] == source:
            return dict(kept["strengths"])
    except (OSError, ValueError, KeyError, TypeError):
        pass  # not estimated yet, or by a process that was killed
    names = sorted({name for session in sessions for name in light_names(session.photos)})
    place = {name: lamp for lamp, name in enumerate(names)}
    faces = []
    for session in progress(sessions, "Reading lamps", len(sessions)):
        fitted = preparation.fitted(session)
        photos, usable = load_linear(session)
        thin = (fitted, slice(None, None, THINNED), slice(None, None, THINNED))
        lamps = [place[name] for name in light_names([session.photos[k] for k in fitted])]
        faces.append(lit_face(photos[thin], usable[thin], session, fitted, lamps))
    angles = torch.tensor([light_angles(name) for name in names])
    found = lamp_strengths(faces, flash_directions(*angles.T))
    strengths = dict(zip(names, found.tolist(), strict=True))
    text = json.dumps({"source": source, "strengths": strengths}, indent=1)
    write_atomically(path, text.encode())
    return strengths


def _work(
    preparation: PeoplePreparation,
    find_face: FindFace,
    strengths: dict[str, float],
    source: str,
    session: RawSession,
) -> SessionFault | None:
    """Prepare one person, perhaps in another process."""
    out, fitted = preparation.out.expanduser(), preparation.fitted(session)
    return prepare_person(out, find_face, strengths, source, fitted, session)


def _is_finished(out: Path, name: str, source: str) -> bool:
    """Whether a folder holds a person as made from what all people's photographs are now."""
    folder = out / name
    if not all((folder / file).is_file() for file in (PHOTOS, NORMALS, MASK, ALBEDO)):
        return False
    try:
        return Person.read(folder).source == source
    except UserError:
        return False


def _contents(people: Sequence[Person]) -> tuple[dict[str, int], dict[str, str]]:
    """Counts and notes of the manifest."""
    photos = sum(len(person.lights) for person in people)
    notes = {
        NAMES: " ".join(person.name for person in people),
        PHOTOS: "uint8 (N, H, W), linear in light, ambient light subtracted where it is known",
        NORMALS: "float16 (H, W, 3), unit vectors, x right, y up, z to the camera",
        MASK: "255: face pixels with a known normal",
        ALBEDO: "255 = 99th percentile of the albedo in the mask",
    }
    return {"people": len(people), "photographs": photos}, notes
