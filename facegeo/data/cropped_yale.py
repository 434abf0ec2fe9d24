"""Reader of the cropped Extended Yale Face Database B as it is published.

Georghiades, Belhumeur and Kriegman, "From Few to Many", PAMI 2001; cropped by Lee, Ho and
Kriegman, PAMI 2005. ``CroppedYale/yaleBNN/yaleBNN_P00A+035E-20.pgm``: person NN, frontal pose,
light at azimuth 35 and elevation -20 degrees. Frames that the publishers marked as corrupt end in
``.pgm.bad`` and are left out. ``*_Ambient.pgm`` was taken without lamps: of the size of the other
frames it is subtracted, uncropped (640 x 480) it is ignored.
"""

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from facegeo.data.image_file import ImageError, image_size
from facegeo.data.raw_session import RawSession, SessionFault, load_photos, photo_sizes
from facegeo.errors import UserError
from facegeo.geometry.lamps import flash_directions

DATABASE = "CroppedYale"
PERSON = re.compile(r"yaleB\d\d")
LIGHT = re.compile(r"A([+-]\d{3})E([+-]\d{2})")
FEWEST = 8
"""Photographs of a person, at least."""
SATURATED = 254
"""Least grey value of a saturated pixel, before ambient light is subtracted."""
UNCROPPED = (480, 640)
"""Height and width of ambient frames that were published uncropped, px."""


def find_people(root: Path) -> tuple[Path, list[str]]:
    """Find the folders of people, in ``CroppedYale`` below a folder or in the folder itself.

    Args:
        root: ``CroppedYale`` or the folder that holds it.

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
    """Read all of a person but the pixels.

    Args:
        root: Folder of the people.
        name: Of the person's folder, such as ``yaleB01``.

    Returns:
        The session, or everything that is wrong with it.
    """
    folder = root / name
    faults: list[SessionFault] = []
    ambient = folder / f"{name}_P00_Ambient.pgm"
    photos: list[Path] = []
    for path in sorted(folder.glob("*.pgm")):
        if path == ambient or path.name.startswith("."):
            continue
        if re.fullmatch(rf"{name}_P00{LIGHT.pattern}\.pgm", path.name):
            photos.append(path)
        else:
            wanted = f"a name such as {name}_P00A+035E-20.pgm"
            faults.append(SessionFault(name, path.name, wanted, "another"))
    if len(photos) < FEWEST:
        wanted = f"{FEWEST} photographs or more"
        faults.append(SessionFault(name, "*.pgm", wanted, str(len(photos))))
    digest = hashlib.sha256("\n".join(photo.name for photo in photos).encode())
    sizes = list(photo_sizes(name, photos, faults, digest.update))
    dark = _ambient(name, ambient, sizes[0] if sizes else None, faults)
    if faults:
        return faults
    digest.update(b"" if dark is None else dark.read_bytes())
    angles = torch.tensor([light_angles(photo.name) for photo in photos])
    lights = tuple((x, y, z) for x, y, z in flash_directions(*angles.T).tolist())
    return RawSession(
        name, folder, tuple(photos), lights, *sizes[0], None, digest.hexdigest(), dark
    )


def light_angles(name: str) -> tuple[int, int]:
    """Azimuth and elevation of the light that a photograph's name gives, degrees.

    >>> light_angles("yaleB01_P00A+035E-20.pgm")
    (35, -20)
    """
    found = LIGHT.search(name)
    if found is None:
        raise ValueError(f"name must hold a light such as A+035E-20, got {name!r}")
    return int(found[1]), int(found[2])


def load_linear(session: RawSession) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.bool_]]:
    """Decode the photographs of a person and subtract the ambient one, if there is one.

    Args:
        session: Of ``read_person``.

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


def _ambient(
    name: str, path: Path, size: tuple[int, int] | None, faults: list[SessionFault]
) -> Path | None:
    """The ambient frame, if it is there and cropped; note if it is damaged or of an odd size."""
    if not path.is_file():
        return None
    try:
        found = image_size(path.read_bytes())
    except (OSError, ImageError) as error:
        got = getattr(error, "strerror", None) or str(error)
        faults.append(SessionFault(name, path.name, "a readable image", got))
        return None
    if found not in (size, UNCROPPED) and size is not None:
        wanted = f"{size[1]} x {size[0]} pixels, as the photographs, or 640 x 480"
        got = "another format" if found is None else f"{found[1]} x {found[0]}"
        faults.append(SessionFault(name, path.name, wanted, got))
    return path if found == size else None


def light_names(photos: Sequence[Path]) -> list[str]:
    """Names of the lights of photographs, such as ``A+035E-20``."""
    return [photo.stem.partition("_P00")[2] for photo in photos]
