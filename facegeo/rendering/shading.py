# mypy: ignore-errors
"""Noise, and procedural skin, eyes, hair and cloth, as warp functions for each ray that hits.

Colours are linear reflectances. Skin positions ``c`` are in the frame of ``heads.skin_frame``, hair
positions in the head frame.
"""

import warp as wp

from facegeo.rendering.heads import Part

wp.set_module_options({"enable_backward": False})

SKIN, EYE, MOUTH, TONGUE = (wp.constant(int(p)) for p in list(Part)[:4])
TEETH, HAIR, CLOTH = (wp.constant(int(p)) for p in list(Part)[4:])


@wp.func
def lattice(seed: wp.uint32, x: int, y: int, z: int) -> float:
    """Return a number in [-1, 1) that belongs to a point of the integer lattice."""
    h = wp.uint32(x) * wp.uint32(2376512323) + wp.uint32(y) * wp.uint32(3625334849)
    h = h + wp.uint32(z) * wp.uint32(3407524639) + seed * wp.uint32(668265263)
    h = (h ^ (h >> wp.uint32(15))) * wp.uint32(2246822519)
    h = (h ^ (h >> wp.uint32(13))) * wp.uint32(3266489917)
    return float(int(h >> wp.uint32(16))) / 32768.0 - 1.0


@wp.func
def noise(seed: wp.uint32, p: wp.vec3) -> float:
    """Return smooth noise in [-1, 1] (value noise: several times cheaper than warp's Perlin)."""
    fx = wp.floor(p[0])
    fy = wp.floor(p[1])
    fz = wp.floor(p[2])
    x = int(fx)
    y = int(fy)
    z = int(fz)
    u = p[0] - fx
    v = p[1] - fy
    w = p[2] - fz
    u = u * u * (3.0 - 2.0 * u)
    v = v * v * (3.0 - 2.0 * v)
    w = w * w * (3.0 - 2.0 * w)
    a = wp.lerp(lattice(seed, x, y, z), lattice(seed, x + 1, y, z), u)
    b = wp.lerp(lattice(seed, x, y + 1, z), lattice(seed, x + 1, y + 1, z), u)
    c = wp.lerp(lattice(seed, x, y, z + 1), lattice(seed, x + 1, y, z + 1), u)
    d = wp.lerp(lattice(seed, x, y + 1, z + 1), lattice(seed, x + 1, y + 1, z + 1), u)
    return wp.lerp(wp.lerp(a, b, v), wp.lerp(c, d, v), w)


@wp.func
def noise_slope(seed: wp.uint32, p: wp.vec3) -> wp.vec3:
    """Return the gradient of ``noise``."""
    fx = wp.floor(p[0])
    fy = wp.floor(p[1])
    fz = wp.floor(p[2])
    x = int(fx)
    y = int(fy)
    z = int(fz)
    u = p[0] - fx
    v = p[1] - fy
    w = p[2] - fz
    du = 6.0 * u * (1.0 - u)
    dv = 6.0 * v * (1.0 - v)
    dw = 6.0 * w * (1.0 - w)
    u = u * u * (3.0 - 2.0 * u)
    v = v * v * (3.0 - 2.0 * v)
    w = w * w * (3.0 - 2.0 * w)
    a0 = lattice(seed, x, y, z)
    a1 = lattice(seed, x + 1, y, z)
    b0 = lattice(seed, x, y + 1, z)
    b1 = lattice(seed, x + 1, y + 1, z)
    c0 = lattice(seed, x, y, z + 1)
    c1 = lattice(seed, x + 1, y, z + 1)
    d0 = lattice(seed, x, y + 1, z + 1)
    d1 = lattice(seed, x + 1, y + 1, z + 1)
    a = wp.lerp(a0, a1, u)
    b = wp.lerp(b0, b1, u)
    c = wp.lerp(c0, c1, u)
    d = wp.lerp(d0, d1, u)
    along = wp.lerp(wp.lerp(a1 - a0, b1 - b0, v), wp.lerp(c1 - c0, d1 - d0, v), w)
    return wp.vec3(
        du * along, dv * wp.lerp(b - a, d - c, w), dw * (wp.lerp(c, d, v) - wp.lerp(a, b, v))
    )


@wp.func
def ramp(low: float, high: float, x: float) -> float:
    """Return the smooth step from 0 at ``low`` to 1 at ``high``; either may be larger."""
    t = wp.clamp((x - low) / (high - low), 0.0, 1.0)
    return t * t * (3.0 - 2.0 * t)


@wp.func
def blend(a: wp.vec3, b: wp.vec3, t: float) -> wp.vec3:
    """Return a mix, ``a`` at t = 0."""
    return a * (1.0 - t) + b * t


@wp.func
def bump(x: float, y: float, at_x: float, at_y: float, width: float, height: float) -> float:
    """Return a Gaussian bump in the skin's x and y, 1 at its middle."""
    u = (x - at_x) / width
    v = (y - at_y) / height
    return wp.exp(-u * u - v * v)


@wp.struct
class Look:
    """Everything about a person's surface that is not shape; drawn in ``look.py``."""

    seed: wp.uint32
    tone: wp.vec3
    blush: float
    mottling: float
    pores: float
    freckles: float
    tired: float
    lips: wp.vec3
    lip_strength: float
    lash: float
    brow: float
    brow_height: float
    brow_arch: float
    brow_width: float
    stubble: float
    beard: float
    hair: wp.vec3
    hairline_deg: float
    curl: float
    iris: wp.vec3
    pupil: float
    gaze_left: wp.vec3
    gaze_right: wp.vec3
    eye_left: wp.vec3
    eye_right: wp.vec3
    eye_radius: float
    oil: float
    scatter: float
    cloth: wp.vec3
    cloth_dark: wp.vec3
    cloth_scale: float


@wp.struct
class Spot:
    """The surface where a ray hits: reflectance, shine and how much it counts as what."""

    colour: wp.vec3
    part: int
    shine: float
    roughness: float
    scatter: float
    open_sky: float
    face: float


@wp.func
def brow_cover(c: wp.vec3, look: Look, state: wp.uint32) -> float:
    """Return how much of a skin position the eyebrow's hairs cover."""
    s = wp.abs(c[0])
    t = (s - 0.20) / 0.62
    if t < -0.15 or t > 1.15:
        return 0.0
    u = wp.clamp(t, 0.0, 1.0)
    middle = look.brow_height + look.brow_arch * wp.sin(2.75 * wp.pow(u, 1.25)) - 0.03 * u
    half = look.brow_width * (1.0 - 0.72 * u * u)
    away = (c[1] - middle) / half
    hairs = noise(state, wp.vec3(s * 42.0 - c[1] * 30.0, c[1] * 26.0 + s * 9.0, 0.0))
    cover = ramp(1.35, 0.25, wp.abs(away) + 0.35 * hairs)
    ends = ramp(-0.12, 0.1, t + 0.1 * hairs) * ramp(1.12, 0.8, t + 0.1 * hairs)
    return cover * ends * (0.78 + 0.3 * hairs)


@wp.func
def beard_cover(c: wp.vec3, lips: float, ragged: float) -> float:
    """Return where a beard would grow, 0 to 1; noise makes its edge ragged."""
    s = wp.abs(c[0])
    edge = -0.70 - 0.16 * ramp(0.22, 0.5, s) + 0.95 * ramp(0.58, 1.05, s)
    edge = edge - 0.12 * ramp(0.1, 0.0, s)
    return ramp(0.14, -0.14, c[1] - edge + 0.09 * ragged) * ramp(-2.0, -1.6, c[1]) * (1.0 - lips)


@wp.func
def hair_colour(p: wp.vec3, look: Look, state: wp.uint32) -> wp.vec3:
    """Return the colour of hair: strands that run down from the crown, or curls."""
    around = wp.atan2(p[0], p[2] + 9.0)
    height = wp.atan2(p[1] - 2.0, wp.length(wp.vec2(p[0], p[2] + 9.0)))
    bend = noise(state, p * 0.25)
    strands = noise(state, wp.vec3(around * 34.0 + 2.5 * bend, height * 3.0, 5.0))
    fine = noise(state, wp.vec3(around * 90.0 + 5.0 * bend, height * 5.0, 9.0))
    curls = noise(state, p * 1.5) + 0.6 * noise(state, p * 3.4)
    wave = (1.0 - look.curl) * (0.65 * strands + 0.45 * fine) + look.curl * curls
    return look.hair * wp.max(0.25, 1.0 + 0.75 * wave)


@wp.func
def cloth_colour(p: wp.vec3, look: Look) -> wp.vec3:
    """Return cloth with a weave and, for some scales, stripes."""
    weave = noise(look.seed, p * 2.2) * 0.18 + noise(look.seed, p * 0.35) * 0.25
    stripe = ramp(-0.15, 0.15, wp.sin(p[0] * look.cloth_scale + 0.4 * p[1]))
    return blend(look.cloth, look.cloth_dark, stripe) * (1.0 + weave)


@wp.func
def other_spot(part: int, p: wp.vec3, look: Look, open_sky: float) -> Spot:
    """Shade what is neither skin nor eye."""
    spot = Spot()
    spot.part = part
    spot.open_sky = open_sky
    spot.shine = 0.15
    spot.roughness = 0.5
    if part == MOUTH:
        spot.colour = wp.vec3(0.16, 0.045, 0.04)
    elif part == TONGUE:
        spot.colour = wp.vec3(0.42, 0.16, 0.15)
        spot.shine = 0.6
        spot.open_sky = 0.12 + 0.5 * open_sky
    elif part == TEETH:
        gap = wp.abs(wp.sin(p[0] * 3.9))
        spot.colour = wp.vec3(0.70, 0.64, 0.54) * (0.72 + 0.28 * ramp(0.0, 0.25, gap))
        spot.shine = 0.6
        spot.roughness = 0.25
        spot.open_sky = 0.4
    elif part == HAIR:
        spot.colour = hair_colour(p, look, look.seed)
        spot.open_sky = 0.75
        spot.shine = 0.05
    else:
        spot.colour = cloth_colour(p, look)
        spot.open_sky = 0.8
        spot.shine = 0.05
    return spot


@wp.func
def bare_skin(c: wp.vec3, ear: float, grain: wp.vec3, look: Look) -> wp.vec3:
    """Return skin without hair and lips; ``grain`` is broad, middle and fine noise."""
    s = wp.abs(c[0])
    tone = look.tone * (1.0 + look.mottling * (0.6 * grain[0] + grain[1]) + look.pores * grain[2])
    red = bump(s, c[1], 0.62, -0.52, 0.34, 0.3) + 0.8 * bump(s, c[1], 0.0, -0.55, 0.2, 0.2)
    red = look.blush * wp.clamp(red + 0.7 * ear + 0.3 * grain[0], 0.0, 1.2)
    tone = wp.cw_mul(tone, wp.vec3(1.0 + 0.06 * red, 1.0 - 0.26 * red, 1.0 - 0.24 * red))
    tired = look.tired * bump(s, c[1], 0.48, -0.1, 0.26, 0.16)
    tone = wp.cw_mul(tone, wp.vec3(1.0 - 0.28 * tired, 1.0 - 0.34 * tired, 1.0 - 0.26 * tired))
    if look.freckles > 0.0:
        spots = ramp(0.30, 0.5, noise(look.seed + wp.uint32(3), c * 19.0))
        spots = spots * look.freckles * bump(s, c[1], 0.35, -0.45, 0.5, 0.4)
        tone = wp.cw_mul(tone, wp.vec3(1.0 - 0.3 * spots, 1.0 - 0.42 * spots, 1.0 - 0.5 * spots))
    return tone


@wp.func
def skin_spot(
    c: wp.vec3, p: wp.vec3, paint: wp.vec3, scalp: float, face: float, look: Look
) -> Spot:
    """Shade skin; ``paint`` is lips, lash, ear and ``scalp`` degrees above the usual hairline."""
    state = look.seed
    if scalp - look.hairline_deg > 14.0 and paint[2] < 0.1:
        return other_spot(HAIR, p, look, 0.75)
    broad = noise(state, c * 2.6)
    mid = noise(state + wp.uint32(1), c * 12.0)
    fine = noise(state + wp.uint32(2), c * 55.0)
    tone = bare_skin(c, paint[2], wp.vec3(broad, mid, fine), look)
    dark = look.hair * 0.7 + look.tone * 0.04
    beard = beard_cover(c, paint[0], mid + 0.5 * fine)
    grain = 0.75 + 0.45 * fine + 0.25 * mid
    tone = blend(tone, dark, wp.clamp(look.stubble * beard * grain, 0.0, 0.85))
    long_beard = ramp(0.3, 0.8, beard + 0.15 * fine) * look.beard
    if paint[0] > 0.0:
        creases = 1.0 + 0.08 * noise(state, wp.vec3(c[0] * 45.0, c[1] * 6.0, 3.0))
        tone = blend(tone, look.lips * creases, look.lip_strength * paint[0])
    tone = tone * (1.0 - look.lash * paint[1] * ramp(-0.08, 0.02, c[1]))
    tone = blend(tone, dark * 0.9, wp.clamp(look.brow * brow_cover(c, look, state), 0.0, 0.95))
    spot = Spot()
    above = scalp - look.hairline_deg + 5.0 * mid + 2.5 * broad + 2.5 * fine
    hairy = ramp(-2.0, 5.0, above) * (1.0 - ramp(0.1, 0.4, paint[2]))
    spot.part = SKIN
    if hairy > 0.5:
        spot.part = HAIR
    cover = wp.max(hairy, long_beard)
    if cover > 0.0:
        tone = blend(tone, hair_colour(p, look, state), cover)
    spot.colour = tone
    spot.shine = look.oil * (1.0 - 0.85 * cover) * (1.0 + 0.5 * paint[0]) * (1.0 + 0.25 * fine)
    spot.roughness = 0.36 - 0.08 * paint[0] + 0.06 * mid
    spot.scatter = look.scatter * (1.0 - cover)
    spot.face = face
    return spot


@wp.func
def eye_spot(p: wp.vec3, look: Look) -> Spot:
    """Shade an eyeball: sclera with veins, limbus, iris with fibres, pupil."""
    middle = look.eye_left
    gaze = look.gaze_left
    if p[0] > 0.0:
        middle = look.eye_right
        gaze = look.gaze_right
    out = wp.normalize(p - middle)
    angle = wp.acos(wp.clamp(wp.dot(out, gaze), -1.0, 1.0))
    r = angle * look.eye_radius / 0.60
    side = wp.normalize(wp.cross(gaze, wp.vec3(0.0, 1.0, 0.0)))
    over = wp.cross(side, gaze)
    turn = wp.atan2(wp.dot(out, over), wp.dot(out, side))
    fibres = noise(look.seed, wp.vec3(wp.cos(turn) * 9.0, wp.sin(turn) * 9.0, r * 1.5))
    iris = look.iris * (1.0 + 0.5 * fibres) * (1.0 - 0.55 * ramp(0.75, 1.0, r))
    iris = iris * (1.0 - 0.35 * ramp(-0.2, 0.9, wp.dot(out - gaze, over) * look.eye_radius))
    iris = blend(iris, wp.vec3(0.004, 0.004, 0.004), ramp(look.pupil + 0.07, look.pupil - 0.03, r))
    veins = ramp(0.1, 0.6, noise(look.seed, p * 3.0)) * ramp(1.0, 2.2, r)
    white = wp.vec3(0.52, 0.49, 0.47) - wp.vec3(0.06, 0.16, 0.16) * veins
    white = white * (1.0 - 0.35 * ramp(1.3, 2.4, r))
    spot = Spot()
    spot.colour = blend(iris, white, ramp(0.92, 1.08, r))
    spot.part = EYE
    spot.shine = 1.2
    spot.roughness = 0.1
    # The upper lid and its lashes keep light from the upper part of the ball.
    spot.open_sky = 0.78 - 0.5 * ramp(0.12, 0.5, out[1])
    return spot
