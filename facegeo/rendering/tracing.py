# mypy: ignore-errors
"""The ray caster: camera rays, surfaces, and the kernel for lamps with cast shadows and a sky."""

import warp as wp

from facegeo.rendering.shading import (
    EYE,
    SKIN,
    Look,
    Spot,
    blend,
    eye_spot,
    other_spot,
    ramp,
    skin_spot,
)

wp.set_module_options({"enable_backward": False})

MOST_LIGHTS = 8
"""Lights of a scene: as many as there are bits for, see ``render.py``."""
SURFACE = 1 << 16


@wp.struct
class View:
    """A pinhole camera in the head frame; see ``scene.Camera``."""

    eye: wp.vec3
    rotation: wp.mat33
    focal_px: float
    centre: wp.vec2


@wp.struct
class Body:
    """The loaded bust; ``paint`` holds the columns of ``heads.Paint.table``."""

    mesh: wp.uint64
    triangles: wp.array(dtype=wp.vec3i)
    parts: wp.array(dtype=int)
    normals: wp.array(dtype=wp.vec3)
    skin: wp.array(dtype=wp.vec3)
    paint: wp.array2d(dtype=float)


@wp.struct
class Lamps:
    """Round lights far away, head frame; shadow rays are ``shadow_cm`` long."""

    towards: wp.array(dtype=wp.vec3)
    colours: wp.array(dtype=wp.vec3)
    softness: wp.array(dtype=float)
    shadow_cm: float


@wp.struct
class Rays:
    """Rays to cast: through ``pixels``, results to place ``slots``, with known bits of lights."""

    pixels: wp.array(dtype=wp.vec2)
    slots: wp.array(dtype=int)
    known: wp.array(dtype=int)


@wp.struct
class Seen:
    """What rays find, one place a ray; the names are those of ``render.OUTPUTS``."""

    colours: wp.array(dtype=wp.vec4)
    normals: wp.array(dtype=wp.vec3)
    parts: wp.array(dtype=int)
    face: wp.array(dtype=float)
    lips: wp.array(dtype=float)
    lit: wp.array(dtype=int)
    far: wp.array(dtype=float)


@wp.struct
class Hit:
    """Where a camera ray meets the surface; head frame, ``skin`` in the skin's frame."""

    found: bool
    ray: wp.vec3
    far: float
    part: int
    place: wp.vec3
    skin: wp.vec3
    flat: wp.vec3
    normal: wp.vec3
    corners: wp.vec3i
    weights: wp.vec3


@wp.func
def first_hit(body: Body, view: View, pixel: wp.vec2) -> Hit:
    """Return the surface seen through a pixel; ``flat`` and ``normal`` face the camera."""
    found = Hit()
    x = (pixel[0] - view.centre[0]) / view.focal_px
    y = (view.centre[1] - pixel[1]) / view.focal_px
    ray = wp.normalize(wp.transpose(view.rotation) * wp.vec3(x, y, -1.0))
    hit = wp.mesh_query_ray(body.mesh, view.eye, ray, 1.0e4)
    found.found = hit.result
    if not hit.result:
        return found
    t = body.triangles[hit.face]
    w = wp.vec3(hit.u, hit.v, 1.0 - hit.u - hit.v)
    # Sheets such as hair are seen from both sides.
    outwards = -wp.sign(wp.dot(hit.normal, ray))
    normals = body.normals
    skin = body.skin
    normal = normals[t[0]] * w[0] + normals[t[1]] * w[1] + normals[t[2]] * w[2]
    found.ray = ray
    found.far = hit.t / wp.sqrt(1.0 + x * x + y * y)
    found.part = body.parts[hit.face]
    found.place = view.eye + hit.t * ray
    found.skin = skin[t[0]] * w[0] + skin[t[1]] * w[1] + skin[t[2]] * w[2]
    found.flat = outwards * hit.normal
    found.normal = outwards * wp.normalize(normal)
    found.corners = t
    found.weights = w
    return found


@wp.func
def mixed(body: Body, hit: Hit, k: int) -> float:
    """Return column ``k`` of the paint where a ray hits."""
    t = hit.corners
    w = hit.weights
    mix = body.paint[t[0], k] * w[0] + body.paint[t[1], k] * w[1]
    return mix + body.paint[t[2], k] * w[2]


@wp.func
def spot_at(body: Body, hit: Hit, look: Look) -> Spot:
    """Return the surface where a ray hits."""
    open_sky = mixed(body, hit, 5)
    if hit.part == EYE:
        return eye_spot(hit.place, look)
    if hit.part != SKIN:
        return other_spot(hit.part, hit.place, look, open_sky)
    paint = wp.vec3(mixed(body, hit, 0), mixed(body, hit, 1), mixed(body, hit, 2))
    face = mixed(body, hit, 3)
    scalp = mixed(body, hit, 4)
    spot = skin_spot(hit.skin, hit.place, paint, scalp, face, look)
    spot.open_sky = open_sky
    return spot


@wp.func
def luck_of(look: Look, pixel: wp.vec2) -> wp.uint32:
    """Return the state of a pixel's random numbers."""
    return wp.rand_init(int(look.seed), int(pixel[0] * 8.0) * 65536 + int(pixel[1] * 8.0))


@wp.func
def record(
    seen: Seen,
    i: int,
    view: View,
    hit: Hit,
    spot: Spot,
    normal: wp.vec3,
    lips: float,
    colour: wp.vec3,
    bits: int,
) -> None:
    """Write what a ray found to its place."""
    seen.colours[i] = wp.vec4(colour[0], colour[1], colour[2], 1.0)
    seen.normals[i] = view.rotation * normal
    seen.parts[i] = spot.part
    seen.face[i] = spot.face
    if spot.part == SKIN:
        seen.lips[i] = lips
    seen.lit[i] = bits
    seen.far[i] = hit.far


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
    """Return whether nothing within reach hides one random place on a round light from a point."""
    across = wp.normalize(wp.cross(towards, wp.vec3(0.31, 0.87, 0.38)))
    along = wp.cross(towards, across)
    radius = softness * wp.sqrt(wp.randf(state))
    angle = 6.2831853 * wp.randf(state)
    ray = towards + radius * (wp.cos(angle) * across + wp.sin(angle) * along)
    return not wp.mesh_query_ray_anyhit(mesh, start, wp.normalize(ray), shadow_cm)


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
def sky_light(spot: Spot, hit: Hit, view: View, sky: wp.vec3, ground: wp.vec3) -> wp.vec3:
    """Return what a spot sends back of the light from all sides."""
    up = (view.rotation * hit.normal)[1]
    ambient = blend(ground, sky, 0.5 + 0.5 * up) * spot.open_sky
    rim = wp.max(1.0 + wp.dot(hit.normal, hit.ray), 0.0)
    return wp.cw_mul(spot.colour, ambient) + ambient * (0.05 * spot.shine * rim * rim * rim)


@wp.kernel
def trace(
    body: Body,
    view: View,
    look: Look,
    sky: wp.vec3,
    ground: wp.vec3,
    lamps: Lamps,
    rays: Rays,
    seen: Seen,
) -> None:
    """Shade what rays see; where a ray hits nothing, its place stays as it was.

    ``rays.known`` and ``seen.lit`` hold the lights' bits of ``render.py``; shadow rays are cast for
    the lights not known.
    """
    tid = wp.tid()
    pixel = rays.pixels[tid]
    hit = first_hit(body, view, pixel)
    if not hit.found:
        return
    normal = hit.normal
    spot = spot_at(body, hit, look)
    colour = sky_light(spot, hit, view, sky, ground)
    state = luck_of(look, pixel)
    start = hit.place + 0.06 * hit.flat + 0.05 * normal
    bits = int(SURFACE)  # a variable; without int() a constant
    for k in range(lamps.towards.shape[0]):
        towards = lamps.towards[k]
        cosine = wp.dot(normal, towards)
        if cosine > 0.0:
            lit = (rays.known[tid] >> k) & 1
            dark = (rays.known[tid] >> (k + MOST_LIGHTS)) & 1
            if lit == dark:
                luck = state + wp.uint32(k)
                lit = int(
                    is_lit(body.mesh, start, towards, lamps.softness[k], lamps.shadow_cm, luck)
                )
            bits = bits | (1 << (k + MOST_LIGHTS * (1 - lit)))
            if lit == 1:
                gloss = glossy(normal, -hit.ray, towards, spot.roughness) * ramp(0.0, 0.2, cosine)
                sent = wp.cw_mul(spot.colour, wrapped(cosine, spot.scatter))
                sent += wp.vec3(1.0, 1.0, 1.0) * (gloss * spot.shine)
                colour += wp.cw_mul(lamps.colours[k], sent)
    record(seen, rays.slots[tid], view, hit, spot, normal, mixed(body, hit, 0), colour, bits)
