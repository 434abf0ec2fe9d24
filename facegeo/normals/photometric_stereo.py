"""Photometric stereo: normals and albedo from photographs under known lamps.

Woodham (1980): a photograph is ``albedo * max(normal . light, 0)``, so three of them give the
normal. Skin shines and noses throw shadows; ``robust`` finds the photographs that do not fit.
Coleman and Jain (1982) and Barsky and Petrou (2003) test which triples of four lights agree. Here
each pixel weighs: all four fit, or one is an attached shadow, a cast shadow or a highlight.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from facegeo.checks import check_shape
from facegeo.geometry.light import directional_shading

COPLANAR = 20.0
"""Condition number of the light directions above which they count as lying in one plane."""


def light_directions(zenith_deg: Tensor, azimuth_deg: Tensor) -> Tensor:
    """Directions towards lights given by zenith and azimuth.

    Args:
        zenith_deg: From the axis to the camera, shape (N,).
        azimuth_deg: From image right towards up, shape (N,).

    Returns:
        (sin z cos a, sin z sin a, cos z): x right, y up, z to the camera, float64, (N, 3).
    """
    zenith, azimuth = torch.deg2rad(zenith_deg.double()), torch.deg2rad(azimuth_deg.double())
    flat = torch.stack([azimuth.cos(), azimuth.sin()], dim=1) * zenith.sin()[:, None]
    return torch.cat([flat, zenith.cos()[:, None]], dim=1)


def flash_directions(azimuth_deg: Tensor, elevation_deg: Tensor) -> Tensor:
    """Directions towards lights as the Extended Yale Face Database B names them.

    Args:
        azimuth_deg: From the axis to the camera towards the left of the image, shape (N,).
        elevation_deg: Upwards from the horizontal plane, shape (N,).

    Returns:
        (-sin a cos e, sin e, cos a cos e): x right, y up, z to the camera, float64, (N, 3).
    """
    azimuth, elevation = torch.deg2rad(azimuth_deg.double()), torch.deg2rad(elevation_deg.double())
    flat = elevation.cos()
    return torch.stack([-azimuth.sin() * flat, elevation.sin(), azimuth.cos() * flat], dim=1)


def check_lights(lights: Tensor) -> None:
    """Check that lights, directions (N, 3), determine a normal.

    Raises:
        ValueError: If there are fewer than three, all lie near one plane, or one is not finite.
    """
    check_shape("lights", lights, "N", 3)
    if len(lights) < 3:
        raise ValueError(f"photometric stereo needs at least 3 lights, got {len(lights)}")
    spread = _condition(lights.double())
    if not spread <= COPLANAR:
        raise ValueError(
            "light directions must not lie in one plane (condition number at most "
            f"{COPLANAR:g}), got {spread:.3g}"
        )


def _condition(lights: Tensor) -> float:
    """Condition number of light directions (N, 3); infinite if one is not finite."""
    if not lights.isfinite().all():
        return math.inf
    spread = torch.linalg.svdvals(lights)
    return float(spread[0] / spread[-1])


UNSTEADY = 8.0
"""The same for three of four lights, which are then not fitted on their own."""
NOISE = (0.055, 0.004)
"""How far a lit pixel is off its prediction: share of the albedo, and of the full scale."""
ATTACHED = (0.014, 6.0)
"""A light behind the surface: darkness that is e times less likely (share of the albedo), bonus."""
CAST = (0.05, 1.7)
"""A light that something hides: the same, darkness as a share of the light expected."""
HIGHLIGHT = (0.03, 2.0)
"""More light than expected: one less the cosine to the mirror direction that makes it e times
less likely, cost."""
STEEPEST = 0.17
"""Least z of a normal: steeper surfaces are hardly seen."""
DARK = 0.1
"""A pixel below this share of the albedo, or in the noise, gives no normal: shadow, or grazing."""
GRAZING, ENOUGH = 0.2, 5
"""Light that falls at a smaller cosine than the first is left out where the second number of lights
remains: there skin is brighter than Lambert's law has it."""
ROUNDS = 12


@dataclass(frozen=True)
class Surface:
    """Normals and albedo of a surface; all maps have the photographs' size.

    Attributes:
        normals: Unit vectors, x right, y up, z to the camera, float32, shape (3, H, W); zero
            where all photographs are black.
        albedo: Light sent back by a surface that faces its light, shape (H, W).
        lit: Photographs that agree with the surface and are not dark there, bool, (N, H, W).
    """

    normals: Tensor
    albedo: Tensor
    lit: Tensor

    @property
    def valid(self) -> Tensor:
        """Pixels that at least three lights reach, bool, (H, W)."""
        return self.lit.sum(0) >= 3


def least_squares(images: Tensor, lights: Tensor) -> Surface:
    """Fit every photograph at every pixel, shadows and highlights too.

    Args:
        images: Linear in light, in [0, 1], N >= 3, shape (N, H, W).
        lights: Towards the lights, unit vectors (longer ones are brighter), shape (N, 3).

    Raises:
        ValueError: If shapes do not belong together, or as ``check_lights``.
    """
    values, lights = _flat(images, lights)
    return _surface(images, values, lights, _solve(lights, values))


def robust(images: Tensor, lights: Tensor, usable: Tensor | None = None) -> Surface:
    """Fit the photographs that show neither shadow nor highlight at a pixel.

    Four lights: the explanations of the module's text, averaged by their likelihood; a normal
    that points away from the camera is ruled out. Five and more: least squares, reweighted
    ``ROUNDS`` times by Cauchy's weights without pixels that are dark, lit at a grazing angle or not
    usable. Three: least squares.

    Args:
        images: As for ``least_squares``.
        lights: The same.
        usable: With five lights and more, pixels to fit, bool, shape (N, H, W): false where a
            photograph is saturated. None fits all.

    Raises:
        ValueError: If shapes do not belong together, or as ``check_lights``.
    """
    values, lights = _flat(images, lights)
    if len(lights) == 4:
        return _surface(images, values, lights, _weigh_triples(lights, values))
    fit = _solve(lights, values)
    if len(lights) > 4:
        fit = _reweight(lights, values, fit, None if usable is None else usable.flatten(1))
    return _surface(images, values, lights, fit)


def colour_albedo(images: Tensor, lights: Tensor, surface: Surface) -> Tensor:
    """Albedo of each channel, from only the lit photographs.

    Args:
        images: Linear in light, shape (N, C, H, W).
        lights: Towards the lights, shape (N, 3).
        surface: Result of ``robust`` for the mean over the channels.

    Returns:
        Least-squares albedo, float32, shape (C, H, W); from all photographs where none is lit.
    """
    sizes: dict[str, int] = {}
    check_shape("images", images, "N", "C", "H", "W", sizes=sizes)
    check_shape("surface.lit", surface.lit, "N", "H", "W", sizes=sizes)
    shading = directional_shading(surface.normals, lights.float())
    used = torch.where(surface.lit.any(0), shading * surface.lit, shading)[:, None]
    total = (used * used).sum(0)
    return ((used * images).sum(0) / total.clamp_min(1e-6)).clamp_min(0)


def _flat(images: Tensor, lights: Tensor) -> tuple[Tensor, Tensor]:
    """Check both and return pixels, float64 (N, P), and directions, float64 (N, 3)."""
    sizes: dict[str, int] = {}
    check_shape("images", images, "N", "H", "W", sizes=sizes)
    check_shape("lights", lights, "N", 3, sizes=sizes)
    check_lights(lights)
    return images.double().flatten(1), lights.double()


def _solve(lights: Tensor, values: Tensor) -> Tensor:
    """Least squares: normals times albedo, (3, P)."""
    inverse: Tensor = torch.linalg.pinv(lights)
    return inverse @ values


def _weigh_triples(lights: Tensor, values: Tensor) -> Tensor:
    """Normals times albedo of four lights, (3, P)."""
    fit = _solve(lights, values)
    albedo = fit.norm(dim=0)
    off = lights @ fit - values
    answers = [fit]
    costs = [(off**2).sum(0) / (2 * _noise(albedo) ** 2) + _unseen(fit)]
    for odd in range(len(lights)):
        rest = [k for k in range(len(lights)) if k != odd]
        if _condition(lights[rest]) > UNSTEADY:
            continue
        fit = _solve(lights[rest], values[rest])
        answers.append(fit)
        costs.append(_cost_of_odd(values[odd], lights[odd], fit) + _unseen(fit))
    weights = torch.softmax(-torch.stack(costs), dim=0)[:, None]
    found = torch.stack(answers)
    lengths = found.norm(dim=1, keepdim=True)
    mean = (weights * found / lengths.clamp_min(1e-9)).sum(0)
    scaled: Tensor = mean / mean.norm(dim=0).clamp_min(1e-9) * (weights * lengths).sum(0)
    return scaled


def _cost_of_odd(value: Tensor, light: Tensor, fit: Tensor) -> Tensor:
    """Negative log-likelihood (P,) of the photograph that the other three, ``fit``, leave out."""
    albedo, expected = fit.norm(dim=0), light @ fit
    attached = value / (ATTACHED[0] * albedo).clamp_min(1e-9) - ATTACHED[1]
    cast = value / (CAST[0] * torch.maximum(expected, _noise(albedo))) - CAST[1]
    mirror = torch.nn.functional.normalize(light + light.new_tensor([0, 0, light.norm()]), dim=0)
    away = 1 - mirror @ fit / albedo.clamp_min(1e-9)
    bright = HIGHLIGHT[1] + away / HIGHLIGHT[0]
    return torch.where(expected <= 0, attached, torch.where(value <= expected, cast, bright))


def _unseen(scaled: Tensor) -> Tensor:
    """Cost of a normal that points away from the camera, (P,)."""
    missing: Tensor = STEEPEST - scaled[2] / scaled.norm(dim=0).clamp_min(1e-9)
    return 300 * missing.clamp_min(0)


def _noise(albedo: Tensor) -> Tensor:
    return NOISE[0] * albedo + NOISE[1]


def _reweight(lights: Tensor, values: Tensor, start: Tensor, usable: Tensor | None) -> Tensor:
    """Iteratively reweighted least squares, (3, P)."""
    scaled, lengths = start, lights.norm(dim=1, keepdim=True)
    steady = 1e-6 * torch.eye(3, dtype=lights.dtype, device=lights.device)
    for _ in range(ROUNDS):
        albedo, expected = scaled.norm(dim=0), lights @ scaled
        seen = values > DARK * albedo
        steep = seen & (expected > GRAZING * lengths * albedo)
        seen = torch.where(steep.sum(0) >= ENOUGH, steep, seen)
        weights = seen / (1 + ((expected - values) / _noise(albedo)) ** 2)
        weights = (weights if usable is None else weights * usable) + 1e-4
        gram = torch.einsum("np,ni,nj->pij", weights, lights, lights) + steady
        scaled = torch.linalg.solve(gram, (lights.T @ (weights * values)).T).T
    return scaled


def _surface(images: Tensor, values: Tensor, lights: Tensor, scaled: Tensor) -> Surface:
    albedo = scaled.norm(dim=0)
    agrees = (lights @ scaled - values).abs() <= 3 * _noise(albedo)
    size = images.shape[1:]
    return Surface(
        normals=(scaled / albedo.clamp_min(1e-9)).float().unflatten(1, size),
        albedo=albedo.float().unflatten(0, size),
        lit=(agrees & (values > (DARK * albedo).clamp_min(3 * NOISE[1]))).unflatten(1, size),
    )


STRENGTH_ROUNDS = 8
"""Alternations; the last changes no strength by more than 0.001."""
FACING = 0.3
"""Least cosine between normal and light of the pixels that judge a lamp's strength."""
FEWEST = 100
"""Pixels of a face that may judge a lamp, at least."""


@dataclass(frozen=True)
class LitFace:
    """Photographs of one face.

    Attributes:
        images: Linear in light, in [0, 1], shape (N, H, W).
        lights: Unit vectors towards the lamps, shape (N, 3).
        lamps: Which lamp each photograph was taken with, int64, shape (N,).
        usable: Pixels that are not saturated, bool, shape (N, H, W).
    """

    images: Tensor
    lights: Tensor
    lamps: Tensor
    usable: Tensor


def lamp_strengths(faces: Sequence[LitFace], directions: Tensor) -> Tensor:
    """Estimate how bright each lamp is, from all faces together.

    Alternates between ``robust`` for each face and, for each lamp, the median over faces of the
    median ratio of measured to predicted light over lit pixels. Logarithms of strengths that are a
    linear function of the direction act like another shape of all faces (stronger lamps on the
    right like faces turned to the right), so that part is set to zero; our choice.

    Args:
        faces: At least one.
        directions: Unit vectors towards the lamps, shape (L, 3).

    Returns:
        Strengths, about 1, float64, shape (L,); 1 for lamps that no face shows.

    Raises:
        ValueError: If the shapes do not belong together, or a face has too few lights.
    """
    check_shape("directions", directions, "L", 3)
    logs = torch.zeros(len(directions), dtype=torch.float64)
    basis = torch.cat([torch.ones(len(directions), 1), directions], dim=1).double()
    seen = torch.zeros(len(directions), dtype=torch.bool)
    for _ in range(STRENGTH_ROUNDS):
        ratios = torch.stack([_ratios(face, logs.exp()) for face in faces])
        step = ratios.nanmedian(dim=0).values
        seen = step.isfinite()
        logs[seen] += step[seen].log()
        fit = torch.linalg.lstsq(basis[seen], logs[seen, None], driver="gelsd").solution
        logs[seen] -= (basis[seen] @ fit)[:, 0]
    return logs.exp()


def _ratios(face: LitFace, strengths: Tensor) -> Tensor:
    """Median measured over predicted light of each lamp, (L,); NaN where few pixels are lit."""
    lights = face.lights * strengths[face.lamps, None]
    surface = robust(face.images, lights, face.usable)
    shading = directional_shading(surface.normals, lights)
    known = surface.lit & face.usable & (shading > FACING)
    ratio = face.images / (shading * surface.albedo).clamp_min(1e-9)
    found = strengths.new_full((len(strengths),), torch.nan)
    for image, lamp in enumerate(face.lamps.tolist()):
        if known[image].sum() >= FEWEST:
            found[lamp] = ratio[image][known[image]].double().median()
    return found
