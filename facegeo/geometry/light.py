"""Light on normals: shading, what light a photo was taken in, and the colour beneath it.

All in linear light, where twice the number is twice the light: take a usual (sRGB) photo through
``to_linear`` first and show results through ``to_srgb``. Cast shadows and highlights are not
modelled. Frame: x right, y up, z to the camera; directions point towards the light.

Light from everywhere is nine numbers: coefficients of its radiance in the real spherical
harmonics up to second order, orthonormal over the sphere, with the constants and signs of
Ramamoorthi and Hanrahan, "An Efficient Representation for Irradiance Environment Maps", SIGGRAPH
2001, Eqs. (3) and (8). Order: 1; y, z, x; xy, yz, 3z^2 - 1, xz, x^2 - y^2. A surface collects them
through the clamped cosine, A = pi, 2 pi / 3, pi / 4 for order 0, 1, 2; shading is irradiance over
pi, so that white light of radiance 1 from everywhere shades everything with 1.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import torch
from torch import Tensor

from facegeo.checks import check_shape

SLANT: Final = 0.5**0.5
LIGHTS: Final[Mapping[str, tuple[float, float, float]]] = MappingProxyType(
    {
        "front": (0.0, 0.0, 1.0),
        "left": (-SLANT, 0.0, SLANT),
        "right": (SLANT, 0.0, SLANT),
        "above": (0.0, SLANT, SLANT),
        "below": (0.0, -SLANT, SLANT),
    }
)
"""Directions towards named lights; all but the front one are 45 degrees off the camera's axis,
left and right as seen in the image."""

TRANSFER: Final = (1.0, *(2 / 3,) * 3, *(1 / 4,) * 5)
"""Shading that each coefficient of the light gives: A of its order over pi."""
CONSTANTS: Final = (0.28209479, 0.48860251, 1.09254843, 0.31539157, 0.54627422)
ROUNDS: Final = 10
CAUCHY: Final = 2.385  # in robust sigmas: 95 % efficient where errors are Gaussian after all
RIDGE: Final = 1e-6  # of the mean diagonal: keeps nearly dependent equations solvable
DARKEST: Final = 0.1
"""Least shading, in mean shadings of the face, that a photo is divided by."""


def directional_shading(normals: Tensor, lights: Tensor) -> Tensor:
    """Shading max(0, n . l) under distant lights, one map a light (Lambert).

    Args:
        normals: Unit vectors, shape (..., 3, H, W).
        lights: Directions towards the lights times their strength, shape (L, 3).

    Returns:
        Shape (..., L, H, W), 1 where a light of strength 1 falls straight on.

    Raises:
        ValueError: If the shapes are others.
    """
    check_shape("lights", lights, "L", 3)
    _check_normals(normals)
    cosine: Tensor = lights.to(normals) @ normals.flatten(-2)
    return cosine.clamp(min=0).reshape(*cosine.shape[:-1], *normals.shape[-2:])


def harmonic_shading(normals: Tensor, light: Tensor) -> Tensor:
    """Shading under light from everywhere, to second order.

    Args:
        normals: Unit vectors, shape (..., 3, H, W).
        light: Coefficients as the module says, shape (9,), or (B, 9) with normals (B, 3, H, W).

    Returns:
        Shape (..., 1, H, W), not below 0.

    Raises:
        ValueError: If the shapes are others.
    """
    lead = normals.shape[:-3] if light.ndim > 1 else ()
    check_shape("light", light, *lead, 9)
    weights = (light * light.new_tensor(TRANSFER)).to(normals)
    return (harmonics(normals) * weights[..., None, None]).sum(dim=-3, keepdim=True).clamp(min=0)


def harmonics(directions: Tensor) -> Tensor:
    """Return the nine spherical harmonics of unit vectors (..., 3, H, W), shape (..., 9, H, W).

    Raises:
        ValueError: If the shape is another.
    """
    _check_normals(directions)
    x, y, z = directions.unbind(-3)
    c0, c1, c2, c3, c4 = CONSTANTS
    first = [torch.full_like(x, c0), c1 * y, c1 * z, c1 * x]
    second = [c2 * x * y, c2 * y * z, c3 * (3 * z * z - 1), c2 * x * z, c4 * (x * x - y * y)]
    return torch.stack(first + second, dim=-3)


def fit_light(photo: Tensor, normals: Tensor, mask: Tensor) -> Tensor:
    """Find the white light that explains a face's grey values if its skin had one colour.

    Least squares, reweighted ten times (Cauchy) so that brows, beard, cast shadows and highlights
    have little say. A face shows half a sphere of normals, on which the nine harmonics are nearly
    dependent: the shading of the face is well determined, the coefficients apart are not.

    Args:
        photo: RGB in linear light, shape (B, 3, H, W).
        normals: Unit vectors, same shape.
        mask: Face pixels, bool, shape (B, 1, H, W).

    Returns:
        Coefficients, shape (B, 9), float32, times the skin's unknown brightness; zero for an
        empty mask.

    Raises:
        ValueError: If the shapes do not belong together.
    """
    sizes: dict[str, int] = {}
    check_shape("photo", photo, "B", 3, "H", "W", sizes=sizes)
    check_shape("normals", normals, "B", 3, "H", "W", sizes=sizes)
    check_shape("mask", mask, "B", 1, "H", "W", sizes=sizes)
    inside = mask.flatten(1)
    # float64: the normal equations are nearly singular, see RIDGE.
    response = harmonics(normals.double()) * torch.tensor(TRANSFER).to(normals)[:, None, None]
    response = response.flatten(2).where(inside[:, None], 0)  # (B, 9, P)
    grey = photo.double().mean(dim=1).flatten(1).where(inside, 0)
    light, weights = grey.new_zeros(len(grey), 9), inside.double()
    for _ in range(ROUNDS):
        weighted = response * weights[:, None]
        square = weighted @ response.mT
        ridge = RIDGE * square.diagonal(dim1=1, dim2=2).mean(dim=1) + 1e-12
        square = square + ridge[:, None, None] * torch.eye(9).to(square)
        light = torch.linalg.solve(square, (weighted @ grey[..., None])[..., 0])
        misses = grey - (light[:, None] @ response)[:, 0]
        sigma = misses.abs().where(inside, torch.nan).nanmedian(dim=1).values * 1.4826
        width = CAUCHY * sigma.nan_to_num().clamp(min=1e-4)
        weights = inside / (1 + (misses / width[:, None]) ** 2)
    return light.float()


def photo_shading(photo: Tensor, normals: Tensor, mask: Tensor) -> Tensor:
    """Shading that a photo holds: that of the light which fits it, scaled to mean 1 over the face.

    Args:
        photo: RGB in linear light, shape (B, 3, H, W).
        normals: Unit vectors, same shape.
        mask: Face pixels, bool, shape (B, 1, H, W).

    Returns:
        Shape (B, 1, H, W), not below ``DARKEST``: safe to divide by.

    Raises:
        ValueError: If the shapes do not belong together.
    """
    shading = harmonic_shading(normals, fit_light(photo, normals, mask)).where(mask, 0)
    mean = shading.sum(dim=(1, 2, 3)) / mask.sum(dim=(1, 2, 3)).clamp(min=1)
    return (shading / mean.clamp(min=1e-6)[:, None, None, None]).clamp(min=DARKEST)


def to_linear(photo: Tensor) -> Tensor:
    """Light of sRGB values in [0, 1] (IEC 61966-2-1), same shape."""
    return torch.where(photo <= 0.04045, photo / 12.92, ((photo + 0.055) / 1.055) ** 2.4)


def to_srgb(light: Tensor) -> Tensor:
    """Return sRGB values in [0, 1] of linear light, same shape; what is brighter becomes 1."""
    light = light.clamp(0, 1)
    return torch.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)


def _check_normals(normals: Tensor) -> None:
    if normals.ndim < 3 or normals.shape[-3] != 3:
        raise ValueError(f"normals must have shape (..., 3, H, W), got {tuple(normals.shape)}")
