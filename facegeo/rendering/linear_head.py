"""A head model as a mean shape plus weighted modes: what Anny and ICT-FaceKit both reduce to."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from facegeo.rendering.head_model import Floats, Head, Ints, Paint, Surface


@dataclass(frozen=True)
class Marks:
    """Vertex numbers that locate features.

    Attributes:
        lids: Rims of the left and the right eye opening.
        eyeballs: Vertices that lie on the left and the right eyeball.
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


class LinearHeadModel:
    """Draws weights and adds up modes.

    Args:
        mean: Mean shape, shape (N, 3), head frame, cm.
        surface: Topology and paints.
        marks: Where the features are.
        modes: What varies.
    """

    def __init__(self, mean: Floats, surface: Surface, marks: Marks, modes: Modes) -> None:
        self.mean, self._surface, self.marks, self.modes = mean, surface, marks, modes

    @property
    def surface(self) -> Surface:
        """Topology and paints."""
        return self._surface

    def sample(self, rng: np.random.Generator, expression: Mapping[str, float]) -> Head:
        """Draw a person and give them an expression; see ``HeadModel``."""
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


def fit_sphere(vertices: Floats) -> tuple[Floats, float]:
    """Return middle, shape (3,), and radius of the sphere nearest to points, shape (N, 3)."""
    shift = vertices.mean(axis=0, dtype=np.float64)
    local = vertices.astype(np.float64) - shift
    system = np.concatenate([2 * local, np.ones((len(local), 1))], axis=1)
    # Normal equations of 4 unknowns by einsum: the same bits for any number of BLAS threads.
    left = np.einsum("ni,nj->ij", system, system)
    right = np.einsum("ni,n->i", system, (local**2).sum(axis=1))
    *middle, rest = np.linalg.solve(left, right)
    radius = float(np.sqrt(rest + np.dot(middle, middle)))
    return (np.array(middle) + shift).astype(np.float32), radius


def weighted_sum(weights: Floats, modes: Floats) -> Floats:
    """Add up modes, shape (K, M), by weights, shape (K,): the same bits for any BLAS threads."""
    # einsum sums in its own order: a BLAS product depends on the number of threads.
    used = np.flatnonzero(weights)
    if not used.size:
        return np.zeros(modes.shape[1], dtype=np.float32)
    total: Floats = np.einsum("k,kn->n", weights[used].astype(np.float32), modes[used])
    return total


def save_linear_head(model: LinearHeadModel, path: Path) -> None:
    """Write a reduced model to one ``.npz`` file, atomically."""
    surface, marks, modes = model.surface, model.marks, model.modes
    arrays = {f"paint_{f.name}": getattr(surface.paint, f.name) for f in fields(Paint)}
    arrays |= {f"modes_{f.name}": np.asarray(getattr(modes, f.name)) for f in fields(Modes)}
    arrays |= {
        "mean": model.mean,
        "triangles": surface.triangles,
        "parts": surface.parts,
        "skin": surface.skin,
        "lids_0": marks.lids[0],
        "lids_1": marks.lids[1],
        "eyeball_0": marks.eyeballs[0],
        "eyeball_1": marks.eyeballs[1],
        "nose": np.array(marks.nose),
        "mouth": marks.mouth,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{np.random.default_rng().integers(1 << 40)}.part")
    with part.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)
    part.replace(path)


def read_linear_head(path: Path) -> LinearHeadModel:
    """Read what ``save_linear_head`` wrote."""
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
    return LinearHeadModel(arrays["mean"], surface, marks, Modes(action_names=names, **modes))
