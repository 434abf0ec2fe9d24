"""Normals of raw sessions by photometric stereo, and the folder they are written to."""

from __future__ import annotations

import json
import logging
import multiprocessing
import platform
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal, TypeVar

import cv2
import numpy as np
import torch
from rich.console import Console
from rich.progress import track
from torch import Tensor

from facegeo import __version__
from facegeo.errors import UserError
from facegeo.files.faults import WantedError
from facegeo.files.images import ImageError
from facegeo.files.places import crop_square, outline_mask
from facegeo.files.writing import write_whole
from facegeo.geometry.light import directional_shading
from facegeo.geometry.normals import angle_map, bulge, encode, from_frame, to_frame
from facegeo.normals.lists import SESSION_MASK, SESSION_NORMAL
from facegeo.normals.maps import Bytes, read_mask, read_normals
from facegeo.normals.photometric_stereo import DARK, Surface, colour_albedo, least_squares, robust
from facegeo.normals.sessions import RawSession, SessionFault, load_photos
from facegeo.rendering.order import check_processes
from facegeo.rendering.photo import png_bytes

RECORD, FACE, ALBEDO = "prepared.json", "im{}_c.png", "albedo_c.png"
ALBEDO_WHITE = 0.99
"""Quantile of the face's albedo that is stored as 255."""
BRIGHT = 0.1
"""Without points and mask, the face is where the albedo exceeds this share of that quantile."""


@dataclass(frozen=True)
class Truth:
    """Angles to the normal map that a session already had, in degrees.

    Attributes:
        mean: Robust fit, mean over the pixels of the session's own mask.
        median: The same, median.
        plain_mean: Plain least squares, mean.
        plain_median: The same, median.
        kept_mean: Robust fit, mean over the pixels that the new mask keeps.
    """

    mean: float
    median: float
    plain_mean: float
    plain_median: float
    kept_mean: float


@dataclass(frozen=True)
class Prepared:
    """Record of a finished session; written last.

    Attributes:
        name: ``<subject>/<session>``.
        source: Digest of what it was made from.
        square: Left column, top row and side of the crop, px of the photographs.
        shadow: Share of the face's pixels that at least one light does not reach.
        unsure: Share of the face's pixels that fewer than three lights reach.
        bulge: How much the normals look like those of a convex face, -1 to 1, see ``bulge``.
        truth: Comparison with the session's own normal map, if it has one.
    """

    name: str
    source: str
    square: tuple[int, int, int]
    shadow: float
    unsure: float
    bulge: float
    truth: Truth | None

    @staticmethod
    def read(folder: Path) -> Prepared | None:
        """Read the record of a folder; None if the session is unfinished."""
        try:
            values = json.loads((folder / RECORD).read_text(encoding="utf-8"))
            truth = values.pop("truth")
            square = tuple(values.pop("square"))
            return Prepared(**values, square=square, truth=truth and Truth(**truth))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def files(self) -> list[str]:
        """Names of the session's images."""
        return [*self.faces(), SESSION_NORMAL, SESSION_MASK, ALBEDO]

    def faces(self) -> list[str]:
        """Names of the face images."""
        return [FACE.format(k) for k in range(4)]


def prepare_session(
    out: Path, frame: str, source_frame: str, session: RawSession
) -> Prepared | SessionFault:
    """Compute and write one session.

    Args:
        out: Folder of the prepared sessions.
        frame: Axes of the normals written.
        source_frame: Axes of a normal map that the session already has.
        session: What to do.

    Returns:
        The record, or what is wrong with a file that looked whole.
    """
    try:
        photos = load_photos(session.photos)
        target, own_mask = _own_maps(session, source_frame)
    except ImageError as error:
        return SessionFault(session.name, "im*", "readable images", str(error))
    except WantedError as error:
        files = f"{SESSION_NORMAL}, {SESSION_MASK}"
        return SessionFault(session.name, files, error.wanted, error.got)
    left, top, side = square = _square(session)
    window = (slice(None), slice(top, top + side), slice(left, left + side))
    photos = np.ascontiguousarray(photos[window])
    colour = torch.from_numpy(photos).permute(0, 3, 1, 2).float() / 255
    grey, lights = colour.mean(1), torch.tensor(session.lights, dtype=torch.float64)
    surface = robust(grey, lights)
    face = _face(session, surface, None if own_mask is None else own_mask[window], square)
    mask = face if session.outline is not None else _largest(face & surface.valid)
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
    return record


def _write(
    folder: Path, record: Prepared, photos: Bytes, normals: Tensor, mask: Tensor, albedo: Tensor
) -> None:
    """Write the images, then the record."""
    brightest = max(_quantile(albedo[mask.expand_as(albedo)]), 1e-6)
    shown = (albedo * mask / brightest).clamp(0, 1) * 255
    pictures = [
        *photos,
        encode(normals, mask).permute(1, 2, 0).numpy(),
        mask[0].to(torch.uint8).numpy() * np.uint8(255),
        shown.round().to(torch.uint8).permute(1, 2, 0).numpy(),
    ]
    for name, picture in zip(record.files(), pictures, strict=True):
        write_whole(folder / name, png_bytes(picture))
    write_whole(folder / RECORD, json.dumps(asdict(record), indent=1).encode())


def _largest(mask: Tensor) -> Tensor:
    """The largest connected part of a mask (1, H, W): specks beside it are no face."""
    pixels = mask[0].to(torch.uint8).numpy()
    _, parts, sizes, _ = cv2.connectedComponentsWithStats(pixels)
    sizes[0] = 0  # what is not in the mask
    largest = parts == sizes[:, cv2.CC_STAT_AREA].argmax()
    return torch.from_numpy(largest)[None] & mask


def _square(session: RawSession) -> tuple[int, int, int]:
    if session.outline is None:
        return 0, 0, session.height
    return crop_square(session.outline, session.height, session.width)


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
    bright = surface.albedo > BRIGHT * _quantile(surface.albedo)
    found = (surface.valid & bright).to(torch.uint8).numpy()
    count, pieces, stats, _ = cv2.connectedComponentsWithStats(found)
    if count == 1:
        return torch.zeros(1, *found.shape, dtype=torch.bool)
    return torch.from_numpy(pieces == 1 + stats[1:, cv2.CC_STAT_AREA].argmax())[None]


def _own_maps(session: RawSession, frame: str) -> tuple[Tensor | None, Tensor | None]:
    """Normals (3, H, W) of ours and mask (1, H, W) that the session already has, if any."""
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
) -> Truth | None:
    angles = [angle_map(fit.normals, target) for fit in (surface, plain)]
    known = inside & angles[0].isfinite() & angles[1].isfinite()
    if not (known & mask).any():
        return None
    means = [float(v) for a in angles for v in (a[known].mean(), a[known].median())]
    values = [*means, float(angles[0][known & mask].mean())]
    return Truth(*values)


def _shares(grey: Tensor, lights: Tensor, surface: Surface, face: Tensor) -> tuple[float, float]:
    """Shares of the face's pixels in the shadow of some light, and lit by fewer than three."""
    shading = directional_shading(surface.normals, lights.float())
    expected = surface.albedo * shading.clamp_min(DARK)
    shadow = (~surface.lit & (grey <= expected)).any(0)[face[0]]
    unsure = (surface.lit.sum(0) < 3)[face[0]]
    return float(shadow.float().mean()), float(unsure.float().mean())


def _quantile(albedo: Tensor) -> float:
    return float(np.quantile(albedo.numpy(), ALBEDO_WHITE))  # torch's takes 16 million at most


Item = TypeVar("Item")
Result = TypeVar("Result")
log = logging.getLogger(__name__)


def survey(
    names: Sequence[str], read: Callable[[str], RawSession | list[SessionFault]]
) -> tuple[list[RawSession], list[SessionFault]]:
    """Read all sessions but their pixels.

    Args:
        names: Of the sessions.
        read: Reads the session of a name.

    Returns:
        The sessions without faults, and the faults of the others.
    """
    sessions: list[RawSession] = []
    faults: list[SessionFault] = []
    with ThreadPoolExecutor() as pool:
        for result in progress(pool.map(read, names), "Checking sessions", len(names)):
            if isinstance(result, RawSession):
                sessions.append(result)
            else:
                faults += result
    return sessions, faults


def stop_or_warn(
    faults: Sequence[SessionFault], root: Path, on_error: Literal["raise", "skip"]
) -> None:
    """Raise all faults, or list them if their sessions are to be skipped.

    Raises:
        UserError: If there are faults and ``on_error`` is "raise".
    """
    if not faults:
        return
    count = len({fault.session for fault in faults})
    lines = "".join(f"\n  {fault}" for fault in faults)
    if on_error == "skip":
        log.warning("left out %s:%s", _count(count, "session"), lines)
        return
    raise UserError(
        f"{_count(len(faults), 'fault')} in {_count(count, 'session')} of {root}:{lines}\n"
        "mend the files, or set on_error=skip to leave these sessions out"
    )


def share(
    work: Callable[[RawSession], Result], todo: Sequence[RawSession], processes: int | None
) -> Iterator[Result]:
    """Do the work here, or in several processes of one thread each; results in order."""
    count = min(check_processes(processes), len(todo))
    if count <= 1:
        yield from map(work, todo)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(count, context, _one_thread) as pool:
        try:
            yield from pool.map(work, todo, chunksize=4)
        except BrokenProcessPool as error:
            raise UserError(
                "a worker was killed (out of memory?); run the same command again to finish, "
                "with fewer processes=N"
            ) from error
        finally:  # after Ctrl-C, do not finish what is waiting
            pool.shutdown(wait=False, cancel_futures=True)


def progress(items: Iterable[Item], title: str, total: int) -> Iterator[Item]:
    """Yield items under a progress bar, where there is a terminal."""
    console = Console(stderr=True)
    yield from track(
        items,
        description=title,
        total=total,
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def _one_thread() -> None:
    torch.set_num_threads(1)


MANIFEST, LIST = "manifest.json", "faces.csv"


def claim(root: Path, out: Path, options: Mapping[str, Any]) -> None:
    """Refuse to write to a folder that holds something else, or to the source itself.

    Args:
        root: Folder of the raw sessions.
        out: Folder to write to.
        options: What decides the bytes of a session.

    Raises:
        UserError: If ``root`` is no folder, or ``out`` lies in it, holds other files or sessions
            that were prepared otherwise.
    """
    if not root.is_dir():
        raise UserError(f"root={root} must be a folder of sessions, found none there; set root=DIR")
    if out.resolve().is_relative_to(root.resolve()):
        raise UserError(f"out={out} must lie outside root={root}, whose files it would replace")
    if not out.exists() or not any(out.iterdir()):
        return
    try:
        manifest = json.loads((out / MANIFEST).read_text(encoding="utf-8"))
        found = manifest["prepared"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"out={out} must be new, empty or written by facegeo-prepare, but it holds other "
            "files; choose another folder"
        ) from error
    others = [
        f"{key}: {found.get(key)} there, {value} asked for"
        for key, value in options.items()
        if found.get(key) != value
    ]
    if others:
        raise UserError(
            f"out={out} was prepared otherwise ({'; '.join(others)}); choose another folder or "
            "remove this one"
        )


def is_finished(out: Path, session: RawSession) -> bool:
    """Tell whether a folder holds a session as made from what the raw session holds now."""
    record = Prepared.read(out / session.name)
    return (
        record is not None
        and record.source == session.digest
        and all((out / session.name / name).is_file() for name in record.files())
    )


def write_list(out: Path, records: Sequence[Prepared]) -> None:
    """Write ``faces.csv``, one column ``face``."""
    faces = [f"{record.name}/{face}" for record in records for face in record.faces()]
    write_whole(out / LIST, "".join(f"{line}\n" for line in ["face", *faces]).encode())


def write_manifest(
    out: Path,
    options: Mapping[str, Any],
    counts: Mapping[str, int],
    notes: Mapping[str, str],
    *,
    complete: bool,
) -> None:
    """Write what the folder holds and what made it.

    Args:
        out: Folder of prepared sessions.
        options: What decides the bytes of a session.
        counts: How many of what it holds.
        notes: How to read its files.
        complete: Whether all sessions are finished.
    """
    manifest = {
        "made_by": f"facegeo {__version__}",
        "complete": complete,
        "prepared": dict(options),
        "counts": dict(counts),
        "notes": dict(notes),
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("torch", "numpy")},
        },
    }
    write_whole(out / MANIFEST, (json.dumps(manifest, indent=2) + "\n").encode())
