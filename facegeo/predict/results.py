"""What a predicted file leaves: JSON, rows of the list of points, pictures, arrays."""

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from facegeo import __version__
from facegeo.errors import UserError
from facegeo.geometry.light import LIGHTS
from facegeo.geometry.windows import POINT_NAMES
from facegeo.predict.drawing import draw_normals, draw_points, draw_shading, enlarged
from facegeo.predict.face import FORMAT, Face, Image
from facegeo.predict.folder import OutputFolder
from facegeo.predict.photo import write_jpeg
from facegeo.predict.sources import shown
from facegeo.predict.surfaces import ROTATING, check_surfaces, draw_relit, keep_films, keep_meshes
from facegeo.predict.tracks import Seen

LIST = "points.csv"
BOX_COLUMNS = ("left", "right", "top", "bottom")
POINT_COLUMNS = tuple(f"{name}_{axis}" for name in POINT_NAMES for axis in "xy")
COLUMNS = ("file", "frame", "face", *BOX_COLUMNS, *POINT_COLUMNS, "detected")


@dataclass(frozen=True)
class Looks:
    """What is made of normals.

    Attributes:
        light: Light of the shading, a key of ``facegeo.geometry.light.LIGHTS``.
        relight: Another light: a key of ``facegeo.surfaces.lights.PRESETS``, or ``ROTATING``.
        film: With ``ROTATING``: a kind of film, of ``facegeo.predict.surfaces.FILMS``.
        mesh: A kind of mesh, of ``facegeo.surfaces.mesh.KINDS``.
    """

    light: str = "left"
    relight: str | None = None
    film: str = "gif"
    mesh: str | None = None

    def check(self, *, normals: bool) -> None:
        """See that all that is asked for can be made.

        Args:
            normals: Whether there are normals to make it of.

        Raises:
            UserError: If a name is unknown, or normals are needed and missing.
        """
        if self.light not in LIGHTS:
            raise UserError(f"light must be one of {', '.join(LIGHTS)}; got {self.light!r}")
        if self.light != Looks.light and not normals:
            raise UserError(f"light={self.light} is for the shading of normals; add normals=MODEL")
        check_surfaces(self.relight, self.film, self.mesh, normals=normals)

    def of_photos_alone(self) -> list[str]:
        """Return the keys that say nothing to videos."""
        keys = {
            f"light={self.light}": self.light != Looks.light,
            f"relight={ROTATING}": self.relight == ROTATING,
            f"mesh={self.mesh}": self.mesh,
        }
        return [key for key, asked in keys.items() if asked]


def faces_json(name: str, size: tuple[int, int], faces: Sequence[Face]) -> str:
    """Return the faces of one photo as JSON, a line a face.

    Args:
        name: Of the photo, as the command was given it.
        size: Height and width of the photo, px.
        faces: All but their normal maps are told.
    """
    return _by_line(_head(name, size), "faces", [json.dumps(face.record()) for face in faces])


def video_json(name: str, size: tuple[int, int], rate: float, frames: Iterable[str]) -> str:
    """Return the faces of a video as JSON, a line a frame.

    Args:
        name: Of the video.
        size: Height and width, px.
        rate: Frames a second.
        frames: A line of ``frame_json`` for each.
    """
    return _by_line({**_head(name, size), "frames_per_second": rate}, "frames", frames)


def frame_json(number: int, seconds: float, seen: Sequence[Seen], faces: Sequence[Face]) -> str:
    """Return the faces of one frame of a video as a line of JSON.

    Args:
        number: Of the frame.
        seconds: Its time.
        seen: Whose the faces are, and whether they were detected or held where they last were.
        faces: In it.
    """
    told = [
        {"track": track, "detected": detected, **face.record()}
        for (track, detected), face in zip(seen, faces, strict=True)
    ]
    return json.dumps({"frame": number, "seconds": round(seconds, 4), "faces": told})


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
        frame: Of the video; None for a photo.
        seen: Whose the faces are; None counts them.
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


def keep_photo(
    out: OutputFolder, name: str, photo: Image, faces: Sequence[Face], looks: Looks
) -> list[str]:
    """Write what was found in one photo, under its name with an ending more.

    ``.json``; ``.points.jpg``; with normals ``.normals.jpg``, ``.shading.jpg`` and ``.npz`` with
    the arrays ``normals`` (F, S, S, 3), ``mask`` (F, S, S) and ``square`` (F, 3); ``.relit.jpg``,
    films and meshes if they are asked for.

    Returns:
        What could not be made of it, and why.

    Raises:
        UserError: If one of the files is somebody else's.
    """
    missing: list[str] = []
    out.write(f"{name}.json", faces_json(name, photo.shape[:2], faces))
    out.write(f"{name}.points.jpg", write_jpeg(draw_points(*enlarged(photo, faces))))
    if any(face.normals is not None for face in faces):
        out.write(f"{name}.normals.jpg", write_jpeg(draw_normals(photo, faces)))
        out.write(f"{name}.shading.jpg", write_jpeg(draw_shading(photo, faces, looks.light)))
        arrays = io.BytesIO()
        np.savez_compressed(
            arrays,
            normals=np.stack([n for face in faces if (n := face.normals) is not None]),
            mask=np.stack([m for face in faces if (m := face.mask) is not None]),
            square=np.array([face.square for face in faces]),
        )
        out.write(f"{name}.npz", arrays.getvalue())
        if looks.relight == ROTATING:
            missing += keep_films(out, name, photo, faces, looks.film)
        elif looks.relight:
            out.write(f"{name}.relit.jpg", write_jpeg(draw_relit(photo, faces, looks.relight)))
        if looks.mesh:
            missing += keep_meshes(out, name, photo, faces, looks.mesh)
    return missing


def _by_line(head: Mapping[str, Any], key: str, items: Iterable[str]) -> str:
    lines = [f" {json.dumps(name)}: {json.dumps(value)}," for name, value in head.items()]
    listed = ",\n".join("  " + item for item in items)
    return "\n".join(
        ["{", *lines, f" {json.dumps(key)}: [", *([listed] if listed else []), " ]\n}\n"]
    )


def _head(name: str, size: tuple[int, int]) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "made_by": f"facegeo {__version__}",
        "file": shown(name),
        "height": size[0],
        "width": size[1],
        "point_names": list(POINT_NAMES),
    }
