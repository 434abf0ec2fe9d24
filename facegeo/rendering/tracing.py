# mypy: ignore-errors
"""The ray caster's kernel: camera ray, surface, light with cast shadows."""

import warp as wp

from facegeo.rendering.noise import blend, ramp
from facegeo.rendering.rays import MOST_LIGHTS, SURFACE
from facegeo.rendering.shading import EYE, SKIN, Look, Spot, eye_spot, other_spot, skin_spot

wp.set_module_options({"enable_backward": False})


@wp.struct
class View:
    """Camera and sky in the head frame; see ``scene.Camera`` and ``scene.Lights``."""

    eye: wp.vec3
    rotation: wp.mat33
    focal_px: float
    centre: wp.vec2
    sky: wp.vec3
    ground: wp.vec3


@wp.func
def glossy(normal: wp.vec3, to_eye: wp.vec3, to_light: wp.vec3, roughness: float) -> float:
    """Return the specular term D F / 4 (GGX, Schlick with 2.8 % at normal incidence)."""
    half = wp.normalize(to_eye + to_light)
    cosine = wp.max(wp.dot(normal, half), 0.0)
    a2 = roughness * roughness * roughness * roughness
    d = cosine * cosine * (a2 - 1.0) + 1.0
    graze = 1.0 - wp.max(wp.dot(to_eye, half), 0.0)
    fresnel = 0.028 + 0.972 * graze * graze * graze * graze * graze
    return 0.25 * a2 / (3.14159 * d * d) * fresnel


@wp.func
def is_lit(
    mesh: wp.uint64,
    start: wp.vec3,
    towards: wp.vec3,
    softness: float,
    shadow_cm: float,
    state: wp.uint32,
) -> bool:
    """Tell whether nothing within reach hides one random place on a round light from a point."""
    across = wp.normalize(wp.cross(towards, wp.vec3(0.31, 0.87, 0.38)))
    along = wp.cross(towards, across)
    radius = softness * wp.sqrt(wp.randf(state))
    angle = 6.2831853 * wp.randf(state)
    ray = towards + radius * (wp.cos(angle) * across + wp.sin(angle) * along)
    return not wp.mesh_query_ray_anyhit(mesh, start, wp.normalize(ray), shadow_cm)


@wp.func
def mixed(table: wp.array2d(dtype=float), corners: wp.vec3i, weights: wp.vec3, k: int) -> float:
    """Return column ``k`` of a table over the vertices, at a point of a triangle."""
    mix = table[corners[0], k] * weights[0] + table[corners[1], k] * weights[1]
    return mix + table[corners[2], k] * weights[2]


@wp.func
def spot_at(
    part: int,
    p: wp.vec3,
    c: wp.vec3,
    paint: wp.array2d(dtype=float),
    corners: wp.vec3i,
    weights: wp.vec3,
    look: Look,
) -> Spot:
    """Return the surface at head frame position ``p``, skin position ``c``."""
    open_sky = mixed(paint, corners, weights, 5)
    if part == EYE:
        return eye_spot(p, look)
    if part != SKIN:
        return other_spot(part, p, look, open_sky)
    lips = mixed(paint, corners, weights, 0)
    lash = mixed(paint, corners, weights, 1)
    ear = mixed(paint, corners, weights, 2)
    face = mixed(paint, corners, weights, 3)
    scalp = mixed(paint, corners, weights, 4)
    spot = skin_spot(c, p, wp.vec3(lips, lash, ear), scalp, face, look)
    spot.open_sky = open_sky
    return spot


@wp.func
def wrapped(cosine: float, scatter: float) -> wp.vec3:
    """Return Lambert's cosine, softened more for red, which travels farther under the skin."""
    # Fades out at the terminator, behind which no shadow rays are cast.
    wrap = wp.vec3(0.3, 0.12, 0.08) * (scatter * ramp(0.0, 0.4, cosine))
    return wp.vec3(
        wp.max((cosine + wrap[0]) / (1.0 + wrap[0]), 0.0),
        wp.max((cosine + wrap[1]) / (1.0 + wrap[1]), 0.0),
        wp.max((cosine + wrap[2]) / (1.0 + wrap[2]), 0.0),
    )


@wp.func
def sky_light(spot: Spot, normal: wp.vec3, ray: wp.vec3, view: View) -> wp.vec3:
    """Return what a spot sends back of the light from all sides."""
    up = (view.rotation * normal)[1]
    ambient = blend(view.ground, view.sky, 0.5 + 0.5 * up) * spot.open_sky
    rim = wp.max(1.0 + wp.dot(normal, ray), 0.0)
    return wp.cw_mul(spot.colour, ambient) + ambient * (0.05 * spot.shine * rim * rim * rim)


@wp.kernel
def trace(
    mesh: wp.uint64,
    triangles: wp.array(dtype=wp.vec3i),
    parts: wp.array(dtype=int),
    normals: wp.array(dtype=wp.vec3),
    skin: wp.array(dtype=wp.vec3),
    paint: wp.array2d(dtype=float),
    view: View,
    look: Look,
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
) -> None:
    """Shade the surface seen through ``pixels``; nothing hit leaves what was there.

    Pixel i is written to place ``slots[i]`` of the outputs. ``known`` and ``out_lit`` hold the
    lights' bits of ``rays.py``; shadow rays of length ``shadow_cm`` are cast for the lights not
    known.
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
    # Sheets such as hair are seen from both sides.
    outwards = -wp.sign(wp.dot(hit.normal, ray))
    flat = outwards * hit.normal
    normal = normals[t[0]] * w[0] + normals[t[1]] * w[1] + normals[t[2]] * w[2]
    normal = outwards * wp.normalize(normal)
    p = view.eye + hit.t * ray
    c = skin[t[0]] * w[0] + skin[t[1]] * w[1] + skin[t[2]] * w[2]
    spot = spot_at(parts[hit.face], p, c, paint, t, w, look)
    colour = sky_light(spot, normal, ray, view)
    state = wp.rand_init(int(look.seed), int(pixel[0] * 8.0) * 65536 + int(pixel[1] * 8.0))
    start = p + 0.06 * flat + 0.05 * normal
    bits = int(SURFACE)  # a variable; without int() a constant
    for k in range(lights.shape[0]):
        cosine = wp.dot(normal, lights[k])
        if cosine > 0.0:
            lit = (known[tid] >> k) & 1
            dark = (known[tid] >> (k + MOST_LIGHTS)) & 1
            if lit == dark:
                luck = state + wp.uint32(k)
                lit = int(is_lit(mesh, start, lights[k], softness[k], shadow_cm, luck))
            bits = bits | (1 << (k + MOST_LIGHTS * (1 - lit)))
            if lit == 1:
                gloss = glossy(normal, -ray, lights[k], spot.roughness) * ramp(0.0, 0.2, cosine)
                sent = wp.cw_mul(spot.colour, wrapped(cosine, spot.scatter))
                sent += wp.vec3(1.0, 1.0, 1.0) * (gloss * spot.shine)
                colour += wp.cw_mul(light_colours[k], sent)
    colours[i] = wp.vec4(colour[0], colour[1], colour[2], 1.0)
    out_normals[i] = view.rotation * normal
    out_parts[i] = spot.part
    out_face[i] = spot.face
    out_lit[i] = bits
    out_far[i] = hit.t / wp.sqrt(1.0 + x * x + y * y)
