"""From a render to a photograph: background, exposure, lens, sensor, tones, file.

``develop`` is for faces under lamps, ``take_photo`` for portraits, in the light of maps.
"""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from facegeo.rendering.lights import LUMINANCE, Surround
from facegeo.rendering.mesh import Floats
from facegeo.rendering.render import Render

Bytes = NDArray[np.uint8]
GREY = 0.07
"""Share of black-and-white pictures."""
SHARPENED = 0.4
"""Share of pictures that have been sharpened."""
SMALL = 0.25
"""Share of pictures that were small and have been enlarged."""


def draw_background(rng: np.random.Generator, size: int) -> Floats:
    """Draw something out of focus: a gradient, blobs, edges of a room; linear, (H, W, 3).

    It is drawn at half the size: its blur leaves no finer detail.
    """
    half = _draw_scene(rng, (size + 1) // 2)
    return np.asarray(cv2.resize(half, (size, size), interpolation=cv2.INTER_LINEAR))


def _draw_scene(rng: np.random.Generator, size: int) -> Floats:
    low = rng.uniform(0.02, 0.7) * (0.7 + 0.3 * rng.uniform(size=3))
    high = rng.uniform(0.02, 0.9) * (0.7 + 0.3 * rng.uniform(size=3))
    y, x = np.mgrid[:size, :size].astype(np.float32) / size - 0.5
    angle = rng.uniform(0, 2 * np.pi)
    mix = (0.5 + np.cos(angle) * x + np.sin(angle) * y).clip(0, 1)[..., None]
    picture = (low * (1 - mix) + high * mix).astype(np.float32)
    for _ in range(int(rng.integers(0, 9))):
        _add_object(rng, picture)
    cells = int(rng.integers(3, 24))
    clouds = rng.normal(0, rng.uniform(0, 0.3), (cells, cells, 1)).astype(np.float32)
    picture *= np.exp(cv2.resize(clouds, (size, size), interpolation=cv2.INTER_CUBIC))[..., None]
    return _blur(picture, float(rng.uniform(0.4, 6)) * size / 160)


def _add_object(rng: np.random.Generator, picture: Floats) -> None:
    size = len(picture)
    colour = (rng.uniform(0.01, 0.9) * (0.4 + 0.6 * rng.uniform(size=3))).tolist()
    x, y = (int(v) for v in rng.integers(0, size, 2))
    wide, high = (int(v) for v in rng.integers(size // 12, size // 2, 2))
    if rng.uniform() < 0.5:
        cv2.ellipse(
            picture, (x, y), (wide // 2, high // 2), rng.uniform(0, 180), 0, 360, colour, -1
        )
    else:
        cv2.rectangle(picture, (x, y), (x + wide, y + 2 * high), colour, -1)


def develop(rng: np.random.Generator, render: Render, background: Floats) -> Bytes:
    """Turn a render into the pixels of a photograph, RGB, shape (H, W, 3)."""
    scene = render.colour + (1 - render.cover[..., None]) * background
    scene = scene * _exposure_of_mean(rng, render)
    if rng.uniform() < 0.08:
        scene = np.repeat(scene.mean(axis=-1, keepdims=True), 3, axis=-1)
    scene = _blur(scene, max(0.0, float(rng.normal(0.45, 0.35))) * len(scene) / 160)
    grain = rng.uniform(0.0005, 0.012)
    shot = np.sqrt(np.maximum(scene, 0.002) * 0.6 + 0.02)
    scene = scene + grain * shot * rng.standard_normal(scene.shape, dtype=np.float32)
    return encode_tone(scene)


def _exposure_of_mean(rng: np.random.Generator, render: Render) -> float:
    """Expose for the root mean square of the face's light, and miss by some."""
    mask = render.mask.view(np.uint8)
    pixels = cv2.countNonZero(mask)
    colour = np.ascontiguousarray(render.colour)
    level = cv2.norm(colour, cv2.NORM_L2, mask) / (3 * pixels) ** 0.5 if pixels else 0.4
    wanted = 0.33 * (level / 0.33) ** 0.45
    return float(wanted / max(level, 1e-3) * np.exp(rng.normal(0, 0.22)))


def _blur(image: NDArray[Any], sigma: float) -> Floats:
    if sigma < 0.2:
        return image
    return np.asarray(cv2.GaussianBlur(image, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE))


def draw_setting(rng: np.random.Generator, surround: Surround, size: int) -> Floats:
    """Draw something out of focus in the light of the scene; linear, shape (size, size, 3)."""
    behind = surround.radiance.reshape(-1, 3).mean(axis=0)
    level = float(behind @ LUMINANCE)
    tint = (behind / max(level, 1e-6)) ** 0.5
    wanted = np.exp(rng.normal(0, 0.6)) * level**0.5
    picture: Floats = draw_background(rng, size) * (tint * min(wanted, 3.0)).astype(np.float32)
    return picture


def take_photo(rng: np.random.Generator, render: Render, background: Floats) -> Bytes:
    """Turn a render into the pixels of a photograph, sRGB, shape (H, W, 3)."""
    size = len(render.colour)
    scene = render.colour + (1 - render.cover[..., None]) * background
    scene *= np.float32(_exposure_of_median(rng, render))
    scene = _glare(rng, scene)
    scene = _lens(rng, scene)
    saturation = 0.0 if rng.uniform() < GREY else float(np.exp(rng.normal(-0.08, 0.18)))
    grey = (scene @ LUMINANCE)[..., None]
    scene = (grey + saturation * (scene - grey)).astype(np.float32)
    scene = _sensor(rng, scene)
    contrast = float(np.exp(rng.normal(0.17, 0.12)))
    scene = 0.3 * (np.maximum(scene, 1e-5) / 0.3) ** contrast
    image = encode_tone(scene)
    if rng.uniform() < SHARPENED:
        image = _sharpened(image, float(rng.uniform(0.2, 0.8)))
    if rng.uniform() < SMALL:
        image = _enlarged(image, round(size * float(rng.uniform(0.35, 0.8))))
    return image


def _exposure_of_median(rng: np.random.Generator, render: Render) -> float:
    """Expose for the median of the face's light, and miss by some."""
    face = render.colour[render.mask]
    level = float(np.median(face @ LUMINANCE)) if len(face) else 0.3
    wanted = 0.31 * (max(level, 0.01) / 0.31) ** 0.4
    return float(wanted / max(level, 1e-3) * np.exp(rng.normal(0, 0.22)))


def _glare(rng: np.random.Generator, scene: Floats) -> Floats:
    """Scatter a little of all light over the picture: blacks of a lens are never black."""
    share = float(rng.beta(1.0, 55))
    bright = np.minimum(scene, 2.0).mean(axis=(0, 1))
    mixed: Floats = scene * (1 - share) + share * bright
    return mixed


def _lens(rng: np.random.Generator, scene: Floats) -> Floats:
    """Blur: out of focus by a little, now and then by a lot, or along a line."""
    per_pixel = len(scene) / 160
    sigma = max(0.0, float(rng.normal(0.4, 0.3))) * per_pixel
    if rng.uniform() < 0.08:
        sigma += float(rng.uniform(0.5, 1.6)) * per_pixel
    scene = _blur(scene, sigma)
    if rng.uniform() < 0.05:
        length = max(2, round(float(rng.uniform(1.5, 4)) * per_pixel))
        kernel = np.zeros((2 * length + 1, 2 * length + 1), dtype=np.float32)
        angle = float(rng.uniform(0, np.pi))
        end = (length / 2 * np.cos(angle), length / 2 * np.sin(angle))
        first, last = ((round(length + s * end[0]), round(length + s * end[1])) for s in (-1, 1))
        cv2.line(kernel, first, last, 1.0)
        kernel /= kernel.sum()
        blurred = cv2.filter2D(scene, -1, kernel, borderType=cv2.BORDER_REPLICATE)
        scene = np.asarray(blurred, dtype=np.float32)
    return scene


def _sensor(rng: np.random.Generator, scene: Floats) -> Floats:
    """Add noise that grows with the root of the light, coarser where cameras smooth it."""
    grain = float(np.exp(rng.uniform(np.log(0.0006), np.log(0.022))))
    noise = rng.standard_normal(scene.shape, dtype=np.float32)
    if rng.uniform() < 0.5:
        noise = np.asarray(cv2.GaussianBlur(noise, (0, 0), 0.7)) * np.float32(2.2)
    shot = np.sqrt(np.maximum(scene, 0.002) * 0.6 + 0.02)
    noisy: Floats = scene + np.float32(grain) * shot * noise
    return noisy


def _sharpened(image: Bytes, amount: float) -> Bytes:
    """Mask what is not sharp, as cameras and picture editors do."""
    sigma = 0.9 * len(image) / 160
    soft = cv2.GaussianBlur(image, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(cv2.addWeighted(image, 1 + amount, soft, -amount, 0), dtype=np.uint8)


def _enlarged(image: Bytes, small: int) -> Bytes:
    size = len(image)
    shrunk = cv2.resize(image, (small, small), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(shrunk, (size, size), interpolation=cv2.INTER_CUBIC))


def encode_tone(linear: NDArray[Any]) -> Bytes:
    """Take linear light to 8-bit values (sRGB curve with a soft shoulder above 0.75).

    Looked up by the light's root, where steps of the table are finer than those of the result.
    """
    root = np.sqrt(np.clip(linear, 0, BRIGHTEST), dtype=np.float32)
    root *= (len(TONES) - 1) / BRIGHTEST**0.5
    root += 0.5
    coded: Bytes = TONES[root.astype(np.uint16)]
    return coded


def _tones(count: int) -> Bytes:
    light = np.linspace(0, BRIGHTEST**0.5, count) ** 2
    over = np.maximum(light - 0.75, 0)
    light = np.minimum(light, 0.75) + 0.25 * (1 - np.exp(-over / 0.25))
    curve = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    coded: Bytes = (curve * 255 + 0.5).clip(0, 255).astype(np.uint8)
    return coded


BRIGHTEST = 4.0
"""Light above which all is white."""
TONES = _tones(1 << 14)


def jpeg_bytes(image: Bytes, quality: int) -> bytes:
    """Return a JPEG file of an RGB image."""
    settings = [cv2.IMWRITE_JPEG_QUALITY, quality]
    return bytes(cv2.imencode(".jpg", image[..., ::-1], settings)[1])


def png_bytes(image: Bytes) -> bytes:
    """Return a PNG file of an RGB or grey image."""
    stored = image[..., ::-1] if image.ndim == 3 else image
    return bytes(cv2.imencode(".png", np.ascontiguousarray(stored))[1])


def normal_colours(normals: Floats, mask: NDArray[np.bool_]) -> Bytes:
    """Return normals, shape (H, W, 3), as colours (n + 1) / 2 * 255, white where no face is."""
    colours: Bytes = ((normals + 1) * 127.5 + 0.5).astype(np.uint8)
    colours[~mask] = 255  # as in Photoface
    return colours
