"""Read raw sessions: photographs of one face under known lights, one at a time.

``RawSession`` serves every such database; ``read_session`` reads Photoface's four flashes,
``facegeo.normals.prepare_people`` the 64 lamps of the Extended Yale B.

Written without a real ``LightSource.m``. Public code takes the numbers between brackets, or every
second number of the file; a public text describes them as zenith and azimuth of the four lights.
The axis from which azimuth counts is not known: directions are read in a named frame.
"""

import hashlib
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from facegeo.checks import checked
from facegeo.errors import UserError
from facegeo.files.images import ImageError, decode, image_size
from facegeo.files.lists import WantedError
from facegeo.files.places import Points, metadata_outline, read_outline
from facegeo.geometry.normals import from_frame
from facegeo.normals.maps import Frame
from facegeo.normals.photometric_stereo import check_lights, light_directions

LightFormat = Literal["zenith_azimuth_deg", "xyz"]
NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
ASSIGNMENT = re.compile(rf"([A-Za-z]\w*)\s*(?:\([^)]*\))?\s*=\s*(\[[^\]]*\]|{NUMBER})")
ZENITH, AZIMUTH = re.compile(r"zen|slant|polar", re.I), re.compile(r"azi|tilt", re.I)


def read_lights(text: str, count: int, layout: str, frame: str) -> Tensor:
    """Read and check the lights of one session.

    Angles may be in variables named for them (``zenith1 = [38]; azimuth1 = [42]``, or all
    zeniths in one and all azimuths in another), in rows ``[z a; z a; ...]``, in two rows, or
    behind an index or a name with a digit each.

    Args:
        text: The file.
        count: How many lights it must hold.
        layout: ``zenith_azimuth_deg``, angles in degrees, zenith from the camera's axis and
            azimuth from the first axis of ``frame`` to the second; or ``xyz``, three numbers a
            light along the axes of ``frame``.
        frame: Key of ``facegeo.geometry.normals.FRAMES``.

    Returns:
        Unit vectors towards the lights, x right, y up, z to the camera, float64, (count, 3).

    Raises:
        WantedError: If the numbers are others, or the lights are behind the camera's plane or in
            one plane.
    """
    text = re.sub(r"%.*", "", text)
    width = 3 if layout == "xyz" else 2
    table = _named_angles(text) if width == 2 else None
    if table is None:
        table = _rows(text, count, width)
    if len(table) != count:
        raise WantedError(f"{count} lights", f"{len(table)}")
    values = torch.tensor(table, dtype=torch.float64)
    stored = values if width == 3 else light_directions(values[:, 0], values[:, 1])
    lights = from_frame(stored.T[..., None], frame)[..., 0].T
    lights = torch.nn.functional.normalize(lights, dim=1)
    if not bool((lights[:, 2] > 0).all()):  # NaN fails as well
        row = table[int((~(lights[:, 2] > 0)).int().argmax())]
        raise WantedError("lights on the camera's side", f"({', '.join(f'{v:g}' for v in row)})")
    try:
        check_lights(lights)
    except ValueError as error:
        raise WantedError("lights that do not lie in one plane", str(error)) from error
    return lights


def _named_angles(text: str) -> list[tuple[float, ...]] | None:
    """Pairs of zenith and azimuth from variables of these names; None without them."""
    angles: dict[str, list[float]] = {"zenith": [], "azimuth": []}
    for name, value in ASSIGNMENT.findall(text):
        for kind, pattern in (("zenith", ZENITH), ("azimuth", AZIMUTH)):
            if pattern.search(name) and not (kind == "azimuth" and ZENITH.search(name)):
                angles[kind] += _numbers(value)
    if not angles["zenith"] and not angles["azimuth"]:
        return None
    if len(angles["zenith"]) != len(angles["azimuth"]):
        got = " and ".join(f"{len(values)} {kind}s" for kind, values in angles.items())
        raise WantedError("a zenith and an azimuth for each light", got)
    return list(zip(angles["zenith"], angles["azimuth"], strict=True))


def _rows(text: str, count: int, width: int) -> list[tuple[float, ...]]:
    """Rows of ``width`` numbers: between brackets, else all, else every second number."""
    inside = " ".join(re.findall(r"\[([^\]]*)\]", text, re.S))
    for values in (_numbers(inside), _numbers(text), _numbers(text)[1::2]):
        if len(values) == count * width:
            break
    else:
        wanted = f"{count} lights of {width} numbers"
        raise WantedError(wanted, f"{len(_numbers(text))} numbers, {text.strip()[:60]!r}")
    rows = [row for row in re.split(r"[;\n]", inside) if _numbers(row)]
    if width != count and len(rows) == width and len(_numbers(rows[0])) == count:
        return list(zip(*(_numbers(row) for row in rows), strict=True))
    return [tuple(values[i : i + width]) for i in range(0, len(values), width)]


def _numbers(text: str) -> Sequence[float]:
    return [float(number) for number in re.findall(NUMBER, text)]


PHOTOS = 4
LIGHTS, METADATA = "LightSource.m", "metadata.txt"
NAMES = ("im{}.bmp", "im{}.png", "im{}.jpg", "im{}_c.png")
"""File names of photograph k: as distributed, copied to another format, or rendered."""
DATABASE = "PhotofaceDB"


@dataclass(frozen=True)
class SessionFault:
    """Fault of a file of a session: what was wanted and what it holds."""

    session: str
    file: str
    wanted: str
    got: str

    def __str__(self) -> str:
        """One line: session, file, wanted, got."""
        text = f"{self.session}/{self.file}: wanted {self.wanted}, got {self.got}"
        return text.encode("utf-8", "backslashreplace").decode()


@contextmanager
def noted(
    faults: list[SessionFault], session: str, file: str, wanted: str = "a readable image"
) -> Iterator[None]:
    """Add the error of a block to the faults of a session.

    Args:
        faults: Gets a fault for an ``OSError``, ``ImageError`` or ``WantedError``.
        session: Its name.
        file: Name of the file that is read.
        wanted: What it should be, if the error does not say so itself.
    """
    try:
        yield
    except WantedError as error:
        faults.append(SessionFault(session, file, error.wanted, error.got))
    except (OSError, ImageError) as error:
        got = getattr(error, "strerror", None) or str(error)
        faults.append(SessionFault(session, file, wanted, got))


@dataclass(frozen=True)
class RawSession:
    """A session without faults, as far as the headers of its files show.

    Attributes:
        name: ``<subject>/<session>``.
        folder: Where its files are.
        photos: The photographs, one a light.
        lights: Unit vectors towards the lights, x right, y up, z to the camera.
        height: Of the photographs, px.
        width: Of the photographs, px.
        outline: Points whose hull is the face, px, (K, 2); None if no points came with the session.
        digest: SHA-256 of photographs, lights and outline.
        ambient: Photograph without any of the lights, to be subtracted from the others.
    """

    name: str
    folder: Path
    photos: tuple[Path, ...]
    lights: tuple[tuple[float, float, float], ...]
    height: int
    width: int
    outline: Points | None
    digest: str
    ambient: Path | None = None


@checked(prefix="")
@dataclass(frozen=True)
class Reading:
    """How to read Photoface sessions.

    Attributes:
        lights: How ``LightSource.m`` gives a light.
        lights_frame: Frame of the light directions.
        points: File with 68 points: a name in the session's folder, or a path with ``{session}``
            in place of ``<subject>/<session>``; None looks for the 11 of ``metadata.txt``, and
            takes square photographs as they are.
    """

    lights: LightFormat = "zenith_azimuth_deg"
    lights_frame: Frame = "right_up_camera"
    points: str | None = None


def find_sessions(root: Path) -> tuple[Path, list[str]]:
    """Find the sessions in ``PhotofaceDB`` below a folder or in the folder itself.

    Returns:
        Folder of the subjects, and ``<subject>/<session>`` of each folder that holds a photograph
        or a file of lights, sorted.

    Raises:
        UserError: If there is no session.
    """
    folder = root / DATABASE if (root / DATABASE).is_dir() else root
    if not folder.is_dir():
        raise UserError(f"root={folder}: no such folder")
    names = [
        f"{session.parent.name}/{session.name}"
        for session in sorted(folder.glob("*/*/"))
        if (session / LIGHTS).exists() or any(session.glob("im[0-9]*.*"))
    ]
    if not names:
        raise UserError(
            f"root={folder} must hold folders <subject>/<session> with im0.bmp to im3.bmp and "
            "LightSource.m, found none"
        )
    return folder, names


def read_session(root: Path, name: str, reading: Reading) -> RawSession | list[SessionFault]:
    """Read all of a Photoface session but its pixels.

    Args:
        root: Folder of subjects.
        name: ``<subject>/<session>``.
        reading: How.

    Returns:
        The session, or everything that is wrong with it.
    """
    folder = root / name
    faults: list[SessionFault] = []
    kinds = [[folder / kind.format(k) for k in range(PHOTOS)] for kind in NAMES]
    photos = max(([path for path in paths if path.is_file()] for paths in kinds), key=len)
    if len(photos) != PHOTOS:
        got = ", ".join(photo.name for photo in photos) or "none"
        wanted = f"{PHOTOS} photographs, im0 to im{PHOTOS - 1} (.bmp, .png, .jpg or _c.png)"
        faults.append(SessionFault(name, "im*", wanted, f"{len(photos)}: {got}"))
    digest = hashlib.sha256()
    for own in (folder / "mask_c.png", folder / "sn_c.png"):  # they decide the mask, and figures
        digest.update(own.read_bytes() if own.is_file() else b"")
    size = photo_size(name, photos, faults, digest.update)
    lights: Sequence[Sequence[float]] = ()
    with noted(faults, name, LIGHTS, "zenith and azimuth of the lights"):
        text = (folder / LIGHTS).read_text(encoding="utf-8", errors="replace")
        lights = read_lights(text, PHOTOS, reading.lights, reading.lights_frame).tolist()
    outline = _outline(folder, name, reading, size, faults)
    if faults or size is None:
        return faults
    directions = tuple((float(x), float(y), float(z)) for x, y, z in lights)
    digest.update(repr((directions, None if outline is None else outline.tolist())).encode())
    return RawSession(name, folder, tuple(photos), directions, *size, outline, digest.hexdigest())


def load_photos(photos: Sequence[Path]) -> npt.NDArray[np.uint8]:
    """Decode photographs of one size: RGB, shape (N, H, W, 3).

    Raises:
        ImageError: If one is damaged where its header did not show it.
    """
    return np.stack([decode(photo.read_bytes()) for photo in photos])


def photo_size(
    name: str,
    photos: Sequence[Path],
    faults: list[SessionFault],
    digest: Callable[[bytes], object],
) -> tuple[int, int] | None:
    """Check that photographs are whole and of one size.

    Args:
        name: The session's.
        photos: Their files.
        faults: Gets a fault for each photograph that is unreadable, damaged or of another size.
        digest: Called with the bytes of each file.

    Returns:
        Height and width of the first readable photograph, px.
    """
    first: tuple[int, int] | None = None
    for photo in photos:
        with noted(faults, name, photo.name):
            data = photo.read_bytes()
            digest(data)
            size = image_size(data)
            first = first or size
            if size != first:
                wanted = f"{first[1]} x {first[0]} pixels, as {photos[0].name}"
                raise WantedError(wanted, f"{size[1]} x {size[0]}")
    return first


def _outline(
    folder: Path,
    name: str,
    reading: Reading,
    size: tuple[int, int] | None,
    faults: list[SessionFault],
) -> Points | None:
    """Find the face; note the faults of its points."""
    path = folder / METADATA
    if reading.points is not None:
        path = folder / reading.points
        if "{session}" in reading.points:
            path = Path(reading.points.replace("{session}", name)).expanduser()
    with noted(faults, name, path.name):
        if reading.points is not None:
            return read_outline(path)
        if path.is_file():
            return metadata_outline(path.read_text(encoding="utf-8", errors="replace"))
        if size is not None and size[0] != size[1]:
            wanted = f"{METADATA}, or points=FILE with 68 points, or photographs cut to squares"
            raise WantedError(wanted, f"{size[1]} x {size[0]} pixels")
    return None
