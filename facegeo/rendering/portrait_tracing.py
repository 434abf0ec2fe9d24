# mypy: ignore-errors
# ruff: noqa: UP018, RUF046 (warp: float(0.0) is a variable, 0.0 a constant)
"""The ray caster's kernel for portraits: surrounding light, soft lamps, and relief in the normals.

A module of its own beside ``tracing.py``: warp compiles whole modules, and faces under plain lamps
need not wait for this one.
"""

import warp as wp

from facegeo.rendering.relief import Relief, skin_slope, tilted
from facegeo.rendering.shading import EYE, HAIR, MOUTH, SKIN, TEETH, Look, Spot, blend, ramp
from facegeo.rendering.tracing import (
    MOST_LIGHTS,
    SURFACE,
    Body,
    Hit,
    Lamps,
    Rays,
    Seen,
    View,
    first_hit,
    glossy,
    luck_of,
    mixed,
    record,
    spot_at,
    wrapped,
)

wp.set_module_options({"enable_backward": False})

CORNEA = wp.constant(0.6)
"""How much steeper than the eyeball the cornea bulges."""
LIDS = wp.constant(-0.5)
"""Height in the skin's frame above which the lining of openings is that of the lids."""
SHADOW_RAYS = wp.constant(6)
"""Rays to each lamp where its shadow has an edge; two elsewhere."""
GLOSS = wp.constant(1.4)
"""How much brighter lamps are mirrored than by ``tracing.trace``."""


@wp.struct
class Surrounding:
    """Light from all sides; ``to_map`` takes camera directions to the frame of ``radiance``."""

    harmonics: wp.array(dtype=wp.vec3)
    radiance: wp.array2d(dtype=wp.vec3)
    to_map: wp.mat33


@wp.func
def smooth_light(harmonics: wp.array(dtype=wp.vec3), n: wp.vec3) -> wp.vec3:
    """Return the shading by all but the lamps; ``n`` in the camera's frame."""
    x = n[0]
    y = n[1]
    z = n[2]
    total = harmonics[0] + y * harmonics[1] + z * harmonics[2] + x * harmonics[3]
    total += (x * y) * harmonics[4] + (y * z) * harmonics[5] + (3.0 * z * z - 1.0) * harmonics[6]
    total += (x * z) * harmonics[7] + (x * x - y * y) * harmonics[8]
    return wp.max(total, wp.vec3(0.0, 0.0, 0.0))


@wp.func
def between_bounces(sky: float, colour: wp.vec3) -> wp.vec3:
    """Return how much light reaches a spot that sees the share ``sky`` of all around.

    Light that neighbours of the same colour send on is counted: Jimenez et al., "Practical
    Real-Time Strategies for Accurate Indirect Occlusion", SIGGRAPH 2016 courses, Eq. (10).
    """
    a = 2.0404 * colour - wp.vec3(0.3324, 0.3324, 0.3324)
    b = -4.7951 * colour + wp.vec3(0.6417, 0.6417, 0.6417)
    c = 2.7552 * colour + wp.vec3(0.6903, 0.6903, 0.6903)
    return wp.max(((a * sky + b) * sky + c) * sky, wp.vec3(sky, sky, sky))


@wp.func
def mirrored(radiance: wp.array2d(dtype=wp.vec3), towards: wp.vec3) -> wp.vec3:
    """Return the map's radiance in a direction of its frame, between its pixels."""
    rows = radiance.shape[0]
    columns = radiance.shape[1]
    v = wp.acos(wp.clamp(towards[1], -1.0, 1.0)) / 3.1415927 * float(rows) - 0.5
    u = (wp.atan2(towards[0], towards[2]) / 6.2831853 + 0.5) * float(columns) - 0.5
    top = int(wp.floor(v))
    left = int(wp.floor(u))
    down = v - wp.floor(v)
    right = u - wp.floor(u)
    first = wp.clamp(top, 0, rows - 1)
    second = wp.clamp(top + 1, 0, rows - 1)
    here = (left + columns) % columns
    there = (left + 1 + columns) % columns
    upper = blend(radiance[first, here], radiance[first, there], right)
    lower = blend(radiance[second, here], radiance[second, there], right)
    return blend(upper, lower, down)


@wp.func
def eye_normal(p: wp.vec3, smooth: wp.vec3, look: Look) -> wp.vec3:
    """Return the normal of an eyeball whose cornea bulges in front of the iris."""
    middle = look.eye_left
    gaze = look.gaze_left
    if p[0] > 0.0:
        middle = look.eye_right
        gaze = look.gaze_right
    out = wp.normalize(p - middle)
    r = wp.acos(wp.clamp(wp.dot(out, gaze), -1.0, 1.0)) * look.eye_radius / 0.60
    return wp.normalize(smooth + (CORNEA * ramp(1.15, 0.85, r)) * (out - gaze))


@wp.struct
class Surface:
    """What a ray hits, as it is shaded."""

    spot: Spot
    normal: wp.vec3
    lips: float


@wp.func
def finished(spot: Spot, hit: Hit, lips: float, look: Look, relief: Relief) -> Surface:
    """Add what ``tracing`` leaves out: relief of skin and cornea, lids' lining, shade on teeth."""
    found = Surface()
    smooth = hit.normal
    c = hit.skin
    found.normal = smooth
    if spot.part == SKIN:
        found.lips = lips
        slope = skin_slope(c, lips, relief)
        found.normal = tilted(smooth, wp.vec3(slope[0], slope[1], slope[2]))
        spot.roughness += 0.05
        spot.open_sky = spot.open_sky * (1.0 - 0.45 * wp.min(slope[3], 1.0))
    elif spot.part == EYE:
        found.normal = eye_normal(hit.place, smooth, look)
        spot.colour = spot.colour * 0.8
    elif spot.part == TEETH:
        spot.colour = spot.colour * 0.85
        spot.open_sky = 0.3
    elif spot.part == HAIR:
        spot.colour = spot.colour * 1.4 + wp.vec3(0.012, 0.011, 0.01)
    elif spot.part == MOUTH and c[1] > LIDS:
        spot.part = EYE
        spot.colour = wp.cw_mul(look.tone, wp.vec3(0.8, 0.5, 0.45))
        spot.shine = 0.6
        spot.roughness = 0.3
    found.spot = spot
    return found


@wp.func
def facing(normal: wp.vec3, ray: wp.vec3) -> wp.vec3:
    """Return a normal that neither interpolation nor relief turns away from the camera."""
    behind = wp.max(wp.dot(normal, ray) + 0.02, 0.0)
    return wp.normalize(normal - behind * ray)


@wp.func
def surrounding_light(
    found: Surface, ray: wp.vec3, view: View, harmonics: wp.array(dtype=wp.vec3)
) -> wp.vec3:
    """Return what a surface sends back of the light from all sides."""
    spot = found.spot
    around = between_bounces(spot.open_sky, spot.colour)
    light = wp.cw_mul(smooth_light(harmonics, view.rotation * found.normal), around)
    # Rough: what grazes is mostly shadowed by the skin's own unevenness.
    graze = wp.pow(wp.max(1.0 + wp.dot(found.normal, ray), 0.0), 5.0)
    fresnel = (0.028 + 0.1 * graze) * spot.shine * spot.open_sky * spot.open_sky
    reflected = ray - (2.0 * wp.dot(ray, found.normal)) * found.normal
    gloss = fresnel * smooth_light(harmonics, view.rotation * reflected)
    return wp.cw_mul(spot.colour, light) + gloss


@wp.func
def catch_light(
    mesh: wp.uint64,
    start: wp.vec3,
    normal: wp.vec3,
    ray: wp.vec3,
    shadow_cm: float,
    view: View,
    around: Surrounding,
) -> wp.vec3:
    """Return what a wet eye mirrors of the surround where nothing is in the way."""
    reflected = ray - (2.0 * wp.dot(ray, normal)) * normal
    if wp.mesh_query_ray_anyhit(mesh, start, reflected, shadow_cm):
        return wp.vec3(0.0, 0.0, 0.0)
    seen = mirrored(around.radiance, around.to_map * (view.rotation * reflected))
    graze = wp.pow(wp.max(1.0 + wp.dot(normal, ray), 0.0), 5.0)
    return (0.028 + 0.972 * graze) * wp.min(seen, wp.vec3(60.0, 60.0, 60.0))


@wp.func
def bled(share: float, scatter: float) -> wp.vec3:
    """Return what reaches the skin in a half shadow: red light bleeds into it."""
    red = wp.pow(share, 1.0 - 0.35 * scatter)
    return wp.vec3(red, share, share)


@wp.func
def lamp_light(
    found: Surface, ray: wp.vec3, towards: wp.vec3, softness: float, share: float, shine: float
) -> wp.vec3:
    """Return what a surface sends back of a lamp of which it sees a share."""
    spot = found.spot
    cosine = wp.dot(found.normal, towards)
    gloss = glossy(found.normal, -ray, towards, spot.roughness + 0.5 * softness)
    gloss = gloss * ramp(0.0, 0.2, cosine) * shine * spot.shine * share
    sent = wp.cw_mul(spot.colour, wrapped(cosine, spot.scatter))
    return wp.cw_mul(sent, bled(share, spot.scatter)) + wp.vec3(gloss, gloss, gloss)


@wp.func
def lit_share(
    mesh: wp.uint64,
    start: wp.vec3,
    towards: wp.vec3,
    softness: float,
    shadow_cm: float,
    state: wp.uint32,
) -> float:
    """Return the share of a round lamp that is seen from a point."""
    across = wp.normalize(wp.cross(towards, wp.vec3(0.31, 0.87, 0.38)))
    along = wp.cross(towards, across)
    first = 6.2831853 * wp.randf(state)
    free = int(0)
    for k in range(SHADOW_RAYS):
        # The first two pass near opposite rims; where they agree, so will most others.
        turn = 3.1415927 * float(k)
        if k > 1:
            turn = 1.5707963 + 2.3999632 * float(k)
        radius = softness * wp.sqrt(1.0 - (float(k) + wp.randf(state)) / float(SHADOW_RAYS))
        ray = towards + radius * (wp.cos(first + turn) * across + wp.sin(first + turn) * along)
        if not wp.mesh_query_ray_anyhit(mesh, start, wp.normalize(ray), shadow_cm):
            free += 1
        if k == 1 and free != 1:
            return float(free) * 0.5
    return float(free) / float(SHADOW_RAYS)


@wp.kernel
def trace_portrait(
    body: Body,
    view: View,
    look: Look,
    relief: Relief,
    around: Surrounding,
    lamps: Lamps,
    rays: Rays,
    seen: Seen,
) -> None:
    """Shade what rays see; see ``tracing.trace``.

    The normals written are those that were shaded, relief included.
    """
    tid = wp.tid()
    pixel = rays.pixels[tid]
    hit = first_hit(body, view, pixel)
    if not hit.found:
        return
    found = finished(spot_at(body, hit, look), hit, mixed(body, hit, 0), look, relief)
    found.normal = facing(found.normal, hit.ray)
    colour = surrounding_light(found, hit.ray, view, around.harmonics)
    start = hit.place + 0.06 * hit.flat + 0.05 * found.normal
    gloss = float(GLOSS)
    if hit.part == EYE:
        gloss = 0.0
        colour += catch_light(
            body.mesh, start, found.normal, hit.ray, lamps.shadow_cm, view, around
        )
    state = luck_of(look, pixel)
    bits = int(SURFACE)
    for k in range(lamps.towards.shape[0]):
        towards = lamps.towards[k]
        softness = lamps.softness[k]
        if wp.dot(found.normal, towards) > 0.0:
            lit = (rays.known[tid] >> k) & 1
            dark = (rays.known[tid] >> (k + MOST_LIGHTS)) & 1
            share = float(lit)
            if lit == dark:
                luck = state + wp.uint32(k)
                share = lit_share(body.mesh, start, towards, softness, lamps.shadow_cm, luck)
            bits = bits | (int(share > 0.0) << k) | (int(share < 1.0) << (k + MOST_LIGHTS))
            sent = lamp_light(found, hit.ray, towards, softness, share, gloss)
            colour += wp.cw_mul(lamps.colours[k], sent)
    record(seen, rays.slots[tid], view, hit, found.spot, found.normal, found.lips, colour, bits)
