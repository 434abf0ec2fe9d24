# mypy: ignore-errors
"""Fine relief of the skin, as warp functions: unevenness, pores, wrinkles and creased lips.

Relief tilts the normals of the smooth mesh. Its height is a function of the position ``c`` in the
skin's frame (``heads.skin_frame``, unit: eye distance), so its slope has no unit.
"""

import warp as wp

from facegeo.rendering.shading import bump, lattice, noise, noise_slope, ramp

wp.set_module_options({"enable_backward": False})


@wp.struct
class Relief:
    """How uneven a face is; drawn in ``look.py``.

    ``uneven``, ``grain`` and ``pores`` are slopes of waves of 0.5, 0.2 and 0.1 cm, ``lips`` that of
    the lips' creases; the wrinkles' are the steepest slope of each group. ``pixel`` is the width of
    a pixel on the face in eye distances: finer waves fade.
    """

    seed: wp.uint32
    pixel: float
    uneven: float
    grain: float
    pores: float
    lips: float
    forehead: float
    glabella: float
    crow: float
    fold: float
    lids: float


@wp.func
def faded(slope: float, frequency: float, pixel: float) -> float:
    """Return a slope, less where its waves span fewer than two pixels."""
    return slope * ramp(1.0, 0.4, frequency * pixel)


@wp.func
def groove(away: float, half: float) -> wp.vec2:
    """Return slope, at most 1, and depth, at most 1, of a groove at a distance from its middle."""
    u = away / half
    deep = wp.exp(-0.5 * u * u)
    return wp.vec2(1.6487 * u * deep, deep)


@wp.func
def forehead_lines(s: float, c: wp.vec3, relief: Relief) -> wp.vec3:
    """Return slope in x and y and depth of the lines across the forehead."""
    apart = 0.125
    rise = c[1] - 0.36 + 0.05 * noise(relief.seed + wp.uint32(11), wp.vec3(c[0] * 2.4, 1.0, 0.0))
    rise = rise - 0.05 * s
    line = wp.floor(rise / apart)
    if line < 0.0 or line > 4.0:
        return wp.vec3(0.0, 0.0, 0.0)
    strength = 0.65 + 0.9 * noise(relief.seed + wp.uint32(12), wp.vec3(c[0] * 1.9, line * 7.3, 0.0))
    strength = strength * ramp(0.8, 0.35, s) * ramp(0.95, 0.7, c[1])
    found = groove(rise - (line + 0.5) * apart, 0.021)
    amount = relief.forehead * wp.clamp(strength, 0.0, 1.0)
    return wp.vec3(0.0, amount * found[0], amount * found[1])


@wp.func
def crows_feet(s: float, c: wp.vec3, relief: Relief) -> wp.vec3:
    """Return slope in |x| and y and depth of the lines beside the eyes."""
    x = s - 0.70
    y = c[1] + 0.02
    far = wp.sqrt(x * x + y * y)
    if far < 0.04 or far > 0.34 or x < 0.0:
        return wp.vec3(0.0, 0.0, 0.0)
    side = wp.sign(c[0]) * 3.0
    turn = wp.atan2(y, x) + 0.16 * noise(relief.seed + wp.uint32(13), wp.vec3(far * 9.0, side, 0.0))
    step = 0.36
    line = wp.floor(turn / step)
    if line < -3.0 or line > 2.0:
        return wp.vec3(0.0, 0.0, 0.0)
    strength = 0.6 + 0.8 * lattice(relief.seed + wp.uint32(14), int(line), int(side), 0)
    found = groove((turn - (line + 0.5) * step) * far, 0.016)
    amount = relief.crow * wp.clamp(strength, 0.0, 1.0)
    amount = amount * ramp(0.06, 0.12, far) * ramp(0.34, 0.18, far)
    slope = amount * found[0] / far
    return wp.vec3(-slope * y, slope * x, amount * found[1])


@wp.func
def folds(s: float, c: wp.vec3, relief: Relief) -> wp.vec3:
    """Return slope in |x| and y and depth of the folds from nose to mouth and under the lids."""
    t = (-0.48 - c[1]) / 0.62
    total = wp.vec3(0.0, 0.0, 0.0)
    if t > -0.1 and t < 1.2:
        bend = 0.29 + 0.12 * t + 0.1 * t * t
        found = groove(s - bend, 0.034)
        amount = relief.fold * ramp(-0.1, 0.15, t) * ramp(1.2, 0.8, t)
        tilt = (0.12 + 0.2 * t) / 0.62
        total += wp.vec3(amount * found[0], amount * found[0] * tilt, amount * found[1])
    x = (s - 0.48) / 0.3
    y = c[1] + 0.02
    if y < -0.06 and y > -0.32 and wp.abs(x) < 1.2:
        for k in range(2):
            ring = -0.135 - 0.085 * float(k) + 0.05 * x * x
            found = groove(y - ring, 0.017)
            amount = relief.lids * ramp(1.2, 0.6, wp.abs(x)) * (1.0 - 0.35 * float(k))
            tilt = -0.1 * x / 0.3
            total += wp.vec3(amount * found[0] * tilt, amount * found[0], amount * found[1])
    if c[1] > 0.05 and c[1] < 0.45 and s < 0.25:
        bend = 0.085 + 0.03 * wp.sign(c[0]) * lattice(relief.seed, 5, 5, 5)
        found = groove(s - bend, 0.02)
        amount = relief.glabella * ramp(0.05, 0.18, c[1]) * ramp(0.45, 0.28, c[1])
        total += wp.vec3(amount * found[0], 0.0, amount * found[1])
    return total


@wp.func
def skin_slope(c: wp.vec3, lips: float, relief: Relief) -> wp.vec4:
    """Return the gradient of the relief's height, head axes, and the depth of the wrinkles."""
    s = wp.abs(c[0])
    broad = faded(relief.uneven, 12.0, relief.pixel)
    mid = faded(relief.grain, 30.0, relief.pixel)
    fine = faded(relief.pores, 62.0, relief.pixel)
    slope = broad * noise_slope(relief.seed + wp.uint32(1), c * 12.0)
    slope += mid * noise_slope(relief.seed + wp.uint32(2), c * 30.0)
    if fine > 0.0:
        cheeks = 0.6 + 0.8 * bump(s, c[1], 0.3, -0.4, 0.35, 0.35)
        slope += (fine * cheeks) * noise_slope(relief.seed + wp.uint32(3), c * 62.0)
    if lips > 0.0:
        creases = noise_slope(relief.seed + wp.uint32(4), wp.vec3(c[0] * 40.0, c[1] * 7.0, 3.0))
        slope = slope * (1.0 - 0.7 * lips) + (relief.lips * lips) * creases
    lines = forehead_lines(s, c, relief) + crows_feet(s, c, relief) + folds(s, c, relief)
    lines = lines * (1.0 - lips)
    side = wp.sign(c[0])
    return wp.vec4(slope[0] + side * lines[0], slope[1] + lines[1], slope[2], lines[2])


@wp.func
def tilted(normal: wp.vec3, slope: wp.vec3) -> wp.vec3:
    """Return the unit normal of a surface whose height over another one has a gradient."""
    return wp.normalize(normal - (slope - wp.dot(slope, normal) * normal))
