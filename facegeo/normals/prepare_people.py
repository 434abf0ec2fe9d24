"""Read the cropped Extended Yale B, prepare its people and compare with reference normals.

Georghiades, Belhumeur and Kriegman, "From Few to Many", PAMI 2001; cropped by Lee, Ho and
Kriegman, PAMI 2005. ``CroppedYale/yaleBNN/yaleBNN_P00A+035E-20.pgm``: person NN, frontal pose,
light at azimuth 35 and elevation -20 degrees. Frames that the publishers marked as corrupt end in
``.pgm.bad`` and are left out. ``*_Ambient.pgm`` was taken without lamps: of the size of the other
frames it is subtracted, uncropped (640 x 480) it is ignored.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import re
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any, ClassVar

import cv2
import numpy as np
import numpy.typing as npt
import torch
from pydantic import Field
from torch import Tensor
from torch.nn.functional import avg_pool2d, max_pool2d

from facegeo.checks import checked
from facegeo.errors import UserError
from facegeo.files.images import ImageError, image_size
from facegeo.files.lists import WantedError
from facegeo.files.places import Points, outline_mask
from facegeo.files.tables import Cell, Table
from facegeo.files.writing import write_whole
from facegeo.geometry.light import to_srgb
from facegeo.geometry.normals import angle_map, bulge, normalise
from facegeo.normals.maps import Bytes
from facegeo.normals.people import (
    ALBEDO,
    LIGHT,
    MASK,
    NAMES,
    NORMALS,
    PHOTOS,
    Person,
    light_angles,
    read_people,
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
from facegeo.normals.prepare import (
    Preparation,
    Report,
    Work,
    largest_part,
    white_level,
    write_session,
)
from facegeo.normals.sessions import RawSession, SessionFault, load_photos, noted, photo_size
from facegeo.rendering.photo import png_bytes

DATABASE = "CroppedYale"
PERSON = re.compile(r"yaleB\d\d")
FEWEST = 8
"""Photographs of a person, at least."""
SATURATED = 254
"""Least grey value of a saturated pixel, before ambient light is subtracted."""
UNCROPPED = (480, 640)
"""Height and width of ambient frames that were published uncropped, px."""


def find_people(root: Path) -> tuple[Path, list[str]]:
    """Find the people in ``CroppedYale`` below a folder or in the folder itself.

    Returns:
        Folder of the people and their names, sorted.

    Raises:
        UserError: If there is nobody.
    """
    folder = root / DATABASE if (root / DATABASE).is_dir() else root
    names = sorted(p.name for p in folder.glob("*/") if p.is_dir() and PERSON.fullmatch(p.name))
    if not names:
        what = "found none in it" if root.is_dir() else "there is no such folder"
        raise UserError(
            f"root={root} must be {DATABASE} or hold it, with folders yaleB01, yaleB02, ...; {what}"
        )
    return folder, names


def read_person(root: Path, name: str) -> RawSession | list[SessionFault]:
    """Read all of a person but the pixels: the session, or everything that is wrong with it."""
    folder = root / name
    ambient = folder / f"{name}_P00_Ambient.pgm"
    paths = [p for p in sorted(folder.glob("*.pgm")) if p != ambient and p.name[0] != "."]
    photos = [p for p in paths if re.fullmatch(rf"{name}_P00{LIGHT.pattern}\.pgm", p.name)]
    wanted = f"a name such as {name}_P00A+035E-20.pgm"
    others = [path.name for path in paths if path not in photos]
    faults = [SessionFault(name, other, wanted, "another") for other in others]
    if len(photos) < FEWEST:
        wanted = f"{FEWEST} photographs or more"
        faults.append(SessionFault(name, "*.pgm", wanted, str(len(photos))))
    digest = hashlib.sha256("\n".join(photo.name for photo in photos).encode())
    size = photo_size(name, photos, faults, digest.update)
    dark: Path | None = None
    if ambient.is_file():
        with noted(faults, name, ambient.name):
            data = ambient.read_bytes()
            found = image_size(data)
            if size is not None and found not in (size, UNCROPPED):
                wanted = f"{size[1]} x {size[0]} pixels, as the photographs, or 640 x 480"
                raise WantedError(wanted, f"{found[1]} x {found[0]}")
            if found == size:
                dark = ambient
                digest.update(data)
    if faults or size is None:
        return faults
    angles = torch.tensor([light_angles(photo.name) for photo in photos])
    lights = tuple((x, y, z) for x, y, z in flash_directions(*angles.T).tolist())
    return RawSession(name, folder, tuple(photos), lights, *size, None, digest.hexdigest(), dark)


def load_linear(session: RawSession) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.bool_]]:
    """Decode the photographs of a person and subtract the ambient one, if there is one.

    Returns:
        Grey values, linear in light, and which of them are not saturated, (N, H, W) each.

    Raises:
        ImageError: If a file is damaged where its header did not show it.
    """
    photos = load_photos(session.photos)[..., 0]
    usable = photos < SATURATED
    if session.ambient is None:
        return photos, usable
    dark = load_photos([session.ambient])[0, ..., 0]
    return np.asarray(photos - np.minimum(photos, dark), np.uint8), usable


def light_names(photos: Sequence[Path]) -> list[str]:
    """Names of the lights of photographs, such as ``A+035E-20``."""
    return [photo.stem.partition("_P00")[2] for photo in photos]


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


def _prepare_person(
    out: Path,
    find_face: FindFace,
    strengths: Mapping[str, float],
    sources: Mapping[str, str],
    fitted: Mapping[str, Sequence[int]],
    session: RawSession,
) -> SessionFault | None:
    """Compute and write one person; return the fault of a file whose header looked valid.

    Args:
        out: Folder of the prepared people.
        find_face: Finds points and outline of the face.
        strengths: Of the lamps, by their names.
        sources: Digest of the data that each person is made from, by name.
        fitted: Photographs that take part in the fit, by the person's name.
        session: The person's photographs.
    """
    try:
        photos, usable = load_linear(session)
    except ImageError as error:
        return SessionFault(session.name, "*.pgm", "readable images", str(error))
    names, chosen = light_names(session.photos), fitted[session.name]
    images = torch.from_numpy(photos[chosen]).float() / 255
    strength = torch.tensor([strengths[name] for name in names], dtype=torch.float64)
    lights = torch.tensor(session.lights, dtype=torch.float64) * strength[:, None]
    surface = robust(images, lights[chosen], torch.from_numpy(usable[chosen]))
    points, outline = find_face(_well_lit(photos, names))
    mask = face_mask(surface, outline)
    if not mask.any():
        return SessionFault(session.name, "*.pgm", "a face", "no pixel that the lights reach")
    person = Person(
        name=session.name,
        source=sources[session.name],
        lights=tuple(names),
        directions=session.lights,
        strengths=tuple(strength.tolist()),
        points=tuple((float(x), float(y)) for x, y in points),
        bulge=bulge(surface.normals, mask),
    )
    white = max(white_level(surface.albedo[mask[0]]), 1e-6)
    albedo = (surface.albedo / white).clamp(0, 1) * 255
    files = {
        PHOTOS: _npy(photos),
        NORMALS: _npy(surface.normals.permute(1, 2, 0).to(torch.float16).numpy()),
        MASK: png_bytes(mask[0].to(torch.uint8).numpy() * np.uint8(255)),
        ALBEDO: png_bytes(albedo.round().to(torch.uint8).numpy()),
    }
    write_session(out / session.name, files, person)
    return None


def _well_lit(photos: Bytes, names: Sequence[str]) -> list[Bytes]:
    """Photographs lit from the front, as sRGB; all if there are none."""
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
    closed = cv2.morphologyEx(pixels, cv2.MORPH_CLOSE, kernel)
    opened: npt.NDArray[Any] = cv2.morphologyEx(closed, cv2.MORPH_OPEN, kernel)
    mean = avg_pool2d(surface.normals, WINDOW_PX, 1, WINDOW_PX // 2, count_include_pad=False)
    agreement = (normalise(mean) * surface.normals).sum(0, keepdim=True)
    rough = max_pool2d((agreement < math.cos(math.radians(ROUGH_DEG))).float(), 3, 1, 1) > 0
    part = largest_part(torch.from_numpy(opened > 0)[None])
    return part & torch.from_numpy(inside) & ~rough


def _npy(values: npt.NDArray[Any]) -> bytes:
    file = io.BytesIO()
    np.save(file, np.ascontiguousarray(values), allow_pickle=False)
    return file.getvalue()


VERSION = 3  # raise it whenever the same photographs give other files
LAMPS = "lamps.json"
THINNED = 3
"""The strengths are estimated from every third row and column."""


COLUMNS = ("", "lights", "mean deg", "median deg", "mask %")
NOTE = (
    "lights = photographs; angles between the normals made here and the reference, inside the "
    "reference's mask_reliable; mask = share of mask_reliable that the mask made here covers; "
    "mean = mean over people."
)
LimitDeg = Annotated[float, Field(ge=30, le=90)]


@checked(prefix="")
@dataclass(frozen=True, kw_only=True)
class PeoplePreparation(Preparation[Person]):
    """Preparation of ``CroppedYale``.

    Attributes:
        find_face: Finds points and outline of each face.
        max_azimuth_deg: Lights farther to the side do not take part in the fit.
        max_elevation_deg: Lights higher or lower do not take part in the fit.
        reference: Folder of ``<name>.npz`` to compare with, see ``read_references``.
    """

    things: ClassVar[str] = "people"
    kind = Person
    find_face: FindFace
    max_azimuth_deg: LimitDeg = 85.0
    max_elevation_deg: LimitDeg = 75.0
    reference: Path | None = None

    def options(self) -> dict[str, Any]:
        """Options that decide the bytes of a person's files, with the digest of ``find_face``."""
        return {
            "layout": "yaleb",
            "version": VERSION,
            "max_azimuth_deg": self.max_azimuth_deg,
            "max_elevation_deg": self.max_elevation_deg,
            "points": getattr(self.find_face, "digest", ""),
        }

    def find(self) -> tuple[Path, list[str]]:
        """Find the folder of the people and their names."""
        if self.reference is not None and not self.reference.is_dir():
            raise UserError(f"reference={self.reference}: no such folder")
        return find_people(self.root.expanduser())

    def read(self, root: Path, name: str) -> RawSession | list[SessionFault]:
        """Read all of a person but the pixels; too few lights are a fault."""
        session = read_person(root, name)
        if not isinstance(session, RawSession):
            return session
        fitted = self.fitted(session)
        if len(fitted) < 5:
            limits = f"{self.max_azimuth_deg:g} and {self.max_elevation_deg:g} degrees"
            wanted = f"5 lights or more within {limits}"
            return [SessionFault(name, "*.pgm", wanted, str(len(fitted)))]
        try:
            check_lights(torch.tensor(session.lights, dtype=torch.float64)[fitted])
        except ValueError as error:
            return [SessionFault(name, "*.pgm", "lights from all sides", str(error))]
        return session

    def fitted(self, session: RawSession) -> list[int]:
        """Photographs of a session whose lights take part in the fit."""
        angles = [light_angles(photo.name) for photo in session.photos]
        most = (self.max_azimuth_deg, self.max_elevation_deg)
        return [k for k, (a, e) in enumerate(angles) if abs(a) <= most[0] and abs(e) <= most[1]]

    def sources(self, sessions: Sequence[RawSession]) -> dict[str, str]:
        """The same digest for everybody: the strengths of the lamps come from all people."""
        text = "\n".join(f"{session.name} {session.digest}" for session in sessions)
        digest = hashlib.sha256(text.encode()).hexdigest()
        return dict.fromkeys((session.name for session in sessions), digest)

    def work(self, out: Path, sessions: Sequence[RawSession]) -> Work:
        """Estimate the strengths of the lamps; return the work on one person."""
        fitted = {session.name: self.fitted(session) for session in sessions}
        sources = self.sources(sessions)
        strengths = _strengths(out / LAMPS, sources[sessions[0].name], sessions, fitted)
        return partial(_prepare_person, out, self.find_face, strengths, sources, fitted)

    def contents(self, records: Sequence[Person]) -> tuple[dict[str, int], dict[str, str]]:
        """Counts and notes of the manifest."""
        photos = sum(len(person.lights) for person in records)
        notes = {
            NAMES: " ".join(person.name for person in records),
            PHOTOS: "uint8 (N, H, W), linear in light, ambient light subtracted where it is known",
            NORMALS: "float16 (H, W, 3), unit vectors, x right, y up, z to the camera",
            MASK: "255: face pixels with a known normal",
            ALBEDO: "255 = 99th percentile of the albedo in the mask",
        }
        return {"people": len(records), "photographs": photos}, notes

    def table(self, report: Report[Person], title: str) -> Table:
        """Tabulate the people of the folder: a row for each, and their mean.

        Raises:
            UserError: If a reference is missing or of another size.
        """
        done = (
            f"{report.done} people prepared now, {report.kept} finished before, "
            f"{report.faulty} left out."
        )
        if self.reference is None:
            rows = tuple((person.name, len(person.lights)) for person in report.records)
            return Table(title=title, columns=COLUMNS[:2], rows=rows, note=done)
        people = read_people(self.out.expanduser())
        truths = read_references(self.reference, people.names, people.normals.shape[2:])
        cells: list[tuple[Cell, ...]] = []
        for row, (truth, reliable) in enumerate(truths):
            angles = angle_map(people.normals[row].float(), truth)[reliable]
            covered = 100 * float(people.masks[row][reliable].float().mean())
            person = people.records[row]
            angle_deg = float(angles.mean()), float(angles.median())
            cells.append((person.name, len(person.lights), *angle_deg, covered))
        means = (statistics.fmean(float(row[k] or 0) for row in cells) for k in (2, 3, 4))
        return Table(title, COLUMNS, (*cells, ("mean", None, *means)), f"{done} {NOTE}")


def _strengths(
    path: Path,
    source: str,
    sessions: Sequence[RawSession],
    fitted: Mapping[str, Sequence[int]],
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
    for session in sessions:
        own = fitted[session.name]
        pixels, usable = (
            torch.from_numpy(np.ascontiguousarray(values[own][:, ::THINNED, ::THINNED]))
            for values in load_linear(session)
        )
        lights = torch.tensor(session.lights, dtype=torch.float64)[own]
        lamps = [place[name] for name in light_names([session.photos[k] for k in own])]
        faces.append(LitFace(pixels.float() / 255, lights, torch.tensor(lamps), usable))
    angles = torch.tensor([light_angles(name) for name in names])
    found = lamp_strengths(faces, flash_directions(*angles.T))
    strengths = dict(zip(names, found.tolist(), strict=True))
    text = json.dumps({"source": source, "strengths": strengths}, indent=1)
    write_whole(path, text)
    return strengths
