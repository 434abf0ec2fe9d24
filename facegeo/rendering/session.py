"""One person before four lights that flash in turn, as in the Photoface booth."""

from dataclasses import dataclass

import numpy as np

from facegeo.rendering.boxes import frame_face
from facegeo.rendering.head_model import Floats
from facegeo.rendering.look import draw_expression, draw_hair, draw_look, fit_eyes
from facegeo.rendering.photo import Bytes
from facegeo.rendering.render import Render
from facegeo.rendering.sample import Studio
from facegeo.rendering.scene import Lights, rotation_matrix

LIGHTS_DEG = ((38, 42), (38, 138), (33, 222), (33, 318))
"""Zenith and azimuth of the lights, roughly one in each corner of the booth."""
GRAIN = 0.004
BRIGHT = 0.98
"""Share of the face that must not be overexposed under any light."""


@dataclass(frozen=True)
class Session:
    """Four photographs from one camera.

    Attributes:
        images: RGB, linear in light, each shape (H, W, 3).
        render: Normals and mask, the same for all.
        angles_deg: Zenith and azimuth of each light.
    """

    images: tuple[Bytes, ...]
    render: Render
    angles_deg: tuple[tuple[float, float], ...]


def photograph_session(
    studio: Studio, person: tuple[int, ...], session: tuple[int, ...], size: int
) -> Session:
    """Make a session.

    Args:
        studio: Renders it.
        person: Seeds the person: shape, hair, skin.
        session: Seeds pose, expression and lights.
        size: Side of the pictures, pixels.
    """
    who, now = np.random.default_rng(person), np.random.default_rng(session)
    hair = draw_hair(who)
    expression = draw_expression(now)
    head = studio.model.sample(who, expression)
    look = draw_look(who, hair)
    look.scatter = 0.0  # light that bleeds under the skin is not what photometric stereo inverts
    pose = now.normal(0, (7, 5, 3)).clip(-20, 20)
    rotation = rotation_matrix(*(float(angle) for angle in pose))
    camera = frame_face(head, studio.builder.surface, rotation, float(now.uniform(130, 220)), size)
    fit_eyes(now, look, head, rotation[2])
    studio.renderer.load(studio.builder.build(head, hair))
    angles = np.array(LIGHTS_DEG) + now.normal(0, 2, (len(LIGHTS_DEG), 2))
    renders = [
        studio.renderer.render(camera, flash(*angle), look, (size, size)) for angle in angles
    ]
    exposure = min(_exposure(render) for render in renders)
    images = tuple(_photograph(now, render, exposure) for render in renders)
    return Session(images, renders[0], tuple((float(z), float(a)) for z, a in angles))


def flash(zenith_deg: float, azimuth_deg: float) -> Lights:
    """Return one hard light and next to no other."""
    zenith, azimuth = np.radians([zenith_deg, azimuth_deg])
    level = np.sin(zenith)
    towards = np.array([level * np.cos(azimuth), level * np.sin(azimuth), np.cos(zenith)])
    dim = np.full(3, 0.01, dtype=np.float32)
    return Lights(
        towards=towards[None].astype(np.float32),
        colours=np.ones((1, 3), dtype=np.float32),
        softness=np.full(1, 0.01, dtype=np.float32),
        sky=dim,
        ground=dim,
    )


def _exposure(render: Render) -> float:
    face = render.colour[render.mask]
    return 1.0 / float(np.quantile(face, BRIGHT)) if face.size else 1.0


def _photograph(rng: np.random.Generator, render: Render, exposure: float) -> Bytes:
    light: Floats = render.colour * exposure
    light = light + GRAIN * rng.standard_normal(light.shape, dtype=np.float32)
    return (light * 255 + 0.5).clip(0, 255).astype(np.uint8)
