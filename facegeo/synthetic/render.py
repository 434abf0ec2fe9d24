"""Cast rays at a bust and return what a camera records, with its ground truth."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import warp as wp
from numpy.typing import NDArray

from facegeo.synthetic.bust import Bust, BustBuilder
from facegeo.synthetic.head_model import Floats, Ints, Part
from facegeo.synthetic.scene import Camera, Lights
from facegeo.synthetic.shading import Look
from facegeo.synthetic.tracing import View, trace

SUBPIXELS = np.array([(-0.3, -0.4), (0.4, -0.1), (-0.1, 0.4)])
"""Rays besides the middle one where one is not enough: at outlines and rims of soft shadows."""


@dataclass(frozen=True)
class Render:
    """One picture before the photographer's camera touches it.

    Attributes:
        colour: Linear colour times coverage, shape (H, W, 3).
        cover: Share of the pixel that the bust covers, shape (H, W).
        normals: Unit normals at the pixel's middle, x right, y up, z to the camera; zeros where
            the ray hits nothing, shape (H, W, 3).
        parts: ``Part`` at the pixel's middle, -1 for none, shape (H, W).
        mask: The face proper: no eyes, no mouth opening, no hair, ears or neck, shape (H, W).
        where: Head frame position of the surface at the pixel's middle, cm, shape (H, W, 3).
    """

    colour: Floats
    cover: Floats
    normals: Floats
    parts: Ints
    mask: NDArray[np.bool_]
    where: Floats


class Renderer:
    """Renders busts of one model; keeps the ray caster's tree between heads.

    Args:
        builder: Gives the triangles, parts and paints that all busts share.
        reference: A bust with long hair; the tree built for it is refitted to all others, so that
            no picture depends on the pictures before it.
        device: ``cpu`` or ``cuda``.
    """

    def __init__(self, builder: BustBuilder, reference: Bust, device: str = "cpu") -> None:
        self._device = device
        self._triangles: Any = wp.array(builder.triangles, dtype=wp.vec3i, device=device)
        self._parts: Any = wp.array(builder.parts, dtype=int, device=device)
        self._skin: Any = wp.array(builder.skin, dtype=wp.vec3, device=device)
        self._paint: Any = wp.array(builder.paint, dtype=float, device=device)
        self._mesh = wp.Mesh(
            points=wp.array(reference.vertices, dtype=wp.vec3, device=device),
            indices=wp.array(builder.triangles.ravel(), dtype=int, device=device),
        )
        self._normals: Any = wp.array(reference.normals, dtype=wp.vec3, device=device)

    def load(self, bust: Bust) -> None:
        """Take a new bust; several pictures may follow."""
        self._mesh.points = wp.array(bust.vertices, dtype=wp.vec3, device=self._device)
        self._normals = wp.array(bust.normals, dtype=wp.vec3, device=self._device)

    def render(self, camera: Camera, lights: Lights, look: Look, size: tuple[int, int]) -> Render:
        """Render the loaded bust.

        Args:
            camera: Where from.
            lights: What shines.
            look: What the surface is like.
            size: Height and width in pixels.
        """
        height, width = size
        y, x = np.mgrid[:height, :width]
        middles = np.stack([x.ravel(), y.ravel()], axis=1).astype(np.float32)
        view = self._view(camera, lights)
        colours, normals, parts, face, where = self._trace(middles, view, camera, lights, look)
        shape = (height, width)
        colours = colours.reshape(*shape, 4)
        parts = parts.reshape(shape)
        edges = np.flatnonzero(_edges(colours, parts))
        if edges.size:
            rays = (middles[edges, None] + SUBPIXELS).reshape(-1, 2).astype(np.float32)
            finer, *_ = self._trace(rays, view, camera, lights, look)
            flat = colours.reshape(-1, 4)
            flat[edges] += finer.reshape(-1, len(SUBPIXELS), 4).sum(axis=1)
            flat[edges] /= 1 + len(SUBPIXELS)
        return Render(
            colour=colours[..., :3],
            cover=colours[..., 3],
            normals=normals.reshape(*shape, 3),
            parts=parts,
            mask=(face.reshape(shape) > 0.5) & (parts == Part.SKIN),
            where=where.reshape(*shape, 3),
        )

    def _view(self, camera: Camera, lights: Lights) -> View:
        view = View()
        view.eye = wp.vec3(*(camera.rotation[2] * camera.distance).tolist())
        view.rotation = wp.mat33(*camera.rotation.ravel().tolist())
        view.focal_px, view.centre = camera.focal_px, wp.vec2(*camera.centre)
        view.sky, view.ground = wp.vec3(*lights.sky.tolist()), wp.vec3(*lights.ground.tolist())
        return view

    def _trace(
        self, pixels: Floats, view: View, camera: Camera, lights: Lights, look: Look
    ) -> tuple[Any, ...]:
        count, device = len(pixels), self._device
        towards = np.einsum("ij,li->lj", camera.rotation, lights.towards)
        inputs: list[Any] = [
            wp.array(towards.astype(np.float32), dtype=wp.vec3, device=device),
            wp.array(lights.colours.astype(np.float32), dtype=wp.vec3, device=device),
            wp.array(lights.softness.astype(np.float32), dtype=float, device=device),
            wp.array(pixels, dtype=wp.vec2, device=device),
        ]
        outputs: list[Any] = [
            wp.zeros(count, dtype=kind, device=device)
            for kind in (wp.vec4, wp.vec3, int, float, wp.vec3)
        ]
        mesh = [self._mesh.id, self._triangles, self._parts, self._normals, self._skin, self._paint]
        wp.launch(trace, count, [*mesh, view, look, *inputs, *outputs], device=device)
        return tuple(output.numpy() for output in outputs)


def _edges(colours: Floats, parts: Ints) -> NDArray[np.bool_]:
    """Find pixels whose neighbours differ in part or, but for hair, in brightness; (H, W)."""
    tone = np.sqrt(np.clip(colours[..., 1], 0, None))
    tone[parts == Part.HAIR] = np.nan  # compares as equal to everything
    found = np.zeros(parts.shape, dtype=bool)
    for axis in (0, 1):
        jump = (np.abs(np.diff(tone, axis=axis)) > 0.08) | (np.diff(parts, axis=axis) != 0)
        before, after = [slice(None)] * 2, [slice(None)] * 2
        before[axis], after[axis] = slice(0, -1), slice(1, None)
        found[tuple(before)] |= jump
        found[tuple(after)] |= jump
    return found
