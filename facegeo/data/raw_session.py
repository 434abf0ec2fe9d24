"""Raw sessions: n photographs of a still face under n known lights, and Photoface's reader.

``RawSession`` serves every database that lights a face in turn; ``read_session`` reads Photoface's
four flashes, ``facegeo.data.cropped_yale`` the 64 of the Extended Yale B.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from facegeo.data.face_outline import Points, metadata_outline, read_outline
from facegeo.data.faults import WantedError
from facegeo.data.image_file import ImageError, decode, whole_size
from facegeo.data.light_source import read_lights

PHOTOS = 4
LIGHTS, METADATA = "LightSource.m", "metadata.txt"
NAMES = ("im{}.bmp", "im{}.png", "im{}.jpg", "im{}_c.png")
"""What photograph k is called: as distributed, copied to another format, or rendered."""
DATABASE = "PhotofaceDB"


@dataclass(frozen=True)
class SessionFault:
    """What is wrong with a file of a session.

    Attributes:
        session: ``<subject>/<session>``.
        file: Its name.
        wanted: What it should hold.
        got: What it holds.
    """

    session: str
    file: str
    wanted: str
    got: str

    def __str__(self) -> str:
        """One line: session, file, wanted, got."""
        text = f"{self.session}/{self.file}: wanted {self.wanted}, got {self.got}"
        return text.encode("utf-8", "backslashreplace").decode()


@dataclass(frozen=True)
class RawSession:
    """A session without faults, as far as the headers of its files tell.

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


@dataclass(frozen=True)
class Reading:
    """How to read Photoface sessions.

    Attributes:
        lights: One of ``facegeo.data.light_source.FORMATS``.
        lights_frame: Frame of the light directions.
        points: File with 68 points: a name in the session's folder, or a path with ``{session}``
            in place of ``<subject>/<session>``; None looks for the 11 of ``metadata.txt``, and
            takes square photographs as they are.
    """

    lights: str = "zenith_azimuth_deg"
    lights_frame: str = "right_up_camera"
    points: str | None = None


def find_root(root: Path) -> Path:
    """Return the folder of subjects: ``PhotofaceDB`` in it, if it has one, or itself."""
    return root / DATABASE if (root / DATABASE).is_dir() else root


def find_sessions(root: Path) -> list[str]:
    """Name the sessions below a folder, sorted.

    Args:
        root: Folder of subjects.

    Returns:
        ``<subject>/<session>`` of each folder that holds a photograph or a file of lights.
    """
    return [
        f"{session.parent.name}/{session.name}"
        for session in sorted(root.glob("*/*/"))
        if (session / LIGHTS).exists() or any(session.glob("im[0-9]*.*"))
    ]


def read_session(root: Path, name: str, reading: Reading) -> RawSession | list[SessionFault]:
    """Read all of a session but its pixels.

    Args:
        root: Folder of subjects.
        name: ``<subject>/<session>``.
        reading: How.

    Returns:
        The session, or everything that is wrong with it.
    """
    folder = root / name
    faults: list[SessionFault] = []
    photos = _photos(folder)
    if len(photos) != PHOTOS:
        got = ", ".join(photo.name for photo in photos) or "none"
        wanted = f"{PHOTOS} photographs, im0 to im{PHOTOS - 1} (.bmp, .png, .jpg or _c.png)"
        faults.append(SessionFault(name, "im*", wanted, f"{len(photos)}: {got}"))
    digest = hashlib.sha256()
    for own in (folder / "mask_c.png", folder / "sn_c.png"):  # they decide the mask, and figures
        digest.update(own.read_bytes() if own.is_file() else b"")
    sizes = list(photo_sizes(name, photos, faults, digest.update))
    lights: Sequence[Sequence[float]] = ()
    try:
        text = (folder / LIGHTS).read_text(encoding="utf-8", errors="replace")
        lights = read_lights(text, PHOTOS, reading.lights, reading.lights_frame).tolist()
    except OSError as error:
        got = error.strerror or str(error)
        faults.append(SessionFault(name, LIGHTS, "zenith and azimuth of the lights", got))
    except WantedError as error:
        faults.append(SessionFault(name, LIGHTS, error.wanted, error.got))
    outline = _outline(folder, name, reading, sizes[0] if sizes else None, faults)
    if faults:
        return faults
    directions = tuple((float(x), float(y), float(z)) for x, y, z in lights)
    digest.update(repr((directions, None if outline is None else outline.tolist())).encode())
    return RawSession(
        name, folder, tuple(photos), directions, *sizes[0], outline, digest.hexdigest()
    )


def load_photos(photos: Sequence[Path]) -> npt.NDArray[np.uint8]:
    """Decode the photographs of a session.

    Args:
        photos: Their files, N of one size.

    Returns:
        RGB, shape (N, H, W, 3).

    Raises:
        ImageError: If one is damaged where its header did not tell.
    """
    return np.stack([decode(photo.read_bytes()) for photo in photos])


def _photos(folder: Path) -> list[Path]:
    """Photographs im0 .. of the kind of name that most have."""
    kinds = [[folder / name.format(k) for k in range(PHOTOS)] for name in NAMES]
    found = [[path for path in paths if path.is_file()] for paths in kinds]
    return max(found, key=len)


def photo_sizes(
    name: str,
    photos: Sequence[Path],
    faults: list[SessionFault],
    digest: Callable[[bytes], object],
) -> Iterator[tuple[int, int]]:
    """Check that photographs are whole and of one size.

    Args:
        name: The session's.
        photos: Their files.
        faults: Gets a fault for each photograph that is unreadable, torn or of another size.
        digest: Called with the bytes of each file.

    Yields:
        Height and width of each readable photograph, px.
    """
    first: tuple[int, int] | None = None
    for photo in photos:
        try:
            data = photo.read_bytes()
            digest(data)
            size = whole_size(data)
        except OSError as error:
            got = error.strerror or str(error)
            faults.append(SessionFault(name, photo.name, "a readable image", got))
            continue
        except ImageError as error:
            faults.append(SessionFault(name, photo.name, "a readable image", str(error)))
            continue
        first = first or size
        if size != first:
            wanted = f"{first[1]} x {first[0]} pixels, as {photos[0].name}"
            faults.append(SessionFault(name, photo.name, wanted, f"{size[1]} x {size[0]}"))
        yield size


def _outline(
    folder: Path,
    name: str,
    reading: Reading,
    size: tuple[int, int] | None,
    faults: list[SessionFault],
) -> Points | None:
    """Find the face; note what is wrong with its points."""
    path = folder / METADATA
    try:
        if reading.points is not None:
            path = folder / reading.points.replace("{session}", name)
            if "{session}" in reading.points:
                path = Path(reading.points.replace("{session}", name)).expanduser()
            return read_outline(path)
        if path.is_file():
            return metadata_outline(path.read_text(encoding="utf-8", errors="replace"))
    except WantedError as error:
        faults.append(SessionFault(name, path.name, error.wanted, error.got))
        return None
    if size is not None and size[0] != size[1]:
        wanted = f"{METADATA}, or points=FILE with 68 points, or photographs cut to squares"
        faults.append(SessionFault(name, path.name, wanted, f"{size[1]} x {size[0]} pixels"))
    return None
