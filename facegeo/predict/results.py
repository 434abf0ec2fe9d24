"""Results of a photo or video: JSON, lines of the list of points, pictures, arrays, meshes."""

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from facegeo import __version__
from facegeo.checks import checked
from facegeo.errors import UserError
from facegeo.geometry.windows import POINT_NAMES
from facegeo.predict.drawing import (
    draw_normals,
    draw_points,
    draw_shading,
    enlarged,
    lay_over,
    normal_colours,
)
from facegeo.predict.folders import shown
from facegeo.predict.normals import cut_out
from facegeo.predict.photo import FORMAT, Face, Image, write_jpeg, write_png
from facegeo.predict.tracks import OneEuro, Seen
from facegeo.surfaces.integrate import integrate
from facegeo.surfaces.lights import find_light
from facegeo.surfaces.mesh import mesh_files
from facegeo.surfaces.relight import relight, rotating_light

LIST = "points.csv"
BOX_COLUMNS = ("left", "right", "top", "bottom")
POINT_COLUMNS = tuple(f"{name}_{axis}" for name in POINT_NAMES for axis in "xy")
COLUMNS = ("file", "frame", "face", *BOX_COLUMNS, *POINT_COLUMNS, "detected")
Relight = Literal[
    "front", "left", "right", "above", "below", "lamp", "overcast", "studio", "sunset", "rotating"
]
NORMAL_AXES = ["right", "up", "to the camera"]
ROTATING = "rotating"
"""Value of ``relight`` that asks for a film of each face under a light that goes around it."""
RELIT_FADE = 0.1
"""Rim over which relit skin fades into the photo, in sides of the face's square."""
FILM_PX = 320
"""Longest side of a film."""


@checked(prefix="", strict=True)
@dataclass(frozen=True)
class Pictures:
    """Pictures and meshes to make of normals.

    Attributes:
        light: Light of the shading, a key of ``facegeo.geometry.light.LIGHTS``.
        relight: Another light: a key of ``facegeo.surfaces.lights.PRESETS``, or ``ROTATING``.
        film: Format of the film with ``ROTATING``.
        mesh: Format of the mesh, if one is wanted.
    """

    light: Literal["front", "left", "right", "above", "below"] = "left"
    relight: Relight | None = None
    film: Literal["gif", "mp4"] = "gif"
    mesh: Literal["obj", "ply", "glb"] | None = None

    def check(self, *, normals: bool) -> None:
        """See that everything asked for can be made.

        Raises:
            UserError: If normals are needed and there are none.
        """
        if normals:
            return
        if self.light != Pictures.light:
            raise UserError(f"light={self.light} is for the shading of normals; add normals=MODEL")
        if self.relight or self.mesh:
            raise UserError("relight and mesh need normals; add normals=MODEL")

    def only_of_photos(self) -> list[str]:
        """Return the settings that have no effect on videos."""
        keys = {
            f"light={self.light}": self.light != Pictures.light,
            f"relight={ROTATING}": self.relight == ROTATING,
            f"mesh={self.mesh}": self.mesh,
        }
        return [key for key, asked in keys.items() if asked]


@checked(prefix="", strict=True)
@dataclass
class Settings:
    """Options of a prediction job.

    Attributes:
        batch: Photos, or frames, that run at once.
        pictures: Pictures and meshes to make of normals.
        smooth: How to smooth boxes and points in videos; None: no smoothing.
        overwrite: Write into a folder with files of others, and replace those of equal names.
    """

    batch: Annotated[int, Field(ge=1)] = 8
    pictures: Pictures = field(default_factory=Pictures)
    smooth: OneEuro | None = None
    overwrite: bool = False


def faces_json(name: str, size: tuple[int, int], faces: Sequence[Face]) -> str:
    """Return the faces of one photo of height and width ``size`` as JSON, a line a face."""
    mapped = any(face.normals is not None for face in faces)
    axes = {"normal_axes": NORMAL_AXES} if mapped else {}
    return _by_line(name, size, axes, "faces", [json.dumps(face.record()) for face in faces])


def video_json(name: str, size: tuple[int, int], rate: float, frames: Iterable[str]) -> str:
    """Return the faces of a video as JSON: ``frames`` are lines of ``frame_json``."""
    return _by_line(name, size, {"frames_per_second": rate}, "frames", frames)


def frame_json(number: int, seconds: float, seen: Sequence[Seen], faces: Sequence[Face]) -> str:
    """Return the faces of one frame of a video, and their tracks, as a line of JSON."""
    records = [
        {"track": track, "detected": detected, **face.record()}
        for (track, detected), face in zip(seen, faces, strict=True)
    ]
    return json.dumps({"frame": number, "seconds": round(seconds, 4), "faces": records})


def rows_of(
    name: str,
    faces: Sequence[Face],
    frame: int | None = None,
    seen: Sequence[Seen] | None = None,
) -> list[str]:
    """Return a line of CSV with the ``COLUMNS`` for each face; px with three decimals.

    Args:
        name: Of the photo or video.
        faces: In it.
        frame: Number of a video's frame.
        seen: Track of each face; None: the faces are numbered.
    """
    place = _line([shown(name), "" if frame is None else frame])
    rows = []
    for number, face in enumerate(faces):
        track, detected = (number, True) if seen is None else seen[number]
        places = (f"{value:.3f}" for value in (*face.box, *face.points.ravel().tolist()))
        rows.append(",".join([place, str(track), *places, str(int(detected))]))
    return rows


def list_csv(rows: Iterable[str]) -> str:
    """Return the list of all faces' boxes and points."""
    return "\n".join([_line(COLUMNS), *rows, ""])


def _line(fields: Sequence[object]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow(fields)
    return text.getvalue()


def photo_files(
    name: str, photo: Image, faces: Sequence[Face], pictures: Pictures
) -> tuple[dict[str, bytes], list[str]]:
    """Make all result files of one photo, in memory.

    ``.json``; ``.points.jpg``; with normals ``.normals.jpg``, ``.shading.jpg``, for each face
    ``.normal0.png`` (red right, green up, blue to the camera, (n + 1) / 2; white outside the face),
    and ``.npz`` with the arrays ``normals`` (F, S, S, 3), ``mask`` (F, S, S) and ``square`` (F, 3);
    ``.relit.jpg``, ``.face0.gif`` and ``.face0.glb`` if they are asked for.

    Args:
        name: Of the photo, relative to the input.
        photo: RGB.
        faces: In it.
        pictures: What to make of normals.

    Returns:
        Content of each file by its name, and what could not be made, with the reason.
    """
    files = {
        ".json": faces_json(name, photo.shape[:2], faces).encode(),
        ".points.jpg": write_jpeg(draw_points(*enlarged(photo, faces))),
    }
    more, missing = dict[str, bytes](), list[str]()
    if any(face.normals is not None for face in faces):
        files[".normals.jpg"] = write_jpeg(draw_normals(photo, faces))
        files[".shading.jpg"] = write_jpeg(draw_shading(photo, faces, pictures.light))
        files[".npz"] = _arrays(faces)
        for number, face in enumerate(faces):
            files[f".normal{number}.png"] = write_png(normal_colours(face))
        if pictures.relight and pictures.relight != ROTATING:
            files[".relit.jpg"] = write_jpeg(draw_relit(photo, faces, pictures.relight))
        more, missing = _films_and_meshes(name, photo, faces, pictures)
    return {f"{name}{ending}": content for ending, content in files.items()} | more, missing


def _films_and_meshes(
    name: str, photo: Image, faces: Sequence[Face], pictures: Pictures
) -> tuple[dict[str, bytes], list[str]]:
    files, missing = dict[str, bytes](), list[str]()
    wanted = []
    if pictures.relight == ROTATING:
        wanted.append(("film", partial(film_file, kind=pictures.film)))
    if pictures.mesh:
        wanted.append(("mesh", partial(face_mesh, kind=pictures.mesh)))
    for what, make in wanted:
        for number, face in enumerate(faces):
            try:
                files |= make(f"{name}.face{number}", photo, face)
            except UserError as error:
                missing.append(f"face {number} has no {what}: {error}")
    return files, missing


def _arrays(faces: Sequence[Face]) -> bytes:
    file = io.BytesIO()
    np.savez_compressed(
        file,
        normals=np.stack([n for face in faces if (n := face.normals) is not None]),
        mask=np.stack([m for face in faces if (m := face.mask) is not None]),
        square=np.array([face.square for face in faces]),
    )
    return file.getvalue()


def film_file(name: str, photo: Image, face: Face, kind: str) -> dict[str, bytes]:
    """Film a face with normals under a light that goes around it; ``name`` has no ending."""
    if face.normals is None or face.mask is None:
        return {}
    texture = _texture(photo, face, FILM_PX)
    return {f"{name}.{kind}": rotating_light(kind, face.normals, texture, face.mask)}


def face_mesh(name: str, photo: Image, face: Face, kind: str) -> dict[str, bytes]:
    """Make a mesh of a face with normals, whose integral is the depth; the photo is its texture."""
    if face.normals is None or face.mask is None:
        return {}
    depth, path = integrate(face.normals, face.mask), Path(f"{name}.{kind}")
    files = mesh_files(path.name, depth, face.mask, _texture(photo, face), face.normals)
    return {(path.parent / file).as_posix(): content for file, content in files.items()}


def draw_relit(photo: Image, faces: Sequence[Face], light: str) -> Image:
    """Return the photo with each face in a light of ``PRESETS``, which fades into it at the rim."""
    image = photo.copy()
    for face in faces:
        if face.normals is not None and face.mask is not None:
            pixels = relight(face.normals, _texture(photo, face), face.mask, find_light(light))
            lay_over(image, face, np.rint(pixels * 255).astype(np.uint8), RELIT_FADE)
    return image


def _texture(photo: Image, face: Face, most_px: int | None = None) -> npt.NDArray[np.float32]:
    """The face's square, sRGB in [0, 1], (s, s, 3), shrunk to ``most_px`` if it is larger."""
    if face.square is None:
        raise ValueError("a face without normals has no texture")
    side = face.square[2]
    return np.float32(1 / 255) * cut_out(photo, face.square, min(side, most_px or side))


def _by_line(
    name: str, size: tuple[int, int], more: Mapping[str, object], key: str, items: Iterable[str]
) -> str:
    """JSON of a photo or video, which ends in a list with a line an item."""
    head = {
        "format": FORMAT,
        "made_by": f"facegeo {__version__}",
        "file": shown(name),
        "height": size[0],
        "width": size[1],
        "point_names": list(POINT_NAMES),
        **more,
    }
    lines = [f" {json.dumps(name)}: {json.dumps(value)}," for name, value in head.items()]
    listed = [",\n".join("  " + item for item in items)]
    return "\n".join(["{", *lines, f' "{key}": [', *filter(None, listed), " ]\n}\n"])
