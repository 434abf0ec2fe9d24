# mypy: ignore-errors
# ruff: noqa: UP018, RUF046 (warp: float(0.0) is a variable, 0.0 a constant)
"""The ray caster's kernel for portraits: surrounding light, soft lamps, and relief in the normals.

Beside ``tracing.trace``, whose pictures must never change by a bit, so it has a kernel of its own.
"""

import warp as wp

from facegeo.rendering.portrait_shading import (
    PortraitView,
    catch_light,
    facing,
    finished,
    lamp_light,
    surrounding_light,
)
from facegeo.rendering.rays import MOST_LIGHTS, SURFACE
from facegeo.rendering.relief import Relief
from facegeo.rendering.shading import EYE, Look
from facegeo.rendering.tracing import mixed, spot_at

wp.set_module_options({"enable_backward": False})

SHADOW_RAYS = wp.constant(6)
"""Rays to each lamp where its shadow has an edge; two elsewhere."""
GLOSS = wp.constant(1.4)
"""How much brighter lamps are mirrored than ``tracing`` has it."""


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
    found = finished(spot, normal, p, c, mixed(paint, t, w, 0), look, relief, view.cornea)
    found.normal = facing(found.normal, ray)
    colour = surrounding_light(found, ray, view, harmonics)
    start = p + 0.06 * flat + 0.05 * found.normal
    gloss = float(GLOSS)
    if parts[hit.face] == EYE:
        gloss = 0.0
        colour += catch_light(mesh, start, found.normal, ray, shadow_cm, view, radiance)
    state = wp.rand_init(int(look.seed), int(pixel[0] * 8.0) * 65536 + int(pixel[1] * 8.0))
    bits = int(SURFACE)
    for k in range(lights.shape[0]):
        if wp.dot(found.normal, lights[k]) > 0.0:
            lit = (known[tid] >> k) & 1
            dark = (known[tid] >> (k + MOST_LIGHTS)) & 1
            share = float(lit)
            if lit == dark:
                luck = state + wp.uint32(k)
                share = lit_share(mesh, start, lights[k], softness[k], shadow_cm, luck)
            bits = bits | (int(share > 0.0) << k) | (int(share < 1.0) << (k + MOST_LIGHTS))
            sent = lamp_light(found, ray, lights[k], softness[k], share, gloss)
            colour += wp.cw_mul(light_colours[k], sent)
    colours[i] = wp.vec4(colour[0], colour[1], colour[2], 1.0)
    out_normals[i] = view.rotation * found.normal
    out_parts[i] = found.spot.part
    out_face[i] = found.spot.face
    out_lit[i] = bits
    out_far[i] = hit.t / wp.sqrt(1.0 + x * x + y * y)
    out_lips[i] = found.lips
