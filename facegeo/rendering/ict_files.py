"""Read ICT-FaceKit, from its own folder or from one compact file.

The compact file holds the same arrays: ``vertices``, ``triangles``, ``triangle_part``,
``part_names``, ``identity_q`` times ``identity_scale``, ``expression_q`` times
``expression_scale``, ``expression_names`` and ``landmarks68``.
"""

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from facegeo.errors import UserError
from facegeo.rendering.mesh import Floats, Ints

NEUTRAL = "generic_neutral_mesh.obj"
LAST_VERTEX = {
    "face": 9408,
    "head_neck": 11247,
    "mouth_socket": 13293,
    "eye_socket_left": 13677,
    "eye_socket_right": 14061,
    "gums_tongue": 17038,
    "teeth": 21450,
    "sclera_left": 22220,
    "iris_left": 23020,
    "sclera_right": 23790,
    "iris_right": 24590,
}
"""Last vertex of each part of the upstream mesh, in its order; lashes and tears follow."""
# Multi-PIE points of the upstream README: jaw, brows, nose, eyes, mouth.
# fmt: off
LANDMARKS = (
    1225, 1888, 1052, 367, 1719, 1722, 2199, 1447, 966, 3661, 4390, 3927, 3924, 2608, 3272, 4088,
    3443, 268, 493, 1914, 2044, 1401, 3615, 4240, 4114, 2734, 2509, 978, 4527, 4942, 4857, 1140,
    2075, 1147, 4269, 3360, 1507, 1542, 1537, 1528, 1518, 1511, 3742, 3751, 3756, 3721, 3725, 3732,
    5708, 5695, 2081, 0, 4275, 6200, 6213, 6346, 6461, 5518, 5957, 5841, 5702, 5711, 5533, 6216,
    6207, 6470, 5517, 5966,
)
# fmt: on


@dataclass(frozen=True)
class IctArrays:
    """ICT-FaceKit in arrays; cm, x to the image's right, y up, z to the viewer.

    Attributes:
        vertices: Neutral mesh, shape (N, 3).
        triangles: Shape (M, 3).
        parts: Name of each triangle's part, shape (M,).
        identity: Offsets of the identity modes, shape (K, N, 3).
        expression: Offsets of the expression modes, shape (L, N, 3).
        expression_names: Upstream's names, e.g. ``browDown_L``.
        landmarks: Vertex numbers of the 68 points.
    """

    vertices: Floats
    triangles: Ints
    parts: np.ndarray[tuple[int], np.dtype[np.str_]]
    identity: Floats
    expression: Floats
    expression_names: tuple[str, ...]
    landmarks: Ints


def read_ict(path: Path) -> IctArrays:
    """Read a compact file, or the folder that ``find_ict`` returned.

    Raises:
        UserError: If it is damaged, or holds a face without the back of the head.
    """
    ict = _read_folder(path) if path.is_dir() else _read_compact(path)
    if not (ict.parts == "head_neck").any():
        raise UserError(
            f"{path} holds a face without head_neck, the back of the head; set head.path to a "
            "file or folder that has it"
        )
    return ict


def find_ict(path: Path | None) -> Path:
    """Return the compact file or the folder with the neutral mesh.

    Raises:
        UserError: If nothing of the kind is there.
    """
    ask = "set head.path to the folder FaceXModel of ICT-FaceKit, the one above it, or an .npz file"
    if path is None:
        raise UserError(f"head=ict needs its files; {ask}")
    if path.is_file() and path.suffix == ".npz":
        return path
    for folder in (path, path / "FaceXModel"):
        if (folder / NEUTRAL).is_file():
            return folder
    raise UserError(
        f"head.path={path} must hold {NEUTRAL} or be an .npz file, found neither; {ask}"
    )


def files_key(source: Path) -> str:
    """Return a hash of what ``find_ict`` returned: of the contents, independent of paths."""
    files = sorted(source.glob("*.obj")) if source.is_dir() else [source]
    stamps = tuple((file, file.stat().st_size, file.stat().st_mtime_ns) for file in files)
    return _contents_key(stamps)


@lru_cache(maxsize=8)
def _contents_key(stamps: tuple[tuple[Path, int, int], ...]) -> str:
    """Read files once while they stay as they are."""
    total = hashlib.sha256()
    for path, _, _ in stamps:
        name = path.name if path.suffix == ".obj" else "compact"
        total.update(f"{name} {hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return total.hexdigest()[:16]


def _read_compact(path: Path) -> IctArrays:
    with np.load(path, allow_pickle=False) as archive:
        arrays = dict(archive)
    try:
        modes = {
            kind: arrays[f"{kind}_q"] * arrays[f"{kind}_scale"][:, None, None]
            for kind in ("identity", "expression")
        }
        return IctArrays(
            vertices=arrays["vertices"].astype(np.float32),
            triangles=arrays["triangles"].astype(np.int32),
            parts=arrays["part_names"][arrays["triangle_part"]],
            identity=modes["identity"].astype(np.float32),
            expression=modes["expression"].astype(np.float32),
            expression_names=tuple(str(name) for name in arrays["expression_names"]),
            landmarks=arrays["landmarks68"].astype(np.int32),
        )
    except KeyError as error:
        raise UserError(
            f"{path} is not a compact ICT-FaceKit file: array {error} is missing"
        ) from error


def _read_folder(folder: Path) -> IctArrays:
    count = LAST_VERTEX["iris_right"] + 1
    neutral, polygons = _read_obj(folder / NEUTRAL)
    if len(neutral) < count:
        raise UserError(
            f"{folder / NEUTRAL} must have {count} vertices or more, got {len(neutral)}"
        )
    fans = [
        (p[0], p[k], p[k + 1]) for p in polygons if max(p) < count for k in range(1, len(p) - 1)
    ]
    triangles = np.array(fans, dtype=np.int32)
    ends = np.array(list(LAST_VERTEX.values()))
    parts = np.array(list(LAST_VERTEX))[np.searchsorted(ends, triangles.max(axis=1))]
    people = sorted(folder.glob("identity[0-9][0-9][0-9].obj"))
    faces = sorted(set(folder.glob("*.obj")) - set(people) - {folder / NEUTRAL})
    if not people or not faces:
        raise UserError(
            f"{folder} must hold identityNNN.obj and expression .obj files; copy it again"
        )
    offsets = [_read_obj(file, faces=False)[0][:count] - neutral[:count] for file in people + faces]
    return IctArrays(
        vertices=neutral[:count],
        triangles=triangles,
        parts=parts,
        identity=np.stack(offsets[: len(people)]),
        expression=np.stack(offsets[len(people) :]),
        expression_names=tuple(file.stem for file in faces),
        landmarks=np.array(LANDMARKS, dtype=np.int32),
    )


def _read_obj(path: Path, *, faces: bool = True) -> tuple[Floats, list[list[int]]]:
    lines = path.read_text().splitlines()
    vertices = [line.split()[1:4] for line in lines if line.startswith("v ")]
    polygons = [
        [int(corner.split("/")[0]) - 1 for corner in line.split()[1:]]
        for line in lines
        if faces and line.startswith("f ")
    ]
    try:
        return np.array(vertices, dtype=np.float32), polygons
    except ValueError as error:
        raise UserError(f"{path} is damaged ({error}); copy ICT-FaceKit again") from error
