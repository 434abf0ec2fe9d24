"""Portraits: generated faces in the light of photographs."""

from pathlib import Path
from typing import Literal

import numpy as np

from facegeo.rendering.boxes import frame_head
from facegeo.rendering.glasses import put_on_glasses
from facegeo.rendering.look import fit_eyes
from facegeo.rendering.portrait_look import (
    LightDraw,
    draw_portrait_look,
    draw_relief,
    frame_portrait,
)
from facegeo.rendering.portrait_photo import draw_setting, take_photo
from facegeo.rendering.portrait_render import PortraitRenderer
from facegeo.rendering.sample import LONG_HAIR, Sample, Studio
from facegeo.rendering.scene import draw_pose
from facegeo.rendering.start import load_kernels

GLASSES = 0.14
"""Share of people who wear spectacles."""
FRAMINGS = {"square": frame_portrait, "box": frame_head}


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
        from facegeo.rendering import portrait_tracing

        load_kernels(portrait_tracing, device)
        reference = self.builder.build(self.model.sample(np.random.default_rng(0), {}), LONG_HAIR)
        self.renderer: PortraitRenderer = PortraitRenderer(
            self.builder, reference, device, shadows=shadows
        )
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
