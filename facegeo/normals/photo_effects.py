"""Effects of cameras and image files on pictures, in batches on any device: linear light to sRGB.

Every effect takes its random numbers as an argument, so a picture depends on nothing else.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import Annotated

import torch
from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError
from torch import Tensor
from torch.nn.functional import conv2d, grid_sample, interpolate, pad

from facegeo.checks import Share, checked
from facegeo.geometry.light import to_srgb
from facegeo.training.stream import seeded

NUMBERS = 24
"""Random numbers that the effects on a picture take."""
BANK = 512
"""Side of the tile of noise that all pictures are given pieces of, px."""
LUMA = (0.299, 0.587, 0.114)
SKIN = ((0.75, -0.12), (0.55, -0.2))
"""Green and blue of skin over red, in linear light: mean, and change from light to dark skin."""
QUANTISER = (
    (16, 11, 10, 16, 24, 40, 51, 61),
    (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77),
    (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101),
    (72, 92, 95, 98, 112, 100, 103, 99),
)
"""JPEG's example table for luminance (ITU-T T.81, Table K.1); used for colour as well, doubled."""


def _rising(pair: tuple[float, float]) -> tuple[float, float]:
    if pair[0] > pair[1]:
        raise PydanticCustomError("order", "two numbers, the smaller first")
    return pair


RISING = AfterValidator(_rising)
Level = Annotated[float, Field(ge=0.001, le=1)]
Gamma = Annotated[float, Field(ge=1, le=4)]
Quality = Annotated[int, Field(ge=1, le=100)]


@checked(prefix="data.effects.")
@dataclass(frozen=True)
class PhotoEffects:
    """How training pictures are photographed. All numbers are ours.

    Attributes:
        grey: Share of grey pictures.
        skin: Share of coloured pictures whose grey face becomes skin-coloured; others keep
            only the lamps' colours.
        exposure: Darkest and brightest mean of the face, linear in light.
        srgb: Share of pictures with sRGB's tone curve; others have a random power, and contrast.
        gamma: Least and greatest of the power's inverse.
        background: Share of pictures whose background is replaced.
        blur: Share of blurred pictures.
        blur_px: Largest standard deviation of the blur, px at 128 px.
        shrink: Share of pictures that are shrunk and enlarged again.
        shrink_by: Most that they are shrunk.
        noise: Largest standard deviation of the noise, share of white.
        jpeg: Share of pictures that are compressed.
        jpeg_quality: Worst and best quality.
    """

    grey: Share = 0.25
    skin: Share = 0.85
    exposure: Annotated[tuple[Level, Level], RISING] = (0.06, 0.5)
    srgb: Share = 0.5
    gamma: Annotated[tuple[Gamma, Gamma], RISING] = (1.5, 2.8)
    background: Share = 0.7
    blur: Share = 0.4
    blur_px: Annotated[float, Field(ge=0, le=10)] = 1.0
    shrink: Share = 0.25
    shrink_by: Annotated[float, Field(ge=1, le=8)] = 3.0
    noise: Share = 0.04
    jpeg: Share = 0.4
    jpeg_quality: Annotated[tuple[Quality, Quality], RISING] = (30, 95)


def photograph(
    light: Tensor, mask: Tensor, head: Tensor, numbers: Tensor, effects: PhotoEffects
) -> Tensor:
    """Turn light into photos.

    Args:
        light: RGB, linear, any scale, (B, 3, S, S).
        mask: Face pixels, bool, (B, 1, S, S).
        head: 1 at the head, 0 at the background, (B, 1, S, S).
        numbers: Uniform in [0, 1), (B, NUMBERS).
        effects: Their shares and strengths.

    Returns:
        Photos in [0, 1] as 8-bit files hold them, (B, 3, S, S).
    """
    n = [one[:, None, None, None] for one in numbers.unbind(1)]
    luma = light.new_tensor(LUMA)[:, None, None]
    grey = n[0] < effects.grey
    light = torch.where(grey, (light * luma).sum(1, keepdim=True), light)
    light = light * torch.where(grey | (n[1] >= effects.skin), 1.0, _skin(numbers[:, 2:4]))
    low, high = (math.log(bound) for bound in effects.exposure)
    wanted = torch.exp(low + (high - low) * n[4])
    count = mask.sum((1, 2, 3), keepdim=True).clamp_min(1)
    mean = ((light * luma).sum(1, keepdim=True) * mask).sum((1, 2, 3), keepdim=True) / count
    light = light * (wanted / mean.clamp_min(1e-4)).clamp_max(30)
    bank = noise_bank(str(light.device))
    backdrop = _backdrop(bank, numbers[:, 5:11], light.shape[-1])
    backdrop = torch.where(grey, backdrop.mean(1, keepdim=True), backdrop)
    replaced = torch.where(n[11] < effects.background, head, 1.0)
    light = torch.lerp(backdrop, light, replaced)
    light = _blur(light, numbers[:, 12:14], effects)
    light = _shrink(light, numbers[:, 14:16], effects)
    light = _add_noise(light, bank, numbers[:, 16:19], grey, effects)
    photo = _tone(light.clamp(0, 1), n[19], n[20], n[21], effects)
    photo = _compress(photo, numbers[:, 22:24], effects)
    return (photo * 255).round() / 255


@cache
def noise_bank(device: str) -> Tensor:
    """Standard normal numbers that all noise is cut from, (3, BANK, BANK)."""
    return torch.randn(3, BANK, BANK, generator=seeded(BANK, 7)).to(device)


def _skin(numbers: Tensor) -> Tensor:
    """Colours of skin over its mean brightness, (B, 3, 1, 1)."""
    parts = [torch.ones_like(numbers[:, 0])]
    for place, (mean, change) in enumerate(SKIN):
        parts.append(mean + change * numbers[:, 0] + 0.1 * (numbers[:, 1] - 0.5) * (place + 1))
    colour = torch.stack(parts, dim=1)
    weight = (colour * colour.new_tensor(LUMA)).sum(1, keepdim=True)
    return (colour / weight)[..., None, None]


def _backdrop(bank: Tensor, numbers: Tensor, size: int) -> Tensor:
    """Smooth or mottled colours behind the head, linear in light, (B, 3, S, S)."""
    zoom = torch.exp(-2.5 - 3.5 * numbers[:, 0])  # share of the bank that is seen
    start = numbers[:, 1:3] * (1 - zoom[:, None]) * 2 - 1 + zoom[:, None]
    step = (2 * torch.arange(size, device=bank.device) + 1) / size - 1
    x = (start[:, 0, None] + zoom[:, None] * step)[:, None].expand(-1, size, -1)
    y = (start[:, 1, None] + zoom[:, None] * step)[:, :, None].expand(-1, -1, size)
    tile = bank[None].expand(len(numbers), -1, -1, -1)
    spots = grid_sample(tile, torch.stack([x, y], dim=3), align_corners=False)
    spots = 0.8 * spots[:, :1] + 0.3 * spots
    level = torch.exp(-4 + 4 * numbers[:, 3])[:, None, None, None]
    contrast = (1.2 * numbers[:, 4])[:, None, None, None]
    hue = torch.stack([numbers[:, 5], 0.5 + 0 * numbers[:, 5], 1 - numbers[:, 5]], dim=1)
    return level * torch.exp(contrast * spots + 0.8 * (hue - 0.5)[..., None, None])


def _blur(light: Tensor, numbers: Tensor, effects: PhotoEffects) -> Tensor:
    """Blur some pictures, each with another Gaussian kernel."""
    batch, channels, size, _ = light.shape
    sigma = numbers[:, 1] * effects.blur_px * size / 128
    sigma = torch.where(numbers[:, 0] < effects.blur, sigma, 0).clamp_min(1e-3)
    reach = max(1, math.ceil(2.5 * effects.blur_px * size / 128))
    steps = torch.arange(-reach, reach + 1, device=light.device)
    kernel = torch.exp(-0.5 * (steps / sigma[:, None]) ** 2)
    kernel = (kernel / kernel.sum(1, keepdim=True)).repeat_interleave(channels, 0)[:, None]
    flat = light.reshape(1, batch * channels, size, size)
    flat = conv2d(
        pad(flat, (reach, reach, 0, 0), "replicate"), kernel[:, :, None], groups=len(kernel)
    )
    flat = conv2d(
        pad(flat, (0, 0, reach, reach), "replicate"), kernel[..., None], groups=len(kernel)
    )
    return flat.view_as(light)


def _shrink(light: Tensor, numbers: Tensor, effects: PhotoEffects) -> Tensor:
    """Shrink some pictures and enlarge them again."""
    size, light = light.shape[-1], light.clone()
    factors = 1 + numbers[:, 1] * (effects.shrink_by - 1)
    for row in (numbers[:, 0] < effects.shrink).nonzero()[:, 0].tolist():
        small = max(8, round(size / float(factors[row])))
        one = interpolate(light[row, None], (small, small), mode="bilinear", antialias=True)
        light[row] = interpolate(one, (size, size), mode="bilinear")[0]
    return light


def _add_noise(
    light: Tensor, bank: Tensor, numbers: Tensor, grey: Tensor, effects: PhotoEffects
) -> Tensor:
    """Add noise whose variance grows with the light, as in a sensor."""
    size = light.shape[-1]
    corner = (numbers[:, :2] * (BANK - size)).long().tolist()
    pieces = torch.stack([bank[:, y : y + size, x : x + size] for y, x in corner])
    pieces = torch.where(grey, pieces[:, :1], pieces)
    level = (effects.noise * numbers[:, 2] ** 2)[:, None, None, None]
    return light + level * (light.clamp_min(0) * 0.5 + 0.01).sqrt() * pieces


def _tone(
    light: Tensor, which: Tensor, gamma: Tensor, contrast: Tensor, effects: PhotoEffects
) -> Tensor:
    """Apply sRGB's curve, or a random power and contrast."""
    low, high = effects.gamma
    power = light.clamp_min(1e-6) ** (1 / (low + (high - low) * gamma))
    curved = power * power * (3 - 2 * power)
    return torch.where(which < effects.srgb, to_srgb(light), torch.lerp(power, curved, contrast))


def _compress(photo: Tensor, numbers: Tensor, effects: PhotoEffects) -> Tensor:
    """Quantise 8 x 8 blocks of cosines as JPEG does, without its smaller colour planes."""
    size = photo.shape[-1]
    low, high = effects.jpeg_quality
    quality = low + (high - low) * numbers[:, 1]
    scale = torch.where(quality < 50, 50 / quality, 2 - quality / 50)
    rows = (numbers[:, 0] < effects.jpeg).nonzero()[:, 0]
    if not len(rows):
        return photo
    chosen = photo[rows]
    luma = (chosen * photo.new_tensor(LUMA)[:, None, None]).sum(1, keepdim=True)
    planes = torch.cat([luma, chosen[:, :1] - luma, chosen[:, 2:] - luma], dim=1)
    edge = -size % 8
    blocks = (
        pad(planes, (0, edge, 0, edge), "replicate").unflatten(3, (-1, 8)).unflatten(2, (-1, 8))
    )
    basis = _cosines(str(photo.device))
    blocks = basis @ blocks.transpose(3, 4) @ basis.T  # (R, 3, H / 8, W / 8, 8, 8)
    table = photo.new_tensor(QUANTISER) / 255 * scale[rows, None, None]
    table = torch.stack([table, 2 * table, 2 * table], dim=1)[:, :, None, None].clamp_min(1 / 255)
    blocks = basis.T @ ((blocks / table).round() * table) @ basis
    planes = blocks.transpose(3, 4).flatten(4, 5).flatten(2, 3)[..., :size, :size]
    luma, red, blue = planes.split(1, dim=1)
    green = luma - (LUMA[0] * red + LUMA[2] * blue) / LUMA[1]
    changed = photo.clone()
    changed[rows] = torch.cat([luma + red, green, luma + blue], dim=1)
    return changed.clamp(0, 1)


@cache
def _cosines(device: str) -> Tensor:
    """Orthonormal cosine transform of eight numbers, (8, 8)."""
    places = torch.arange(8, dtype=torch.float64)
    basis = torch.cos(torch.pi / 8 * (places[None] + 0.5) * places[:, None]) / 2
    basis[0] /= math.sqrt(2)
    return basis.float().to(device)
