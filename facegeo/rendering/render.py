"""Cast rays at a bust and return what a camera records, with its ground truth.

Every pixel of a picture keeps an integer: bit k is set where light k was found to shine on the
surface, bit k + 8 where something hides it, neither where the surface is turned away; bit 16 is
set where there is a surface. Amid pixels that agree on a light no further shadow ray is cast for
it, and far from any surface no ray at all.
"""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from types import ModuleType
from typing import Any

import numpy as np
import warp as wp
from numpy.typing import NDArray

from facegeo.errors import UserError
from facegeo.rendering import portrait_tracing, tracing
from facegeo.rendering.bust import Bust, BustBuilder
from facegeo.rendering.heads import Part
from facegeo.rendering.lights import Lights, Surround
from facegeo.rendering.mesh import Floats, Ints
from facegeo.rendering.relief import Relief
from facegeo.rendering.scene import Camera
from facegeo.rendering.shading import Look
from facegeo.rendering.tracing import MOST_LIGHTS

ACROSS = 85
"""Points across a picture where shadow rays are cast without question; more never hurts."""
TILE = 8
"""Side of the squares in which pixels are visited: neighbouring rays read the same memory."""
SUBPIXELS = np.array([(-0.3, -0.4), (0.4, -0.1), (-0.1, 0.4)], dtype=np.float32)
"""Rays besides the middle one where one is not enough: at outlines and rims of soft shadows."""
SHADOW_CM = 80.0
"""How far shadow rays reach; no bust is as large."""
JUMP = 0.1
"""Difference in the root of the brightness that makes an edge."""
OUTPUTS: dict[str, Any] = {
    "colours": wp.vec4,
    "normals": wp.vec3,
    "parts": int,
    "face": float,
    "lips": float,
    "lit": int,
    "far": float,
}
"""Arrays of ``tracing.Seen`` and their types."""

Cast = Callable[[Ints, Floats, Ints, "Seen"], None]
"""Casts rays: places in the outputs, pixels, known bits of lights, outputs."""


def start_warp(device: str) -> None:
    """Load the library and the kernels; compiles them the first time, for some seconds.

    Args:
        device: ``cpu`` or ``cuda``.

    Raises:
        UserError: If a GPU is requested but not available.
    """
    wp.config.log_level = getattr(wp, "LOG_WARNING", 30)
    with _silent_stderr():
        wp.init()  # type: ignore[no-untyped-call]
        found = device != "cuda" or wp.is_cuda_available()
    if not found:
        raise UserError(
            "device=cuda needs an NVIDIA GPU and its driver, found none; set device=cpu"
        )
    load_kernels(tracing, device)


def load_kernels(module: ModuleType, device: str) -> None:
    """Load more kernels once warp has started; compiles them the first time."""
    with _silent_stderr():
        wp.load_module(module, device=device)


@contextmanager
def _silent_stderr() -> Iterator[None]:
    """Drop what native code writes: a line on missing GPUs, and the compiler's remarks."""
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


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
        lips: How red of the lips the skin is, 0 to 1, shape (H, W).
    """

    colour: Floats
    cover: Floats
    normals: Floats
    depth: Floats
    parts: Ints
    mask: NDArray[np.bool_]
    lips: Floats


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
        # A branch of the tree for each part: what a head lacks is far off and would bloat others.
        self._mesh = wp.Mesh(
            points=self._array(reference.vertices, wp.vec3),
            indices=self._array(builder.triangles.ravel(), int),
            groups=self._array(builder.parts, int),
        )
        self._body: Any = tracing.Body()
        self._body.mesh = self._mesh.id
        self._body.triangles = self._array(builder.triangles, wp.vec3i)
        self._body.parts = self._array(builder.parts, int)
        self._body.skin = self._array(builder.skin, wp.vec3)
        self._body.paint = self._array(builder.paint, float)
        self._body.normals = self._array(reference.normals, wp.vec3)

    def load(self, bust: Bust) -> None:
        """Take a new bust; several pictures may follow."""
        self._mesh.points = self._array(bust.vertices, wp.vec3)
        self._body.normals = self._array(bust.normals, wp.vec3)

    def render(self, camera: Camera, lights: Lights, look: Look, size: tuple[int, int]) -> Render:
        """Render the loaded bust under lamps and a sky.

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
        sky, ground = (wp.vec3(*colour.tolist()) for colour in (lights.sky, lights.ground))
        scene = [self._body, _view(camera), look, sky, ground, self._lamps(camera, lights)]
        return self._record(camera, self._caster(tracing.trace, scene), size)

    def render_portrait(
        self, camera: Camera, surround: Surround, look: Look, relief: Relief, size: tuple[int, int]
    ) -> Render:
        """Render the loaded bust in surrounding light, by kernels that ``load_kernels`` loaded.

        Args:
            camera: Where from.
            surround: What shines.
            look: Colours of the surface.
            relief: Fine shape of the skin.
            size: Height and width in pixels.

        Returns:
            The picture; its normals are those that the light fell on, relief included.
        """
        around: Any = portrait_tracing.Surrounding()
        around.harmonics = self._array(surround.harmonics, wp.vec3)
        around.radiance = self._array(surround.radiance, wp.vec3)
        around.to_map = wp.mat33(*surround.to_map.ravel().tolist())
        lamps = self._lamps(camera, surround.lamps)
        scene = [self._body, _view(camera), look, relief, around, lamps]
        return self._record(camera, self._caster(portrait_tracing.trace_portrait, scene), size)

    def _record(self, camera: Camera, cast: Cast, size: tuple[int, int]) -> Render:
        """Cast all rays of a picture and collect what they find."""
        seen = Seen(size, self._device)
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
            lips=seen.image("lips"),
        )

    def _smooth(self, seen: "Seen", size: tuple[int, int], cast: Cast) -> Floats:
        """Return the colours, means of several rays at edges; shape (H, W, 4)."""
        colours, order = seen.image("colours"), in_tiles(*size)
        edges = order[_edges(colours, seen.image("parts")).ravel()[order]]
        known = gathered(seen.image("lit"), 1).ravel()[edges]
        finer = Seen((len(edges), len(SUBPIXELS)), self._device)
        pixels = (middles(edges, size[1])[:, None] + SUBPIXELS).reshape(-1, 2)
        slots = np.arange(len(pixels), dtype=np.int32)
        cast(slots, pixels, np.repeat(known, len(SUBPIXELS)), finer)
        flat = colours.reshape(-1, 4)
        flat[edges] += finer.image("colours").sum(axis=1)
        flat[edges] /= 1 + len(SUBPIXELS)
        return colours

    def _lamps(self, camera: Camera, lights: Lights) -> Any:  # noqa: ANN401  warp has no types
        lamps: Any = tracing.Lamps()
        towards = np.einsum("ij,li->lj", camera.rotation, lights.towards)
        lamps.towards = self._array(towards, wp.vec3)
        lamps.colours = self._array(lights.colours, wp.vec3)
        lamps.softness = self._array(lights.softness, float)
        lamps.shadow_cm = self._shadow_cm
        return lamps

    def _caster(self, kernel: Any, scene: list[Any]) -> Cast:  # noqa: ANN401
        """Return a function that casts rays at a scene, the first arguments of the kernel."""

        def cast(slots: Ints, pixels: Floats, known: Ints, seen: Seen) -> None:
            rays: Any = tracing.Rays()
            rays.pixels = self._array(pixels, wp.vec2)
            rays.slots, rays.known = self._array(slots, int), self._array(known, int)
            if len(pixels):
                wp.launch(kernel, len(pixels), [*scene, rays, seen.struct], device=self._device)

        return cast

    def _array(self, values: NDArray[Any], dtype: Any) -> Any:  # noqa: ANN401
        if values.dtype == np.float64:
            values = values.astype(np.float32)
        return wp.array(values, dtype=dtype, device=self._device)


def _view(camera: Camera) -> Any:  # noqa: ANN401
    view: Any = tracing.View()
    view.eye = wp.vec3(*(camera.rotation[2] * camera.distance).tolist())
    view.rotation = wp.mat33(*camera.rotation.ravel().tolist())
    view.focal_px, view.centre = camera.focal_px, wp.vec2(*camera.centre)
    return view


class Seen:
    """What rays find, one place a ray, as arrays of ``tracing.Seen``."""

    def __init__(self, shape: tuple[int, int], device: str) -> None:
        self._shape = shape
        self.struct: Any = tracing.Seen()
        for name, kind in OUTPUTS.items():
            setattr(self.struct, name, wp.zeros(shape[0] * shape[1], dtype=kind, device=device))
        self.struct.parts.fill_(-1)

    def image(self, name: str) -> NDArray[Any]:
        """Return one of them, shape (H, W) or (H, W, C)."""
        found: NDArray[Any] = getattr(self.struct, name).numpy()
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


@lru_cache(maxsize=4)
def in_tiles(height: int, width: int) -> Ints:
    """Return the numbers of all pixels, counted row by row, tile by tile, shape (H * W,)."""
    y, x = (each.ravel() for each in np.mgrid[:height, :width])
    return np.lexsort((x, y, x // TILE, y // TILE)).astype(np.int32)


def coarse_step(width: int) -> int:
    """Return how many pixels apart the points of the coarse grid are."""
    return max(1, width // ACROSS)


@lru_cache(maxsize=4)
def sweeps(height: int, width: int) -> tuple[tuple[Ints, Floats], tuple[Ints, Floats]]:
    """Return number and middle of the pixels of the coarse grid, and of all others."""
    order, step = in_tiles(height, width), coarse_step(width)
    coarse = (order % width % step == 0) & (order // width % step == 0)
    first, second = order[coarse], order[~coarse]
    return (first, middles(first, width)), (second, middles(second, width))


def middles(slots: Ints, width: int) -> Floats:
    """Return the middles (x, y) of pixels counted row by row, shape (N, 2)."""
    return np.stack([slots % width, slots // width], axis=1).astype(np.float32)


def gathered(bits: Ints, reach: int) -> Ints:
    """Gather the bits of all pixels up to ``reach`` rows and columns away, shape (H, W).

    A light with one of its two bits set is agreed on; with both, or none, it is not.
    """
    wide = bits.copy()
    for step in range(1, reach + 1):
        wide[:, step:] |= bits[:, :-step]
        wide[:, :-step] |= bits[:, step:]
    found = wide.copy()
    for step in range(1, reach + 1):
        found[step:] |= wide[:-step]
        found[:-step] |= wide[step:]
    return found
