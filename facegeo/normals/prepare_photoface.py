"""Raw Photoface-like sessions, four flashes each, become the layout that training reads."""

from __future__ import annotations

import logging
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from facegeo.checks import checked
from facegeo.files.images import ImageError
from facegeo.files.lists import WantedError
from facegeo.files.places import crop_square, outline_mask
from facegeo.files.tables import Table
from facegeo.files.writing import write_whole
from facegeo.geometry.light import directional_shading
from facegeo.geometry.normals import LIKE_A_FACE, angle_map, bulge, encode, from_frame, to_frame
from facegeo.normals.lists import SESSION_MASK, SESSION_NORMAL
from facegeo.normals.maps import Bytes, Frame, read_mask, read_normals
from facegeo.normals.photometric_stereo import DARK, Surface, colour_albedo, least_squares, robust
from facegeo.normals.prepare import (
    Preparation,
    Record,
    Report,
    Work,
    largest_part,
    white_level,
    write_session,
)
from facegeo.normals.sessions import (
    PHOTOS,
    RawSession,
    Reading,
    SessionFault,
    find_sessions,
    load_photos,
    read_session,
)
from facegeo.rendering.photo import png_bytes

FACES = tuple(f"im{k}_c.png" for k in range(PHOTOS))
ALBEDO, LIST = "albedo_c.png", "faces.csv"
BRIGHT = 0.1
"""Without points and mask, the face is where the albedo exceeds this share of its white level."""
TRUTH_ROWS = {
    "mean": "mean angle to the session's own normals, deg",
    "median": "median of it",
    "plain_mean": "the same by plain least squares: mean",
    "plain_median": "median",
    "kept_mean": "mean angle at the pixels that are kept, deg",
}
"""Angles to the normal map that a session already has: over the pixels of its own mask, and
``kept_mean`` over those that the new mask keeps."""
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Prepared(Record):
    """Record of a finished session, ``<subject>/<session>``.

    Attributes:
        square: Left column, top row and side of the crop, px of the photographs.
        shadow: Share of the face's pixels that at least one light does not reach.
        unsure: Share of the face's pixels that fewer than three lights reach.
        bulge: How similar the normals are to those of a convex face, -1 to 1, see ``bulge``.
        truth: Angles to the session's own normal map, if it has one, by ``TRUTH_ROWS``.
    """

    square: tuple[int, int, int]
    shadow: float
    unsure: float
    bulge: float
    truth: dict[str, float] | None

    def files(self) -> list[str]:
        """Names of the session's images."""
        return [*FACES, SESSION_NORMAL, SESSION_MASK, ALBEDO]


@checked(prefix="")
@dataclass(frozen=True, kw_only=True)
class PhotofacePreparation(Preparation[Prepared]):
    """Preparation of ``PhotofaceDB``, or of any folder ``<subject>/<session>``.

    Attributes:
        reading: How to read lights and points.
        frame: Axes of the normals written.
        source_frame: Axes of a normal map that a session already has, to compare with.
    """

    things: ClassVar[str] = "sessions"
    kind = Prepared
    reading: Reading = field(default_factory=Reading)
    frame: Frame = "down_right_camera"
    source_frame: Frame = "down_right_camera"

    def options(self) -> dict[str, Any]:
        """Options that decide the bytes of a session, as plain values."""
        return {**asdict(self.reading), "frame": self.frame, "source_frame": self.source_frame}

    def find(self) -> tuple[Path, list[str]]:
        """Find the folder of the subjects and the names of their sessions."""
        return find_sessions(self.root.expanduser())

    def read(self, root: Path, name: str) -> RawSession | list[SessionFault]:
        """Read all of a session but its pixels."""
        return read_session(root, name, self.reading)

    def work(self, out: Path, sessions: Sequence[RawSession]) -> Work:
        """Return the work on one session."""
        return partial(_prepare_session, out, self.frame, self.source_frame)

    def contents(self, records: Sequence[Prepared]) -> tuple[dict[str, int], dict[str, str]]:
        """Counts and notes of the manifest."""
        notes = {
            "normals": f"channels: {self.frame}; colour = (n + 1) / 2 * 255; white: no face",
            "mask": "hull of the points; without points: where three lights or more reach the "
            "session's own mask or, without one, the largest bright surface",
            "albedo": "1 = its 99th percentile in the session's mask",
        }
        return {"sessions": len(records), "faces": len(FACES) * len(records)}, notes

    def finish(self, out: Path, records: Sequence[Prepared]) -> None:
        """Write ``faces.csv``, one column ``face``; warn if the faces do not bulge."""
        faces = [f"{record.name}/{face}" for record in records for face in FACES]
        write_whole(out / LIST, "".join(f"{line}\n" for line in ["face", *faces]))
        middle = _median(records, "bulge") if records else 1.0
        if middle < LIKE_A_FACE:  # no residual shows this mistake
            log.warning(
                "the normals do not look like those of faces (correlation with a ball %.2f, want "
                "%g): azimuths may count from another axis; try lights_frame other than %s",
                middle,
                LIKE_A_FACE,
                self.reading.lights_frame,
            )

    def table(self, report: Report[Prepared], title: str) -> Table:
        """Tabulate a report."""
        records = report.records
        rows: list[tuple[str, float | int]] = [
            ("sessions prepared now", report.done),
            ("sessions finished before", report.kept),
            ("sessions left out", report.faulty),
        ]
        note = f"Shares are medians over {len(records)} sessions."
        if records:
            rows += [
                ("face pixels that a light misses, %", 100 * _median(records, "shadow")),
                ("face pixels that fewer than three reach, %", 100 * _median(records, "unsure")),
            ]
        if truths := [record.truth for record in records if record.truth is not None]:
            for key, text in TRUTH_ROWS.items():
                rows.append((text, statistics.fmean(truth[key] for truth in truths)))
            note += (
                f" Angles to the sessions' own normal maps are means over {len(truths)} sessions."
            )
        return Table(title=title, columns=("", "value"), rows=tuple(rows), note=note)


def _median(records: Sequence[Prepared], key: str) -> float:
    return float(statistics.median(getattr(record, key) for record in records))


def _prepare_session(
    out: Path, frame: str, source_frame: str, session: RawSession
) -> SessionFault | None:
    """Compute and write one session; return the fault of a file whose header looked valid."""
    try:
        photos = load_photos(session.photos)
        target, own_mask = _own_maps(session, source_frame)
    except ImageError as error:
        return SessionFault(session.name, "im*", "readable images", str(error))
    except WantedError as error:
        files = f"{SESSION_NORMAL}, {SESSION_MASK}"
        return SessionFault(session.name, files, error.wanted, error.got)
    square = 0, 0, session.height
    if session.outline is not None:
        square = crop_square(session.outline, session.height, session.width)
    left, top, side = square
    window = (slice(None), slice(top, top + side), slice(left, left + side))
    photos = np.ascontiguousarray(photos[window])
    colour = torch.from_numpy(photos).permute(0, 3, 1, 2).float() / 255
    grey, lights = colour.mean(1), torch.tensor(session.lights, dtype=torch.float64)
    surface = robust(grey, lights)
    face = _face(session, surface, None if own_mask is None else own_mask[window], square)
    mask = face
    if session.outline is None:
        mask = largest_part(face & surface.valid)
    if not mask.any():
        return SessionFault(session.name, "im*", "a face", "no pixel that three lights reach")
    truth = None
    if target is not None and own_mask is not None:
        plain = least_squares(grey, lights)
        truth = _compare(target[window], own_mask[window], mask, surface, plain)
    shadow, unsure = _shares(grey, lights, surface, face)
    round_ = bulge(surface.normals, mask)
    record = Prepared(session.name, session.digest, square, shadow, unsure, round_, truth)
    albedo = colour_albedo(colour, lights, surface)
    _write(out / session.name, record, photos, to_frame(surface.normals, frame), mask, albedo)
    return None


def _write(
    folder: Path, record: Prepared, photos: Bytes, normals: Tensor, mask: Tensor, albedo: Tensor
) -> None:
    """Write the images, then the record."""
    brightest = max(white_level(albedo[mask.expand_as(albedo)]), 1e-6)
    shown = (albedo * mask / brightest).clamp(0, 1) * 255
    pictures = [
        *photos,
        encode(normals, mask).permute(1, 2, 0).numpy(),
        mask[0].to(torch.uint8).numpy() * np.uint8(255),
        shown.round().to(torch.uint8).permute(1, 2, 0).numpy(),
    ]
    files = dict(zip(record.files(), map(png_bytes, pictures), strict=True))
    write_session(folder, files, record)


def _face(
    session: RawSession, surface: Surface, own: Tensor | None, square: tuple[int, int, int]
) -> Tensor:
    """Face pixels, bool, (1, S, S): hull of the points; without points the session's own mask.

    Without either, the largest piece of bright surface that three lights reach.
    """
    if session.outline is not None:
        return torch.from_numpy(outline_mask(session.outline, *square))[None]
    if own is not None:
        return own
    bright = surface.albedo > BRIGHT * white_level(surface.albedo)
    return largest_part((surface.valid & bright)[None])


def _own_maps(session: RawSession, frame: str) -> tuple[Tensor | None, Tensor | None]:
    """Our normals (3, H, W) and mask (1, H, W) that the session already has, if any."""
    normals = mask = None
    if (file := session.folder / SESSION_MASK).is_file():
        mask = torch.from_numpy(read_mask(file.read_bytes()))[None]
    if (file := session.folder / SESSION_NORMAL).is_file():
        stored = torch.from_numpy(read_normals(file.read_bytes())).permute(2, 0, 1)
        normals = from_frame(stored, frame)
    for found in (normals, mask):
        if found is not None and found.shape[1:] != (session.height, session.width):
            wanted = f"the photographs' size, {session.width} x {session.height}"
            raise WantedError(wanted, f"{found.shape[2]} x {found.shape[1]}")
    return normals, mask


def _compare(
    target: Tensor, inside: Tensor, mask: Tensor, surface: Surface, plain: Surface
) -> dict[str, float] | None:
    robust_deg, plain_deg = (angle_map(fit.normals, target) for fit in (surface, plain))
    known = inside & robust_deg.isfinite() & plain_deg.isfinite()
    if not (known & mask).any():
        return None
    return {
        "mean": float(robust_deg[known].mean()),
        "median": float(robust_deg[known].median()),
        "plain_mean": float(plain_deg[known].mean()),
        "plain_median": float(plain_deg[known].median()),
        "kept_mean": float(robust_deg[known & mask].mean()),
    }


def _shares(grey: Tensor, lights: Tensor, surface: Surface, face: Tensor) -> tuple[float, float]:
    """Shares of the face's pixels in the shadow of some light, and lit by fewer than three."""
    shading = directional_shading(surface.normals, lights.float())
    expected = surface.albedo * shading.clamp_min(DARK)
    shadow = (~surface.lit & (grey <= expected)).any(0)[face[0]]
    unsure = (surface.lit.sum(0) < 3)[face[0]]
    return float(shadow.float().mean()), float(unsure.float().mean())
