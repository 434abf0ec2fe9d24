# mypy: ignore-errors
"""The ray caster's kernel for portraits: surrounding light, soft lamps, and relief in the normals.

Beside ``tracing.trace``, whose pictures must never change by a bit, so it has a kernel of its own.
"""

import warp as wp

from facegeo.synthetic.noise import blend, ramp
from facegeo.synthetic.rays import MOST_LIGHTS, SURFACE
from facegeo.synthetic.relief import Relief, skin_slope, tilted
from facegeo.synthetic.shading import EYE, HAIR, MOUTH, SKIN, TEETH, Look
from facegeo.synthetic.tracing import glossy, mixed, spot_at, wrapped

wp.set_module_options({"enable_backward": False})

SHADOW_RAYS = wp.constant(6)
"""Rays to each lamp where its shadow has an edge; two elsewhere."""


@wp.struct
class PortraitView:
    """Camera and what mirrors show; ``to_map`` takes camera directions to the map's frame."""

    eye: wp.vec3
    rotation: wp.mat33
    focal_px: float
    centre: wp.vec2
    to_map: wp.mat33
    cornea: float


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
    free = int(0)  # a variable; 0 would be a constant
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


@wp.func
def eye_normal(p: wp.vec3, smooth: wp.vec3, look: Look, bulge: float) -> wp.vec3:
    """Return the normal of an eyeball whose cornea stands out before the iris."""
    middle = look.eye_left
    gaze = look.gaze_left
    if p[0] > 0.0:
        middle = look.eye_right
        gaze = look.gaze_right
    out = wp.normalize(p - middle)
    r = wp.acos(wp.clamp(wp.dot(out, gaze), -1.0, 1.0)) * look.eye_radius / 0.60
    return wp.normalize(smooth + (bulge * ramp(1.15, 0.85, r)) * (out - gaze))


@wp.kernel
def trace_portrait(
    mesh: wp.uint64,
    triangles: wp.array(dtype=wp.vec3i),
    parts: wp.array(dtype=int),
    normals: wp.array(dtype=wp.vec3),
    skin: wp.array(dtype=wp.vec3),
    paint: wp.array2d(dtype=float),
    view: PortraitView,
    look: Look,
    relief: Relief,
    harmonics: wp.array(dtype=wp.vec3),
    radiance: wp.array2d(dtype=wp.vec3),
    lights: wp.array(dtype=wp.vec3),
    light_colours: wp.array(dtype=wp.vec3),
    softness: wp.array(dtype=float),
    shadow_cm: float,
    pixels: wp.array(dtype=wp.vec2),
    slots: wp.array(dtype=int),
    known: wp.array(dtype=int),
    colours: wp.array(dtype=wp.vec4),
    out_normals: wp.array(dtype=wp.vec3),
    out_parts: wp.array(dtype=int),
    out_face: wp.array(dtype=float),
    out_lit: wp.array(dtype=int),
    out_far: wp.array(dtype=float),
    out_lips: wp.array(dtype=float),
) -> None:
    """Shade the surface seen through ``pixels``; see ``tracing.trace``.

    The normals written are those that were shaded, relief included.
    """
    tid = wp.tid()
    pixel = pixels[tid]
    i = slots[tid]
    x = (pixel[0] - view.centre[0]) / view.focal_px
    y = (view.centre[1] - pixel[1]) / view.focal_px
    ray = wp.normalize(wp.transpose(view.rotation) * wp.vec3(x, y, -1.0))
    hit = wp.mesh_query_ray(mesh, view.eye, ray, 1.0e4)
    if not hit.result:
        return
    t = triangles[hit.face]
    w = wp.vec3(hit.u, hit.v, 1.0 - hit.u - hit.v)
    outwards = -wp.sign(wp.dot(hit.normal, ray))
    flat = outwards * hit.normal
    normal = normals[t[0]] * w[0] + normals[t[1]] * w[1] + normals[t[2]] * w[2]
    normal = outwards * wp.normalize(normal)
    p = view.eye + hit.t * ray
    c = skin[t[0]] * w[0] + skin[t[1]] * w[1] + skin[t[2]] * w[2]
    spot = spot_at(parts[hit.face], p, c, paint, t, w, look)
    lips = float(0.0)  # noqa: UP018
    if spot.part == SKIN:
        lips = mixed(paint, t, w, 0)
        slope = skin_slope(c, lips, relief)
        normal = tilted(normal, wp.vec3(slope[0], slope[1], slope[2]))
        spot.roughness += 0.05
        spot.open_sky = spot.open_sky * (1.0 - 0.45 * wp.min(slope[3], 1.0))
    elif spot.part == EYE:
        normal = eye_normal(p, normal, look, view.cornea)
        spot.colour = spot.colour * 0.8
    elif spot.part == TEETH:
        spot.colour = spot.colour * 0.85
        spot.open_sky = 0.3
    elif spot.part == HAIR:
        spot.colour = spot.colour * 1.4 + wp.vec3(0.012, 0.011, 0.01)
    elif spot.part == MOUTH and c[1] > -0.5:  # lining of the lids, not of the mouth
        spot.part = EYE
        spot.colour = wp.cw_mul(look.tone, wp.vec3(0.8, 0.5, 0.45))
        spot.shine = 0.6
        spot.roughness = 0.3
    behind = wp.dot(normal, ray) + 0.02
    if behind > 0.0:  # neither interpolation nor relief may turn what is seen away
        normal = wp.normalize(normal - behind * ray)
    reflected = ray - (2.0 * wp.dot(ray, normal)) * normal
    around = between_bounces(spot.open_sky, spot.colour)
    light = wp.cw_mul(smooth_light(harmonics, view.rotation * normal), around)
    colour = wp.cw_mul(spot.colour, light)
    graze = wp.max(1.0 + wp.dot(normal, ray), 0.0)
    graze = graze * graze * graze * graze * graze
    start = p + 0.06 * flat + 0.05 * normal
    gloss_of_lamps = float(1.4)  # noqa: UP018
    if parts[hit.face] == EYE:
        gloss_of_lamps = 0.0
        if not wp.mesh_query_ray_anyhit(mesh, start, reflected, shadow_cm):
            seen = mirrored(radiance, view.to_map * (view.rotation * reflected))
            colour += (0.028 + 0.972 * graze) * wp.min(seen, wp.vec3(60.0, 60.0, 60.0))
    else:  # rough: what grazes is mostly shadowed by the skin's own unevenness
        around_it = smooth_light(harmonics, view.rotation * reflected)
        fresnel = (0.028 + 0.1 * graze) * spot.shine * spot.open_sky * spot.open_sky
        colour += fresnel * around_it
    state = wp.rand_init(int(look.seed), int(pixel[0] * 8.0) * 65536 + int(pixel[1] * 8.0))
    bits = int(SURFACE)
    for k in range(lights.shape[0]):
        cosine = wp.dot(normal, lights[k])
        if cosine > 0.0:
            lit = (known[tid] >> k) & 1
            dark = (known[tid] >> (k + MOST_LIGHTS)) & 1
            share = float(lit)
            if lit == dark:
                luck = state + wp.uint32(k)
                share = lit_share(mesh, start, lights[k], softness[k], shadow_cm, luck)
            if share > 0.0:
                bits = bits | (1 << k)
                gloss = glossy(normal, -ray, lights[k], spot.roughness + 0.5 * softness[k])
                gloss = gloss * ramp(0.0, 0.2, cosine) * gloss_of_lamps
                sent = wp.cw_mul(spot.colour, wrapped(cosine, spot.scatter))
                sent = wp.cw_mul(sent, bled(share, spot.scatter))
                sent += wp.vec3(1.0, 1.0, 1.0) * (gloss * spot.shine * share)
                colour += wp.cw_mul(light_colours[k], sent)
            if share < 1.0:
                bits = bits | (1 << (k + MOST_LIGHTS))
    colours[i] = wp.vec4(colour[0], colour[1], colour[2], 1.0)
    out_normals[i] = view.rotation * normal
    out_parts[i] = spot.part
    out_face[i] = spot.face
    out_lit[i] = bits
    out_far[i] = hit.t / wp.sqrt(1.0 + x * x + y * y)
    out_lips[i] = lips


@wp.func
def bled(share: float, scatter: float) -> wp.vec3:
    """Return what reaches the skin in a half shadow: red light bleeds into it."""
    red = wp.pow(share, 1.0 - 0.35 * scatter)
    return wp.vec3(red, share, share)
