"""Prepare people under many lamps and compare with reference normals."""

from __future__ import annotations

import hashlib
import io
import json
import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, max_pool2d

from facegeo.errors import UserError
from facegeo.files.images import ImageError
from facegeo.files.places import Points, outline_mask
from facegeo.files.tables import Cell, Table
from facegeo.files.writing import write_whole
from facegeo.geometry.light import to_srgb
from facegeo.geometry.normals import angle_map, bulge, normalise
from facegeo.normals.maps import Bytes
from facegeo.normals.people import (
    ALBEDO,
    MASK,
    NAMES,
    NORMALS,
    PHOTOS,
    Person,
    find_people,
    light_angles,
    light_names,
    load_linear,
    read_people,
    read_person,
    read_references,
)
from facegeo.normals.photometric_stereo import (
    LitFace,
    Surface,
    check_lights,
    flash_directions,
    lamp_strengths,
    robust,
)
from facegeo.normals.prepare import claim, progress, share, stop_or_warn, survey, write_manifest
from facegeo.normals.sessions import RawSession, SessionFault
from facegeo.rendering.order import check_processes
from facegeo.rendering.photo import png_bytes

ALBEDO_WHITE = 0.99
"""Quantile of the face's albedo that is stored as 255."""
WELL_LIT = (25, 20)
"""Largest azimuth and elevation of the lights whose photographs show the points, degrees."""
STEADY = 0.35
"""Least share of the fitted photographs that agree with the surface at a pixel of the mask."""
STEEPEST = 0.17
"""Least z of a normal of the mask."""
ROUGH_DEG, WINDOW_PX = 20.0, 7
"""A pixel whose normal turns farther from the mean normal of its window is hair, an eye's glint or
a nostril; its neighbours leave the mask with it."""
FindFace = Callable[[Sequence[Bytes]], tuple[Points, Points]]
"""Maps well-lit sRGB photographs (H, W, 3) of one face to its five points and its outline, px."""


def prepare_person(
    out: Path,
    find_face: FindFace,
    strengths: Mapping[str, float],
    source: str,
    fitted: Sequence[int],
    session: RawSession,
) -> SessionFault | None:
    """Compute and write one person.

    Args:
        out: Folder of the prepared people.
        find_face: Finds points and outline of the face.
        strengths: Of the lamps, by their names.
        source: Digest of what the person is made from.
        fitted: Photographs that take part in the fit.
        session: The photographs.

    Returns:
        None, or what is wrong with a file that looked whole.
    """
    try:
        photos, usable = load_linear(session)
    except ImageError as error:
        return SessionFault(session.name, "*.pgm", "readable images", str(error))
    names = light_names(session.photos)
    face = lit_face(photos[fitted], usable[fitted], session, fitted, fitted)
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
    _write(out / session.name, person, photos, surface, mask)
    return None


def lit_face(
    photos: Bytes,
    usable: npt.NDArray[np.bool_],
    session: RawSession,
    fitted: Sequence[int],
    lamps: Sequence[int],
) -> LitFace:
    """Return the photographs of a session that take part in the fit.

    Args:
        photos: Their grey values, linear in light, uint8, (N, H, W).
        usable: Which of them are not saturated, (N, H, W).
        session: All of the session.
        fitted: Which of its photographs these are, N.
        lamps: The lamp of each, N.
    """
    pixels = torch.from_numpy(np.ascontiguousarray(photos))
    lights = torch.tensor(session.lights, dtype=torch.float64)[fitted]
    unsaturated = torch.from_numpy(np.ascontiguousarray(usable))
    return LitFace(pixels.float() / 255, lights, torch.tensor(lamps), unsaturated)


def _well_lit(photos: Bytes, names: Sequence[str]) -> list[Bytes]:
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
        The largest connected part, without hair, glints and nostrils, bool, (1, H, W).
    """
    height, width = surface.albedo.shape
    side = max(height, width)
    inside = outline_mask(outline, 0, 0, side)[:height, :width]
    steady = surface.lit.float().mean(0) >= STEADY
    seen = surface.valid & steady & (surface.normals[2] >= STEEPEST)
    pixels: npt.NDArray[Any] = (seen.numpy() & inside).astype(np.uint8)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5))
    pixels = cv2.morphologyEx(
        cv2.morphologyEx(pixels, cv2.MORPH_CLOSE, kernel), cv2.MORPH_OPEN, kernel
    )
    _, parts, sizes, _ = cv2.connectedComponentsWithStats(pixels)
    sizes[0] = 0  # what is not in the mask
    largest = (parts == sizes[:, cv2.CC_STAT_AREA].argmax()) & (pixels > 0) & inside
    return torch.from_numpy(largest)[None] & ~_rough(surface.normals)


def _rough(normals: Tensor) -> Tensor:
    """Pixels of normals (3, H, W) that differ from those about them, and their neighbours."""
    mean = avg_pool2d(normals, WINDOW_PX, 1, WINDOW_PX // 2, count_include_pad=False)
    apart = (normalise(mean) * normals).sum(0, keepdim=True) < math.cos(math.radians(ROUGH_DEG))
    return max_pool2d(apart.float(), 3, 1, 1) > 0


def _write(folder: Path, person: Person, photos: Bytes, surface: Surface, mask: Tensor) -> None:
    """Write photographs, normals, mask and albedo, then the record."""
    white = max(float(np.quantile(surface.albedo[mask[0]].numpy(), ALBEDO_WHITE)), 1e-6)
    albedo = (surface.albedo / white).clamp(0, 1) * 255
    normals = surface.normals.permute(1, 2, 0).to(torch.float16)
    write_whole(folder / PHOTOS, _npy(photos))
    write_whole(folder / NORMALS, _npy(normals.numpy()))
    write_whole(folder / MASK, png_bytes(mask[0].to(torch.uint8).numpy() * np.uint8(255)))
    write_whole(folder / ALBEDO, png_bytes(albedo.round().to(torch.uint8).numpy()))
    person.write(folder)


def _npy(values: npt.NDArray[Any]) -> bytes:
    file = io.BytesIO()
    np.save(file, np.ascontiguousarray(values), allow_pickle=False)
    return file.getvalue()


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
    write_whole(path, text)
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
