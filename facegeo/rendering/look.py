"""Draw a person's appearance, but for the shape: skin, hair, eyes, clothes, expression."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import warp as wp

from facegeo.rendering.bust import Hair
from facegeo.rendering.heads import Head
from facegeo.rendering.mesh import Floats
from facegeo.rendering.relief import Relief
from facegeo.rendering.shading import Look

HAIR_COLOURS = (
    (0.018, 0.015, 0.014),
    (0.045, 0.028, 0.02),
    (0.10, 0.058, 0.034),
    (0.20, 0.12, 0.065),
    (0.42, 0.29, 0.15),
    (0.24, 0.08, 0.03),
    (0.36, 0.35, 0.34),
)
IRIS_COLOURS = ((0.07, 0.032, 0.014), (0.14, 0.075, 0.03), (0.12, 0.16, 0.07), (0.12, 0.2, 0.3))
BALD = 90.0


def draw_hair(rng: np.random.Generator) -> Hair:
    """Draw a hair cut."""
    kind = rng.choice(["short", "full", "long", "bald"], p=[0.42, 0.22, 0.28, 0.08])
    hairline = float(np.clip(rng.normal(-4, 4.5), -13, 12))
    if kind == "bald":
        return Hair(0.0, BALD, 0.0, 0.0, 0.0)
    thickness = {"short": (0.3, 1.2), "full": (1.2, 2.8), "long": (0.8, 1.8)}[str(kind)]
    is_long = kind == "long"
    return Hair(
        thickness=float(rng.uniform(*thickness)),
        hairline_deg=hairline,
        length=float(rng.uniform(4, 22)) if is_long else 0.0,
        spread=float(rng.uniform(0.9, 2.4)) if is_long else 0.0,
        parting=float(rng.uniform(52, 80)) if is_long else 0.0,
    )


def draw_expression(rng: np.random.Generator) -> dict[str, float]:
    """Draw ARKit actions: calm, smiling, talking, with brows and lids at play."""
    pose: dict[str, float] = {}

    def both(name: str, value: float, tilt: float = 0.15) -> None:
        pose[f"{name}Left"] = float(np.clip(value * (1 + rng.normal(0, tilt)), 0, 1))
        pose[f"{name}Right"] = float(np.clip(value * (1 + rng.normal(0, tilt)), 0, 1))

    kind = rng.choice(["calm", "smile", "grin", "talk", "frown"], p=[0.26, 0.27, 0.27, 0.13, 0.07])
    if kind in ("smile", "grin"):
        strength = rng.uniform(0.3, 0.9)
        both("mouthSmile", strength)
        both("cheekSquint", 0.6 * strength)
        both("eyeSquint", 0.4 * strength * rng.uniform())
    if kind == "grin":
        both("mouthUpperUp", rng.uniform(0.15, 0.5))
        both("mouthLowerDown", rng.uniform(0.1, 0.45))
        pose["jawOpen"] = float(rng.uniform(0, 0.25))
    if kind == "talk":
        pose["jawOpen"] = float(rng.uniform(0.1, 0.6))
        pose["mouthFunnel"] = float(rng.uniform(0, 0.4))
        both("mouthStretch", rng.uniform(0, 0.3))
    if kind == "frown":
        both("mouthFrown", rng.uniform(0.2, 0.7))
        both("browDown", rng.uniform(0.2, 0.8))
    pose["browInnerUp"] = float(rng.choice([0, rng.uniform(0, 0.6)], p=[0.7, 0.3]))
    both("browOuterUp", float(rng.choice([0, rng.uniform(0, 0.6)], p=[0.7, 0.3])))
    both(
        "eyeBlink",
        float(rng.choice([rng.uniform(0, 0.2), rng.uniform(0.7, 1)], p=[0.95, 0.05])),
        0,
    )
    both("eyeWide", float(rng.choice([0, rng.uniform(0, 0.5)], p=[0.85, 0.15])))
    pose["mouthPucker"] = float(rng.choice([0, rng.uniform(0, 0.4)], p=[0.9, 0.1]))
    return pose


def draw_look(rng: np.random.Generator, hair: Hair) -> Look:
    """Draw skin, hair colour, iris and clothes; the eyes are set by ``fit_eyes``."""
    look = Look()
    look.seed = wp.uint32(int(rng.integers(1 << 20)))
    melanin = rng.beta(1.1, 1.6) * 1.9
    tone = np.array([0.72, 0.52, 0.44]) * np.exp(-melanin * np.array([0.85, 1.03, 1.17]))
    tone *= 1 + rng.normal(0, (0.03, 0.03, 0.05))
    look.tone = wp.vec3(*tone.tolist())
    look.blush = rng.uniform(0.2, 1.0)
    look.mottling = rng.uniform(0.02, 0.07)
    look.pores = rng.uniform(0.03, 0.08)
    look.freckles = float(rng.choice([0.0, rng.uniform(0.3, 1)], p=[0.85, 0.15]))
    look.tired = rng.uniform(0.1, 0.9)
    _paint_face(rng, look, hair, tone, melanin)
    weights = np.array([4, 4, 3, 2, 2, 1, 2]) * (
        1 if melanin < 0.8 else (1, 0.5, 0.1, 0, 0, 0, 0.15)
    )
    colour = np.array(HAIR_COLOURS[rng.choice(len(HAIR_COLOURS), p=weights / weights.sum())])
    look.hair = wp.vec3(*(colour * rng.uniform(0.8, 1.25)).tolist())
    look.curl = float(
        rng.uniform(0.6, 1) if melanin > 1.0 else rng.choice([0.1, 0.5], p=[0.75, 0.25])
    )
    iris = np.array(IRIS_COLOURS[rng.choice(4, p=[0.45, 0.25, 0.12, 0.18]) if melanin < 0.7 else 0])
    look.iris = wp.vec3(*(iris * rng.uniform(0.8, 1.3)).tolist())
    look.pupil = rng.uniform(0.28, 0.5)
    look.oil = rng.uniform(0.3, 1.3)
    look.scatter = rng.uniform(0.4, 1.0)
    _dress(rng, look)
    return look


def _paint_face(
    rng: np.random.Generator, look: Look, hair: Hair, tone: Floats, melanin: float
) -> None:
    made_up = rng.uniform() < (0.6 if hair.length else 0.12)
    lips = tone * (0.92, 0.66, 0.68) + (0.02, 0.0, 0.005)
    if made_up:
        lips = rng.uniform(0.4, 1) * np.array(
            [0.45, rng.uniform(0.05, 0.16), rng.uniform(0.06, 0.16)]
        )
    look.lips = wp.vec3(*lips.tolist())
    look.lip_strength = rng.uniform(0.5, 0.95)
    look.lash = rng.uniform(0.8, 0.97) if made_up else rng.uniform(0.45, 0.85)
    look.brow = rng.uniform(0.75, 1.1)
    look.brow_height = rng.uniform(0.20, 0.27)
    look.brow_arch = rng.uniform(0.02, 0.08)
    look.brow_width = rng.uniform(0.032, 0.05) if hair.length else rng.uniform(0.042, 0.07)
    shaven = bool(hair.length) or rng.uniform() < 0.45
    look.stubble = 0.0 if shaven else float(rng.uniform(0.1, 0.75))
    look.beard = float(not shaven and rng.uniform() < 0.25)
    look.hairline_deg = hair.hairline_deg


def _dress(rng: np.random.Generator, look: Look) -> None:
    colour = rng.uniform(0.02, 0.75) * (0.4 + 0.6 * rng.uniform(size=3))
    look.cloth = wp.vec3(*colour.tolist())
    plain = rng.uniform() < 0.7
    look.cloth_dark = wp.vec3(*(colour if plain else colour * rng.uniform(0.2, 0.7)).tolist())
    look.cloth_scale = rng.uniform(1, 5)


def fit_eyes(rng: np.random.Generator, look: Look, head: Head, to_camera: Floats) -> None:
    """Put the irises on a head's eyeballs and let them look somewhere near the camera.

    Args:
        rng: Decides the gaze.
        look: Gets the eyes.
        head: Whose eyeballs.
        to_camera: Unit vector from the head to the camera in the head frame, shape (3,).
    """
    follow = rng.uniform(0.55, 1.0)
    gaze = follow * to_camera + (1 - follow) * np.array([0, 0, 1])
    gaze = gaze + np.array([rng.normal(0, 0.09), rng.normal(-0.03, 0.04), 0])
    gaze[0], gaze[1] = np.clip(gaze[0], -0.5, 0.5), np.clip(gaze[1], -0.28, 0.1)
    gaze /= np.linalg.norm(gaze)
    look.gaze_left = wp.vec3(*gaze.tolist())
    look.gaze_right = wp.vec3(*gaze.tolist())
    look.eye_left, look.eye_right = (wp.vec3(*eye.tolist()) for eye in head.eyes)
    look.eye_radius = head.eye_radius


def draw_portrait_look(rng: np.random.Generator) -> tuple[Hair, dict[str, float], Look]:
    """Draw hair, expression and look of a portrait: a little nearer to photographs.

    Eyes open less wide, hair begins lower, brows are fuller, skin is less even and stubble softer.
    """
    hair, expression = draw_hair(rng), draw_expression(rng)
    if hair.hairline_deg < BALD:
        hair = replace(hair, hairline_deg=max(-16.0, hair.hairline_deg - 5.0))
    lid = float(rng.uniform(0.03, 0.24))
    for side in ("Left", "Right"):
        expression[f"eyeBlink{side}"] = max(lid, expression[f"eyeBlink{side}"])
        expression[f"eyeWide{side}"] *= 0.5
    look = draw_look(rng, hair)
    look.mottling *= 1.3
    look.pores *= 1.3
    look.stubble *= 0.6
    look.beard *= float(rng.uniform(0, 0.9))
    look.brow *= 1.15
    look.brow_width *= 1.2
    return hair, expression, look


def draw_relief(
    rng: np.random.Generator, expression: Mapping[str, float], seed: int, pixel: float
) -> Relief:
    """Draw how uneven and wrinkled a skin is; expressions deepen their own wrinkles.

    Args:
        rng: Decides.
        expression: ARKit actions.
        seed: Of the noise.
        pixel: Width of a pixel on the face, eye distances.
    """

    def both(name: str) -> float:
        return (expression.get(f"{name}Left", 0.0) + expression.get(f"{name}Right", 0.0)) / 2

    age = float(rng.beta(1.2, 1.7))
    lines = 0.04 + 0.7 * age**1.3
    relief = Relief()
    relief.seed, relief.pixel = wp.uint32(seed), pixel
    relief.uneven = rng.uniform(0.008, 0.028) * (1 + age)
    relief.grain = rng.uniform(0.008, 0.036) * (1 + age)
    relief.pores = rng.uniform(0.02, 0.12)
    relief.lips = rng.uniform(0.03, 0.16)
    raised = max(expression.get("browInnerUp", 0.0), both("browOuterUp"))
    relief.forehead = lines * rng.uniform(0.2, 0.9) * (0.5 + 1.5 * raised)
    relief.glabella = lines * rng.uniform(0.1, 0.8) * (0.4 + 1.5 * both("browDown"))
    squint = max(both("eyeSquint"), both("cheekSquint"))
    relief.crow = lines * rng.uniform(0.1, 0.8) * (0.4 + 1.5 * squint)
    relief.fold = (0.05 + 0.5 * lines) * rng.uniform(0.4, 1.3) * (0.6 + 1.2 * both("mouthSmile"))
    relief.lids = (0.05 + 0.4 * lines) * rng.uniform(0.2, 1.2)
    return relief
