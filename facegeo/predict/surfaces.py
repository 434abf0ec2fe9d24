"""What normals are good for: faces in new light, films of a turning light, meshes."""

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import numpy.typing as npt

from facegeo.errors import UserError
from facegeo.predict.drawing import lay_over
from facegeo.predict.face import Face, Image
from facegeo.predict.folder import OutputFolder
from facegeo.predict.normals import cut_out
from facegeo.surfaces.mesh import KINDS, save_mesh

ROTATING = "rotating"
"""Value of ``relight`` that asks for a film of each face under a light that goes round it."""
RELIT_FADE = 0.1
"""Rim over which relit skin fades into the photo, in sides of the face's square."""
FILMS = ("gif", "mp4")
FILM_PX = 320
"""Most pixels a side of a film."""


def check_surfaces(relight: str | None, film: str, mesh: str | None, *, normals: bool) -> None:
    """See that what is asked for is there, before any photo is read.

    Raises:
        UserError: If a light or a kind of film or mesh is unknown, or no normals are asked for.
    """
    if (relight or mesh) and not normals:
        raise UserError("relight and mesh need normals; add normals=MODEL")
    if relight and relight != ROTATING:
        from facegeo.surfaces.lights import PRESETS

        if relight not in PRESETS:
            wanted = ", ".join([*PRESETS, ROTATING])
            raise UserError(f"relight must be one of {wanted}; got {relight!r}")
    if film not in FILMS:
        raise UserError(f"film must be one of {', '.join(FILMS)}; got {film!r}")
    if mesh and mesh not in KINDS:
        raise UserError(f"mesh must be one of {', '.join(KINDS)}; got {mesh!r}")


def draw_relit(photo: Image, faces: Sequence[Face], light: str) -> Image:
    """Return the photo with each face in another light, which fades into it at the rim.

    Args:
        photo: RGB; it is not changed.
        faces: On it, with normals.
        light: Name of a light, a key of ``facegeo.surfaces.lights.PRESETS``.
    """
    from facegeo.surfaces.lights import find_light
    from facegeo.surfaces.relight import relight

    image = photo.copy()
    for face in faces:
        if face.normals is not None and face.mask is not None:
            pixels = relight(face.normals, _texture(photo, face), face.mask, find_light(light))
            lay_over(image, face, np.rint(pixels * 255).astype(np.uint8), RELIT_FADE)
    return image


def keep_films(
    out: OutputFolder, name: str, photo: Image, faces: Sequence[Face], kind: str
) -> list[str]:
    """Write ``NAME.faceN.gif``, or of another of ``FILMS``, of each face under a turning light.

    Returns:
        Which faces have no film, and why.
    """
    from facegeo.surfaces.relight import save_rotating_light

    missing = []
    for number, face in enumerate(faces):
        if face.normals is not None and face.mask is not None:
            with TemporaryDirectory() as folder:
                path = Path(folder) / f"film.{kind}"
                texture = _texture(photo, face, FILM_PX)
                try:
                    save_rotating_light(path, face.normals, texture, face.mask)
                except UserError as error:
                    missing.append(f"face {number} has no film: {error}")
                    continue
                out.write(f"{name}.face{number}.{kind}", path.read_bytes())
    return missing


def keep_meshes(
    out: OutputFolder, name: str, photo: Image, faces: Sequence[Face], kind: str
) -> list[str]:
    """Write ``NAME.faceN.glb``, or of another kind with what belongs to it, of each face.

    Args:
        out: Gets the files.
        name: Of the photo.
        photo: Gives the texture, as fine as it is.
        faces: On it, with normals, whose integral is the depth.
        kind: One of ``facegeo.surfaces.mesh.KINDS``.

    Returns:
        Which faces have no mesh, and why.
    """
    from facegeo.surfaces.integrate import integrate

    missing = []
    for number, face in enumerate(faces):
        if face.normals is None or face.mask is None:
            continue
        depth = integrate(face.normals, face.mask)
        texture = _texture(photo, face)
        place = Path(name).parent
        with TemporaryDirectory() as folder:
            path = Path(folder) / f"{Path(name).name}.face{number}.{kind}"
            try:
                files = save_mesh(path, depth, face.mask, texture, face.normals)
            except UserError as error:
                missing.append(f"face {number} has no mesh: {error}")
                continue
            for file in files:
                out.write((place / file.name).as_posix(), file.read_bytes())
    return missing


def _texture(photo: Image, face: Face, most_px: int | None = None) -> npt.NDArray[np.float32]:
    """The face's square, sRGB in [0, 1], (s, s, 3), shrunk to ``most_px`` if it is larger."""
    if face.square is None:
        raise ValueError("a face without normals has no texture")
    side = face.square[2]
    return np.float32(1 / 255) * cut_out(photo, face.square, min(side, most_px or side))
