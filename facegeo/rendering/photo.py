"""What happens to a picture after the light: background, exposure, lens, sensor, file."""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from facegeo.rendering.head_model import Floats
from facegeo.rendering.render import Render

Bytes = NDArray[np.uint8]


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
    scene = scene * _exposure(rng, render)
    if rng.uniform() < 0.08:
        scene = np.repeat(scene.mean(axis=-1, keepdims=True), 3, axis=-1)
    scene = _blur(scene, max(0.0, float(rng.normal(0.45, 0.35))) * len(scene) / 160)
    grain = rng.uniform(0.0005, 0.012)
    shot = np.sqrt(np.maximum(scene, 0.002) * 0.6 + 0.02)
    scene = scene + grain * shot * rng.standard_normal(scene.shape, dtype=np.float32)
    return encode_tone(scene)


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


def _exposure(rng: np.random.Generator, render: Render) -> float:
    """Expose for the face, as cameras with a face detector do, and miss by some."""
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
