"""Spectacles painted over a render; the normals stay those of the face beneath."""

from dataclasses import replace

import cv2
import numpy as np

from facegeo.rendering.heads import Head
from facegeo.rendering.lights import Surround
from facegeo.rendering.mesh import Floats
from facegeo.rendering.render import Render
from facegeo.rendering.scene import Camera

FINER = 4
"""Frames are painted in a picture this much larger, for smooth edges."""
HIDDEN_CM = 0.4
"""How far behind the surface a frame must be to be hidden."""
COLOURS = ((0.012, 0.011, 0.011), (0.05, 0.025, 0.012), (0.25, 0.24, 0.22), (0.3, 0.2, 0.07))


def put_on_glasses(
    rng: np.random.Generator, render: Render, head: Head, camera: Camera, surround: Surround
) -> Render:
    """Paint spectacles with clear glass: frame, bridge, temples, and what the lenses mirror.

    Args:
        rng: Decides their shape and colour.
        render: Of the bare head.
        head: Who wears them.
        camera: That took the picture.
        surround: Light that frame and lenses send back.

    Returns:
        The render with other colour and cover; nothing else changes.
    """
    size, level = len(render.colour), surround.harmonics[0].clip(0)
    rims, others, tilt = _curves(rng, head)
    width = float(rng.uniform(0.12, 0.5))
    rims_2d = [_visible(curve, render, camera) for curve in rims]
    frame = np.zeros((size * FINER, size * FINER), dtype=np.uint8)
    thick = max(1, round(width * camera.focal_px / camera.distance * FINER))
    for pixels, shown in [*rims_2d, *(_visible(curve, render, camera) for curve in others)]:
        corners = np.rint((pixels + 0.5) * FINER - 0.5).astype(np.int32)
        for first, last, seen in zip(
            corners[:-1], corners[1:], shown[:-1] & shown[1:], strict=True
        ):
            if seen:
                cv2.line(frame, first.tolist(), last.tolist(), 255, thick)
    cover = cv2.resize(frame, (size, size), interpolation=cv2.INTER_AREA)[..., None] / 255
    lens = np.zeros_like(frame)
    for pixels, _ in rims_2d:
        cv2.fillPoly(lens, [np.rint((pixels + 0.5) * FINER - 0.5).astype(np.int32)], 255)
    glass = cv2.resize(lens, (size, size), interpolation=cv2.INTER_AREA)[..., None] / 255
    mirrored = _mirrored(surround, camera, tilt)
    colour = render.colour * (1 - 0.08 * glass) + 0.05 * glass * mirrored
    paint = np.array(COLOURS[int(rng.integers(len(COLOURS)))]) * level
    painted = colour * (1 - cover) + cover * paint
    covered = render.cover + (1 - render.cover) * cover[..., 0]
    return replace(render, colour=painted.astype(np.float32), cover=covered.astype(np.float32))


def _curves(rng: np.random.Generator, head: Head) -> tuple[list[Floats], list[Floats], float]:
    """Return closed rims, then bridge and temples, in the head frame; and the lenses' tilt."""
    apart = float(head.points[1, 0] - head.points[0, 0])
    half = apart * float(rng.uniform(0.35, 0.43))
    high = half * float(rng.uniform(0.6, 1.0))
    square = float(rng.uniform(2.0, 4.5))  # exponent of a superellipse
    front = float(head.eyes[:, 2].mean()) + head.eye_radius + float(rng.uniform(1.1, 1.6))
    drop, tilt = float(rng.uniform(-0.2, 0.5)), float(rng.uniform(0.0, 0.15))
    turn = np.linspace(0, 2 * np.pi, 49)
    x = np.sign(np.cos(turn)) * np.abs(np.cos(turn)) ** (2 / square) * half
    y = np.sign(np.sin(turn)) * np.abs(np.sin(turn)) ** (2 / square) * high
    rims, others = [], []
    for side, eye in zip((-1.0, 1.0), head.points[:2], strict=True):
        middle = np.array([eye[0] + side * 0.12, eye[1] - drop, front])
        bend = 0.12 * np.abs(side * (x + eye[0])) ** 1.5 * 0.2
        rim = middle + np.stack([x, y, tilt * y - bend], axis=1)
        rims.append(rim.astype(np.float32))
        hinge = rim[int(np.argmax(side * rim[:, 0]))] + [0, 0.45 * high, 0]
        reach = np.linspace(0, 1, 24)[:, None]
        ear = np.array([side * max(abs(hinge[0]), 1.14 * apart), hinge[1] + 0.3, -8.0])
        others.append((hinge * (1 - reach) + ear * reach).astype(np.float32))
    inner = [rims[0][int(np.argmax(rims[0][:, 0]))], rims[1][int(np.argmin(rims[1][:, 0]))]]
    across = np.linspace(0, 1, 9)[:, None]
    arch = np.array([0, 0.35, 0.15]) * (1 - (2 * across - 1) ** 2)
    bridge = inner[0] * (1 - across) + inner[1] * across + arch + [0, 0.3 * high, 0]
    return rims, [*others, bridge.astype(np.float32)], tilt


def _visible(
    curve: Floats, render: Render, camera: Camera
) -> tuple[Floats, np.ndarray[tuple[int, ...], np.dtype[np.bool_]]]:
    """Return pixels of a curve, shape (N, 2), and which of its points nothing hides."""
    pixels = camera.project(curve)
    near = camera.to_camera(curve)[:, 2] + camera.distance
    scale = camera.focal_px / camera.distance
    size = len(render.depth)
    column, row = np.rint(pixels).astype(int).clip(0, size - 1).T
    surface = np.nan_to_num(render.depth[row, column], nan=-np.inf)
    return pixels, near * scale > surface - HIDDEN_CM * scale


def _mirrored(surround: Surround, camera: Camera, tilt: float) -> Floats:
    """Return what flat lenses mirror to the camera, one colour, shape (3,)."""
    normal = camera.rotation @ np.array([0, -tilt, 1]) / np.hypot(1, tilt)
    towards = surround.to_map @ (2 * normal[2] * normal - [0, 0, 1])
    rows, columns = surround.radiance.shape[:2]
    row = int(np.arccos(np.clip(towards[1], -1, 1)) / np.pi * rows)
    column = int((np.arctan2(towards[0], towards[2]) / (2 * np.pi) + 0.5) * columns)
    seen: Floats = surround.radiance[min(row, rows - 1), column % columns]
    return np.minimum(seen, 3.0)
