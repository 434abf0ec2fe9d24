"""Photographs of generated faces, each decided by seed, split and number only.

``Studio`` makes single faces under lamps, ``photograph_session`` one person before four lights that
flash in turn, as in the Photoface booth, and ``PortraitStudio`` faces in the light of photographs.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from facegeo.rendering import portrait_tracing
from facegeo.rendering.bust import BustBuilder, Hair
from facegeo.rendering.glasses import put_on_glasses
from facegeo.rendering.heads import load_head_model
from facegeo.rendering.lights import LightDraw, draw_lights, flash
from facegeo.rendering.look import (
    draw_expression,
    draw_hair,
    draw_look,
    draw_portrait_look,
    draw_relief,
    fit_eyes,
)
from facegeo.rendering.mesh import Floats
from facegeo.rendering.order import Order
from facegeo.rendering.photo import Bytes, develop, draw_background, draw_setting, take_photo
from facegeo.rendering.render import Render, Renderer, load_kernels, start_warp
from facegeo.rendering.scene import (
    Box,
    draw_pose,
    frame_face,
    frame_head,
    frame_portrait,
    rotation_matrix,
)

LONG_HAIR = Hair(thickness=1.0, hairline_deg=0.0, length=12.0, spread=1.5, parting=65.0)
LIGHTS_DEG = ((38, 42), (38, 138), (33, 222), (33, 318))
"""Zenith and azimuth of the lights, roughly one in each corner of the booth."""
GRAIN = 0.004
BRIGHT = 0.98
"""Share of the face that must not be overexposed under any light."""
GLASSES = 0.14
"""Share of people who wear spectacles."""
FRAMINGS = {"square": frame_portrait, "box": frame_head}


@dataclass(frozen=True)
class Sample:
    """A picture with its ground truth.

    Attributes:
        image: RGB, shape (H, W, 3).
        render: Normals, mask and parts of the same pixels.
        points: LE RE N LM RM in pixels (x, y), 0-based, shape (5, 2).
        box: The face's box.
    """

    image: Bytes
    render: Render
    points: Floats
    box: Box


class Studio:
    """Renders samples of one head model.

    Args:
        kind: Name of the head model.
        path: Its files, where it needs any.
        device: ``cpu`` or ``cuda``.
        shadows: What hides a light throws a shadow.
    """

    def __init__(
        self, kind: str, path: Path | None = None, device: str = "cpu", *, shadows: bool = True
    ) -> None:
        start_warp(device)
        self.model = load_head_model(kind, path)
        self.builder = BustBuilder(self.model.surface)
        calm = self.model.sample(np.random.default_rng(0), {})
        reference = self.builder.build(calm, LONG_HAIR)
        self.renderer = Renderer(self.builder, reference, device, shadows=shadows)

    def photograph(self, key: tuple[int, ...], size: int) -> Sample:
        """Make one sample.

        Args:
            key: Seeds every draw of this sample, see ``Task.key``.
            size: Side of the picture in pixels.
        """
        rng = np.random.default_rng(key)
        hair = draw_hair(rng)
        head = self.model.sample(rng, draw_expression(rng))
        look = draw_look(rng, hair)
        rotation = draw_pose(rng)
        distance = float(np.exp(rng.normal(4.7, 0.45)).clip(45, 300))
        camera, box = frame_head(rng, head, rotation, distance, size)
        fit_eyes(rng, look, head, rotation[2])
        lights = draw_lights(rng)
        self.renderer.load(self.builder.build(head, hair))
        render = self.renderer.render(camera, lights, look, (size, size))
        image = develop(rng, render, draw_background(rng, size))
        return Sample(image, render, camera.project(head.points), box)


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


def _exposure(render: Render) -> float:
    face = render.colour[render.mask]
    return 1.0 / float(np.quantile(face, BRIGHT)) if face.size else 1.0


def _photograph(rng: np.random.Generator, render: Render, exposure: float) -> Bytes:
    light: Floats = render.colour * exposure
    light = light + GRAIN * rng.standard_normal(light.shape, dtype=np.float32)
    return (light * 255 + 0.5).clip(0, 255).astype(np.uint8)


class PortraitStudio(Studio):
    """A ``Studio`` that photographs in the light of environment maps.

    Args:
        kind: Name of the head model.
        path: Its files, where it needs any.
        device: ``cpu`` or ``cuda``.
        shadows: What hides a lamp throws a shadow.
        map_share: Share of pictures that are lit by maps.
        lights: Folder of the user's own maps; None for those that ship with the package.
        framing: ``square``: what ``facegeo-predict`` cuts out for normals; ``box``: a detector's
            box with a margin, as landmark lists have it.

    Raises:
        UserError: If a map cannot be read.
    """

    def __init__(
        self,
        kind: str,
        path: Path | None = None,
        device: str = "cpu",
        *,
        shadows: bool = True,
        map_share: float,
        lights: Path | None = None,
        framing: Literal["square", "box"] = "square",
    ) -> None:
        self._light = LightDraw(map_share, lights)
        super().__init__(kind, path, device, shadows=shadows)
        load_kernels(portrait_tracing, device)
        self._frame = FRAMINGS[framing]

    def photograph(self, key: tuple[int, ...], size: int) -> Sample:
        """Make one sample; see ``Studio.photograph``."""
        rng = np.random.default_rng(key)
        hair, expression, look = draw_portrait_look(rng)
        head = self.model.sample(rng, expression)
        rotation = draw_pose(rng)
        distance = float(np.exp(rng.normal(4.7, 0.45)).clip(45, 300))
        camera, box = self._frame(rng, head, rotation, distance, size)
        fit_eyes(rng, look, head, rotation[2])
        surround = self._light.draw(rng)
        eyes_cm = float(np.linalg.norm(head.points[1] - head.points[0]))
        pixel = distance / camera.focal_px / eyes_cm
        relief = draw_relief(rng, expression, int(rng.integers(1 << 20)), pixel)
        self.renderer.load(self.builder.build(head, hair))
        render = self.renderer.render_portrait(camera, surround, look, relief, (size, size))
        if rng.uniform() < GLASSES:
            render = put_on_glasses(rng, render, head, camera, surround)
        image = take_photo(rng, render, draw_setting(rng, surround, size))
        return Sample(image, render, camera.project(head.points), box)


def studio_for(order: Order) -> Studio:
    """Return what photographs the faces of an order.

    Raises:
        UserError: If a file of the head or of the lights cannot be read.
    """
    if not order.as_portraits:
        return Studio(order.head, order.head_path, order.device, shadows=order.shadows)
    return PortraitStudio(
        order.head,
        order.head_path,
        order.device,
        shadows=order.shadows,
        map_share=order.share_of_maps,
        lights=order.lights,
        framing="square" if order.layout == "portraits" else "box",
    )
