"""What happens to a portrait after the light: background, exposure, lens, sensor, tones."""

import cv2
import numpy as np

from facegeo.rendering.environment import LUMINANCE, Surround
from facegeo.rendering.head_model import Floats
from facegeo.rendering.photo import Bytes, draw_background, encode_tone
from facegeo.rendering.render import Render

GREY = 0.07
"""Share of black-and-white pictures."""
SHARPENED = 0.4
"""Share of pictures that have been sharpened."""
SMALL = 0.25
"""Share of pictures that were small and have been enlarged."""


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
    scene *= np.float32(_exposure(rng, render))
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


def _exposure(rng: np.random.Generator, render: Render) -> float:
    """Expose for the face, as cameras with a face detector do, and miss by some."""
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
    if sigma > 0.2:
        blurred = cv2.GaussianBlur(scene, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)
        scene = np.asarray(blurred, dtype=np.float32)
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
