"""One generated face, decided by seed, split and number alone."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from facegeo.rendering.boxes import Box, frame_head
from facegeo.rendering.bust import BustBuilder, Hair
from facegeo.rendering.head_model import Floats, load_head_model
from facegeo.rendering.look import draw_expression, draw_hair, draw_look, fit_eyes
from facegeo.rendering.photo import Bytes, develop, draw_background
from facegeo.rendering.render import Render, Renderer
from facegeo.rendering.scene import draw_lights, draw_pose
from facegeo.rendering.start import start_warp

LONG_HAIR = Hair(thickness=1.0, hairline_deg=0.0, length=12.0, spread=1.5, parting=65.0)


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
