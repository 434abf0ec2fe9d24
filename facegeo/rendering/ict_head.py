"""ICT-FaceKit (USC Institute for Creative Technologies, MIT licence) as a head model."""

from pathlib import Path

import numpy as np

from facegeo.rendering.heads import (
    HeadModel,
    Marks,
    Modes,
    Paint,
    Part,
    Surface,
    cached_head,
    five_points,
    skin_frame,
)
from facegeo.rendering.ict_files import IctArrays, files_key, find_ict, read_ict
from facegeo.rendering.mesh import Floats, Ints
from facegeo.rendering.paint import SKULL, dilate, open_sky, scalp_angle

PEOPLE = 256
SPREAD = 1.1
"""Upstream draws weights from N(0, 1); mixing two people narrows that again."""
DROPPED = ("sclera_left", "sclera_right", "iris_left", "iris_right")
PARTS = {"mouth_socket": Part.MOUTH, "gums_tongue": Part.TONGUE, "teeth": Part.TEETH}
PARTS |= {"eye_socket_left": Part.MOUTH, "eye_socket_right": Part.MOUTH}
JAW, MOUTH = slice(0, 17), slice(48, 60)
NOSE_TIP, CORNERS = 30, (48, 54)
BOTH_SIDES = ("browInnerUp", "cheekPuff")
"""Actions that ARKit has once and ICT-FaceKit once a side."""


def load_ict(path: Path | None) -> HeadModel:
    """Return ICT-FaceKit, from the user's cache where it was read before.

    Args:
        path: The upstream folder ``FaceXModel`` or the one above, or a compact ``.npz`` file.

    Raises:
        UserError: If it is not there or damaged.
    """
    source = find_ict(path)
    return cached_head("ict", files_key(source), lambda: reduce_ict(read_ict(source)))


def reduce_ict(ict: IctArrays) -> HeadModel:
    """Give the arrays the form that all head models share."""
    mean = ict.vertices.copy()
    marks = _marks(ict)
    kept = ~np.isin(ict.parts, DROPPED)
    triangles = ict.triangles[kept]
    parts = np.array([PARTS.get(str(p), Part.SKIN) for p in ict.parts[kept]], dtype=np.int32)
    offset, scale = skin_frame(five_points(mean, marks))
    skin = (mean - offset) * scale
    balls = [mean[ball] for ball in marks.eyeballs]
    surface = Surface(
        triangles=triangles,
        parts=parts,
        skin=skin,
        paint=_paint(ict, skin, triangles, marks, open_sky(mean, triangles, balls)),
    )
    rng = np.random.default_rng(0)
    modes = Modes(
        people=ict.identity.reshape(len(ict.identity), -1),
        bank=(SPREAD * rng.normal(size=(PEOPLE, len(ict.identity)))).astype(np.float32),
        pairs=np.zeros((0, mean.size), dtype=np.float32),
        pair_std=np.zeros(0, dtype=np.float32),
        actions=ict.expression.reshape(len(ict.expression), -1),
        action_names=tuple(arkit_name(name) for name in ict.expression_names),
    )
    return HeadModel(mean, surface, marks, modes)


def arkit_name(name: str) -> str:
    """Turn upstream's name of an action into ARKit's, e.g. ``browDown_L`` into ``browDownLeft``."""
    stem, _, side = name.partition("_")
    if stem in BOTH_SIDES:
        return stem
    return stem + {"L": "Left", "R": "Right"}.get(side, "")


def _marks(ict: IctArrays) -> Marks:
    def of(*names: str) -> Ints:
        return np.unique(ict.triangles[np.isin(ict.parts, names)])

    skin = of("face")
    # Upstream's left is the person's, at x > 0; ours is the image's.
    rims = [np.intersect1d(skin, of(f"eye_socket_{side}")) for side in ("right", "left")]
    balls = [of(f"sclera_{side}") for side in ("right", "left")]
    return Marks(
        lids=(rims[0].astype(np.int32), rims[1].astype(np.int32)),
        eyeballs=(balls[0].astype(np.int32), balls[1].astype(np.int32)),
        nose=int(ict.landmarks[NOSE_TIP]),
        mouth=ict.landmarks[list(CORNERS)],
    )


def _paint(ict: IctArrays, skin: Floats, triangles: Ints, marks: Marks, sky: Floats) -> Paint:
    on_face = np.zeros(len(skin), dtype=bool)
    on_face[np.unique(ict.triangles[ict.parts == "face"])] = True
    jaw = skin[ict.landmarks[JAW]]
    scalp = scalp_angle(skin)
    around, height = _directions(skin)
    jaw_around, jaw_height = _directions(jaw)
    order = np.argsort(jaw_around)
    jaw_line = np.interp(around, jaw_around[order], jaw_height[order])
    ear = on_face & (np.abs(skin[:, 0]) > np.abs(jaw[0, 0]) * 1.03) & (skin[:, 2] < jaw[0, 2] + 0.1)
    ear &= (skin[:, 1] > -1.1) & (skin[:, 1] < 0.3)
    inside = (height > jaw_line - 3) & (np.abs(around) < 0.97 * jaw_around.max()) & (scalp < 8)
    lips = on_face & _inside(skin[:, :2], skin[ict.landmarks[MOUTH], :2]) & (skin[:, 2] > -0.2)
    rim = np.zeros(len(skin), dtype=np.float32)
    rim[np.concatenate(marks.lids)] = 1.0
    return Paint(
        lips=lips.astype(np.float32),
        lash=dilate(rim, triangles) * on_face,
        ear=dilate(ear.astype(np.float32), triangles),
        face=(on_face & inside & ~ear).astype(np.float32),
        scalp=scalp,
        open_sky=sky,
    )


def _directions(skin: Floats) -> tuple[Floats, Floats]:
    """Return directions of points as seen from the middle of the skull: around and up, degrees."""
    x, y, z = (skin - SKULL).T
    return np.degrees(np.arctan2(x, z)), np.degrees(np.arctan2(y, np.hypot(x, z)))


def _inside(points: Floats, polygon: Floats) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Return which points, shape (N, 2), are in a polygon, shape (K, 2): odd crossings."""
    start, end = polygon, np.roll(polygon, -1, axis=0)
    x, y = points[:, :1], points[:, 1:]
    spans = (start[:, 1] > y) != (end[:, 1] > y)
    rise = np.where(end[:, 1] == start[:, 1], 1.0, end[:, 1] - start[:, 1])
    crossing = start[:, 0] + (y - start[:, 1]) / rise * (end[:, 0] - start[:, 0])
    odd: np.ndarray[tuple[int], np.dtype[np.bool_]] = (
        (spans & (x < crossing)).sum(axis=1) % 2
    ) == 1
    return odd
