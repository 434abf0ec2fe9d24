"""Render busts in surrounding light, with relief in the normals."""

from typing import Any

import numpy as np
import warp as wp

from facegeo.rendering.environment import Surround
from facegeo.rendering.head_model import Floats
from facegeo.rendering.portrait_shading import PortraitView
from facegeo.rendering.portrait_tracing import trace_portrait
from facegeo.rendering.relief import Relief
from facegeo.rendering.render import KINDS, Cast, Render, Renderer, Seen, caster
from facegeo.rendering.scene import Camera
from facegeo.rendering.shading import Look

PORTRAIT_KINDS = KINDS | {"lips": float}
CORNEA = 0.6
"""How much steeper than the eyeball the cornea bulges."""


class PortraitRenderer(Renderer):
    """A ``Renderer`` that knows light from all sides; see there for its arguments."""

    def render_portrait(
        self,
        camera: Camera,
        surround: Surround,
        look: Look,
        relief: Relief,
        size: tuple[int, int],
    ) -> Render:
        """Render the loaded bust.

        Args:
            camera: Where from.
            surround: What shines.
            look: Colours of the surface.
            relief: Fine shape of the skin.
            size: Height and width in pixels.

        Returns:
            The picture; its normals are those that the light fell on, relief included.
        """
        cast = self._portrait_caster(camera, surround, look, relief)
        return self._record(camera, cast, size)

    def _seen(self, shape: tuple[int, int]) -> Seen:
        return Seen(shape, self._device, PORTRAIT_KINDS)

    def _portrait_caster(
        self, camera: Camera, surround: Surround, look: Look, relief: Relief
    ) -> Cast:
        device, lamps = self._device, surround.lamps
        view = PortraitView()
        view.eye = wp.vec3(*(camera.rotation[2] * camera.distance).tolist())
        view.rotation = wp.mat33(*camera.rotation.ravel().tolist())
        view.focal_px, view.centre = camera.focal_px, wp.vec2(*camera.centre)
        view.to_map = wp.mat33(*surround.to_map.ravel().tolist())
        view.cornea = CORNEA
        towards = np.einsum("ij,li->lj", camera.rotation, lamps.towards)

        def vectors(values: Floats) -> Any:  # noqa: ANN401
            return wp.array(values.astype(np.float32), dtype=wp.vec3, device=device)

        scene: list[Any] = [
            *(self._mesh.id, self._triangles, self._parts, self._normals, self._skin, self._paint),
            *(view, look, relief),
            *(vectors(surround.harmonics), vectors(surround.radiance)),
            *(vectors(towards), vectors(lamps.colours)),
            wp.array(lamps.softness.astype(np.float32), dtype=float, device=device),
            self._shadow_cm,
        ]

        return caster(trace_portrait, scene, device)
