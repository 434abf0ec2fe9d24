"""From photographs of people under many lights, one at a time, to normals, albedo and masks."""

from __future__ import annotations

import hashlib
import io
import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from facegeo.data.cropped_yale import (
    find_people,
    light_angles,
    light_names,
    load_linear,
    read_person,
)
from facegeo.data.face_outline import Points, outline_mask
from facegeo.data.image_file import ImageError
from facegeo.data.people import ALBEDO, MASK, NORMALS, PHOTOS, Person
from facegeo.data.raw_session import RawSession, SessionFault
from facegeo.errors import UserError
from facegeo.geometry.lamp_strengths import LitFace, lamp_strengths
from facegeo.geometry.lamps import flash_directions
from facegeo.geometry.light import to_srgb
from facegeo.geometry.normals import bulge
from facegeo.geometry.photometric_stereo import Surface, robust
from facegeo.procedures.prepared_folder import claim, write_manifest
from facegeo.procedures.session_work import progress, share, stop_or_warn, survey
from facegeo.synthetic.manifest import write_atomically
from facegeo.synthetic.order import check_processes
from facegeo.synthetic.photo import png_bytes

FRAMES_VERSION = 1
"""Raised whenever the same photographs give other files."""
LAMPS = "lamps.json"
SATURATED = 254
"""Least grey value of a saturated pixel."""
THINNED = 3
"""The strengths are estimated from every third row and column."""
ALBEDO_WHITE = 0.99
"""Quantile of the face's albedo that is stored as 255."""
WELL_LIT = (25, 20)
"""Largest azimuth and elevation of the lights whose photographs show the points, degrees."""
STEADY = 0.35
"""Least share of the fitted photographs that agree with the surface at a pixel of the mask."""
STEEPEST = 0.17
"""Least z of a normal of the mask."""

FindFace = Callable[[Sequence[npt.NDArray[np.uint8]]], tuple[Points, Points]]
"""Maps well-lit sRGB photographs (H, W, 3) of one face to its five points and its outline, px."""
log = logging.getLogger(__name__)


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
            "version": FRAMES_VERSION,
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
    claim(root, out, preparation.options())
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
        write_manifest(out, preparation.options(), *_contents([]), complete=False)
        strengths = _strengths(out / LAMPS, source, sessions, preparation)
        work = partial(_prepare_person, preparation, find_face, strengths, source)
        written = share(work, todo, preparation.processes)
        late = [f for f in progress(written, "Preparing", len(todo)) if f is not None]
        stop_or_warn(late, root, preparation.on_error)
        faulty |= {fault.session for fault in late}
    people = [Person.read(out / s.name) for s in sessions if s.name not in faulty]
    write_manifest(out, preparation.options(), *_contents(people), complete=True)
    done = len(todo) - len(faulty & {session.name for session in todo})
    return PeopleReport(done, len(sessions) - len(todo), len(faulty), people)


def source_digest(sessions: Sequence[RawSession]) -> str:
    """SHA-256 of all people together: the strengths of the lamps come from all of them."""
    text = "\n".join(f"{session.name} {session.digest}" for session in sessions)
    return hashlib.sha256(text.encode()).hexdigest()


def _few_lights(
    sessions: Sequence[RawSession], preparation: PeoplePreparation
) -> list[SessionFault]:
    """Faults of people with too few photographs whose light the fit can use."""
    limits = f"{preparation.max_azimuth_deg:g} and {preparation.max_elevation_deg:g} degrees"
    return [
        SessionFault(session.name, "*.pgm", f"5 lights or more within {limits}", str(len(fitted)))
        for session in sessions
        if len(fitted := preparation.fitted(session)) < 5
    ]


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
        photos = load_linear(session)[fitted, ::THINNED, ::THINNED]
        lamps = [place[name] for name in light_names([session.photos[k] for k in fitted])]
        faces.append(_lit_face(photos, session, fitted, lamps))
    angles = torch.tensor([light_angles(name) for name in names])
    found = lamp_strengths(faces, flash_directions(*angles.T))
    strengths = dict(zip(names, found.tolist(), strict=True))
    text = json.dumps({"source": source, "strengths": strengths}, indent=1)
    write_atomically(path, text.encode())
    return strengths


def _lit_face(
    photos: npt.NDArray[np.uint8], session: RawSession, fitted: list[int], lamps: list[int]
) -> LitFace:
    pixels = torch.from_numpy(np.ascontiguousarray(photos))
    lights = torch.tensor(session.lights, dtype=torch.float64)[fitted]
    return LitFace(pixels.float() / 255, lights, torch.tensor(lamps), pixels < SATURATED)


def _prepare_person(
    preparation: PeoplePreparation,
    find_face: FindFace,
    strengths: dict[str, float],
    source: str,
    session: RawSession,
) -> SessionFault | None:
    """Compute and write one person; return what is wrong with a file that looked whole."""
    try:
        photos = load_linear(session)
    except ImageError as error:
        return SessionFault(session.name, "*.pgm", "readable images", str(error))
    fitted, names = preparation.fitted(session), light_names(session.photos)
    face = _lit_face(photos[fitted], session, fitted, fitted)
    strength = torch.tensor([strengths[name] for name in names], dtype=torch.float64)
    surface = robust(face.images, face.lights * strength[fitted, None], face.usable)
    points, outline = find_face(_well_lit(photos, names))
    mask = face_mask(surface, outline)
    if not mask.any():
        return SessionFault(session.name, "*.pgm", "a face", "no pixel that the lights reach")
    person = Person(
        name=session.name,
        source=source,
        lights=tuple(names),
        directions=session.lights,
        strengths=tuple(strength.tolist()),
        points=tuple((float(x), float(y)) for x, y in points),
        bulge=bulge(surface.normals, mask),
    )
    _write(preparation.out.expanduser() / session.name, person, photos, surface, mask)
    return None


def _well_lit(photos: npt.NDArray[np.uint8], names: Sequence[str]) -> list[npt.NDArray[np.uint8]]:
    """Photographs lit from the front, as sRGB; all if there is none."""
    angles = np.abs([light_angles(name) for name in names])
    chosen = (angles <= WELL_LIT).all(axis=1)
    light = torch.from_numpy(photos[chosen] if chosen.any() else photos).float() / 255
    coded = (to_srgb(light) * 255).round().to(torch.uint8)[..., None].expand(-1, -1, -1, 3)
    return list(coded.numpy())


def face_mask(surface: Surface, outline: Points) -> Tensor:
    """Pixels of a face whose normal is known: no hair, no background, nothing unsteady.

    Args:
        surface: Of the photographs that were fitted.
        outline: Points whose hull is the face, px, (K, 2).

    Returns:
        The largest connected part, without specks and with small holes filled, bool, (1, H, W).
    """
    height, width = surface.albedo.shape
    side = max(height, width)
    inside = outline_mask(outline, 0, 0, side)[:height, :width]
    steady = surface.lit.float().mean(0) >= STEADY
    seen = surface.valid & steady & (surface.normals[2] >= STEEPEST)
    pixels = (seen.numpy() & inside).astype(np.uint8)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5))
    pixels = cv2.morphologyEx(
        cv2.morphologyEx(pixels, cv2.MORPH_CLOSE, kernel), cv2.MORPH_OPEN, kernel
    )
    _, parts, sizes, _ = cv2.connectedComponentsWithStats(pixels)
    sizes[0] = 0  # what is not in the mask
    largest = (parts == sizes[:, cv2.CC_STAT_AREA].argmax()) & (pixels > 0) & inside
    return torch.from_numpy(largest)[None]


def _write(
    folder: Path, person: Person, photos: npt.NDArray[np.uint8], surface: Surface, mask: Tensor
) -> None:
    """Write photographs, normals, mask and albedo, then the record."""
    white = max(float(np.quantile(surface.albedo[mask[0]].numpy(), ALBEDO_WHITE)), 1e-6)
    albedo = (surface.albedo / white).clamp(0, 1) * 255
    normals = surface.normals.permute(1, 2, 0).to(torch.float16)
    write_atomically(folder / PHOTOS, _npy(photos))
    write_atomically(folder / NORMALS, _npy(normals.numpy()))
    write_atomically(folder / MASK, png_bytes(mask[0].to(torch.uint8).numpy() * np.uint8(255)))
    write_atomically(folder / ALBEDO, png_bytes(albedo.round().to(torch.uint8).numpy()))
    person.write(folder)


def _npy(values: npt.NDArray[Any]) -> bytes:
    file = io.BytesIO()
    np.save(file, np.ascontiguousarray(values), allow_pickle=False)
    return file.getvalue()


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
        PHOTOS: "uint8 (N, H, W), linear in light, ambient light subtracted where it is known",
        NORMALS: "float16 (H, W, 3), unit vectors, x right, y up, z to the camera",
        MASK: "255: face pixels with a known normal",
        ALBEDO: "255 = 99th percentile of the albedo in the mask",
    }
    return {"people": len(people), "photographs": photos}, notes
