"""Cast rays at a bust and return what a camera records, with its ground truth."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import warp as wp
from numpy.typing import NDArray

from facegeo.rendering.bust import Bust, BustBuilder
from facegeo.rendering.head_model import Floats, Ints, Part
from facegeo.rendering.rays import MOST_LIGHTS, coarse_step, gathered, in_tiles, middles, sweeps
from facegeo.rendering.scene import Camera, Lights
from facegeo.rendering.shading import Look
from facegeo.rendering.tracing import View, trace

SUBPIXELS = np.array([(-0.3, -0.4), (0.4, -0.1), (-0.1, 0.4)], dtype=np.float32)
"""Rays besides the middle one where one is not enough: at outlines and rims of soft shadows."""
SHADOW_CM = 80.0
"""How far shadow rays reach; no bust is as large."""
JUMP = 0.1
"""Difference in the root of the brightness that makes an edge."""

KINDS: dict[str, Any] = {
    "colours": wp.vec4,
    "normals": wp.vec3,
    "parts": int,
    "face": float,
    "lit": int,
    "far": float,
}
"""Outputs of the kernel ``tracing.trace`` in its order, and their types."""

Cast = Callable[[Ints, Floats, Ints, "Seen"], None]


@dataclass(frozen=True)
class Render:
    """One picture before the photographer's camera touches it.

    Attributes:
        colour: Linear colour times coverage, shape (H, W, 3).
        cover: Share of the pixel that the bust covers, shape (H, W).
        normals: Unit normals at the pixel's middle, x right, y up, z to the camera; zeros where
            the ray hits nothing, shape (H, W, 3).
        depth: How far the surface stands out towards the camera from the head's origin, at the
            pixel's middle, in pixels as wide as those at the origin; NaN where the ray hits
            nothing, shape (H, W).
        parts: ``Part`` at the pixel's middle, -1 for none, shape (H, W).
        mask: The face proper: no eyes, no mouth opening, no hair, ears or neck, shape (H, W).
        lips: How red of the lips the surface is, 0 to 1, shape (H, W); None where the kernel does
            not record it.
    """

    colour: Floats
    cover: Floats
    normals: Floats
    depth: Floats
    parts: Ints
    mask: NDArray[np.bool_]
    lips: Floats | None = None


class Renderer:
    """Renders busts of one model; keeps the ray caster's tree between heads.

    Args:
        builder: Gives the triangles, parts and paints that all busts share.
        reference: A bust with long hair; the tree built for it is refitted to all others, so that
            no picture depends on the pictures before it.
        device: ``cpu`` or ``cuda``.
        shadows: What hides a light throws a shadow.
    """

    def __init__(
        self, builder: BustBuilder, reference: Bust, device: str = "cpu", *, shadows: bool = True
    ) -> None:
        self._device = device
        self._shadow_cm = SHADOW_CM if shadows else 0.0
        self._triangles: Any = wp.array(builder.triangles, dtype=wp.vec3i, device=device)
        self._parts: Any = wp.array(builder.parts, dtype=int, device=device)
        self._skin: Any = wp.array(builder.skin, dtype=wp.vec3, device=device)
        self._paint: Any = wp.array(builder.paint, dtype=float, device=device)
        # A branch of the tree for each part: what a head lacks is far off and would bloat others.
        self._mesh = wp.Mesh(
            points=wp.array(reference.vertices, dtype=wp.vec3, device=device),
            indices=wp.array(builder.triangles.ravel(), dtype=int, device=device),
            groups=wp.array(builder.parts, dtype=int, device=device),
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

        Raises:
            ValueError: If there are more lights than there are bits to keep their shadows.
        """
        if len(lights.towards) > MOST_LIGHTS:
            raise ValueError(f"lights must be at most {MOST_LIGHTS}, got {len(lights.towards)}")
        return self._record(camera, self._caster(camera, lights, look), size)

    def _record(self, camera: Camera, cast: Cast, size: tuple[int, int]) -> Render:
        """Cast all rays of a picture and collect what they find."""
        seen = self._seen(size)
        coarse, rest = sweeps(*size)
        cast(*coarse, np.zeros(len(coarse[0]), dtype=np.int32), seen)
        known = gathered(seen.image("lit"), coarse_step(size[1])).ravel()[rest[0]]
        near = np.flatnonzero(known)
        cast(rest[0][near], rest[1][near], known[near], seen)
        parts = seen.image("parts")
        colours = self._smooth(seen, size, cast)
        depth = camera.focal_px * (1 - seen.image("far") / np.float32(camera.distance))
        return Render(
            colour=colours[..., :3],
            cover=colours[..., 3],
            normals=seen.image("normals"),
            depth=np.where(parts < 0, np.float32(np.nan), depth),
            parts=parts,
            mask=(seen.image("face") > 0.5) & (parts == Part.SKIN),
            lips=seen.image("lips") if "lips" in seen.kinds else None,
        )

    def _seen(self, shape: tuple[int, int]) -> "Seen":
        """Return empty outputs for the rays of a picture."""
        return Seen(shape, self._device, KINDS)

    def _smooth(self, seen: "Seen", size: tuple[int, int], cast: Cast) -> Floats:
        """Return the colours, means of several rays at edges; shape (H, W, 4)."""
        colours, order = seen.image("colours"), in_tiles(*size)
        edges = order[_edges(colours, seen.image("parts")).ravel()[order]]
        known = gathered(seen.image("lit"), 1).ravel()[edges]
        finer = self._seen((len(edges), len(SUBPIXELS)))
        pixels = (middles(edges, size[1])[:, None] + SUBPIXELS).reshape(-1, 2)
        slots = np.arange(len(pixels), dtype=np.int32)
        cast(slots, pixels, np.repeat(known, len(SUBPIXELS)), finer)
        flat = colours.reshape(-1, 4)
        flat[edges] += finer.image("colours").sum(axis=1)
        flat[edges] /= 1 + len(SUBPIXELS)
        return colours

    def _view(self, camera: Camera, lights: Lights) -> View:
        view = View()
        view.eye = wp.vec3(*(camera.rotation[2] * camera.distance).tolist())
        view.rotation = wp.mat33(*camera.rotation.ravel().tolist())
        view.focal_px, view.centre = camera.focal_px, wp.vec2(*camera.centre)
        view.sky, view.ground = wp.vec3(*lights.sky.tolist()), wp.vec3(*lights.ground.tolist())
        return view

    def _caster(self, camera: Camera, lights: Lights, look: Look) -> Cast:
        """Return a function that casts rays: places in the outputs, pixels, known bits, outputs."""
        device = self._device
        towards = np.einsum("ij,li->lj", camera.rotation, lights.towards)
        scene: list[Any] = [
            *(self._mesh.id, self._triangles, self._parts, self._normals, self._skin, self._paint),
            *(self._view(camera, lights), look),
            wp.array(towards.astype(np.float32), dtype=wp.vec3, device=device),
            wp.array(lights.colours.astype(np.float32), dtype=wp.vec3, device=device),
            wp.array(lights.softness.astype(np.float32), dtype=float, device=device),
            self._shadow_cm,
        ]

        return caster(trace, scene, device)


def caster(kernel: Any, scene: list[Any], device: str) -> Cast:  # noqa: ANN401  warp has no types
    """Return what casts rays at a scene: a function of slots, pixels, what is known, and results.

    Args:
        kernel: Called with the scene, then pixels, slots, what is known and the output arrays.
        scene: First arguments of the kernel.
        device: Where it runs.
    """

    def cast(slots: Ints, pixels: Floats, known: Ints, seen: Seen) -> None:
        rays: list[Any] = [
            wp.array(pixels, dtype=wp.vec2, device=device),
            wp.array(slots, dtype=int, device=device),
            wp.array(known, dtype=int, device=device),
        ]
        if len(pixels):
            wp.launch(kernel, len(pixels), [*scene, *rays, *seen.arrays()], device=device)

    return cast


class Seen:
    """What rays find, one place a ray; see ``tracing.trace``."""

    def __init__(self, shape: tuple[int, int], device: str, kinds: dict[str, Any]) -> None:
        self._shape, self.kinds = shape, kinds
        self._arrays: dict[str, Any] = {
            name: wp.zeros(shape[0] * shape[1], dtype=kind, device=device)
            for name, kind in kinds.items()
        }
        self._arrays["parts"].fill_(-1)

    def arrays(self) -> list[Any]:
        """Return the kernel's outputs in its order."""
        return list(self._arrays.values())

    def image(self, name: str) -> NDArray[Any]:
        """Return one of them, shape (H, W) or (H, W, C)."""
        found: NDArray[Any] = self._arrays[name].numpy()
        return found.reshape(*self._shape, *found.shape[1:])


def _edges(colours: Floats, parts: Ints) -> NDArray[np.bool_]:
    """Find pixels whose neighbours differ in part or, but for hair, in tone; (H, W)."""
    tone = np.sqrt(np.clip(colours[..., 1], 0, None))
    tone[parts == Part.HAIR] = np.nan  # compares as equal to everything
    found = np.zeros(parts.shape, dtype=bool)
    for axis in (0, 1):
        jump = (np.abs(np.diff(tone, axis=axis)) > JUMP) | (np.diff(parts, axis=axis) != 0)
        before, after = [slice(None)] * 2, [slice(None)] * 2
        before[axis], after[axis] = slice(0, -1), slice(1, None)
        found[tuple(before)] |= jump
        found[tuple(after)] |= jump
    return found
