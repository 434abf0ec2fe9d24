# mypy: disable-error-code="valid-type,no-any-return,no-untyped-call,type-arg,misc,arg-type"
"""The ray caster's kernel: camera ray, surface, light with cast shadows."""

import warp as wp

from facegeo.synthetic.shading import (
    CLOTH,
    EYE,
    HAIR,
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

@wp.struct
class View:
    """Camera and sky in the head frame; see ``scene.Camera`` and ``scene.Lights``."""

    eye: wp.vec3
    rotation: wp.mat33
    focal_px: float
    centre: wp.vec2
    sky: wp.vec3
    ground: wp.vec3
    shadow_rays: int


@wp.func
def glossy(normal: wp.vec3, to_eye: wp.vec3, to_light: wp.vec3, roughness: float) -> float:
    """Return the specular term D F / 4 (GGX, Schlick with 2.8 % at normal incidence)."""
    half = wp.normalize(to_eye + to_light)
    cosine = wp.max(wp.dot(normal, half), 0.0)
    a2 = wp.pow(roughness, 4.0)
    d = cosine * cosine * (a2 - 1.0) + 1.0
    fresnel = 0.028 + 0.972 * wp.pow(1.0 - wp.max(wp.dot(to_eye, half), 0.0), 5.0)
    return 0.25 * a2 / (3.14159 * d * d) * fresnel


@wp.func
def lit_share(
    mesh: wp.uint64, start: wp.vec3, towards: wp.vec3, softness: float, rays: int, state: wp.uint32
) -> float:
    """Return the share of a round light that is not hidden from a point."""
    across = wp.normalize(wp.cross(towards, wp.vec3(0.31, 0.87, 0.38)))
    along = wp.cross(towards, across)
    first = wp.randf(state)
    free = float(0.0)
    for k in range(rays):
        # A spiral of equal areas, turned at random for each pixel.
        radius = softness * wp.sqrt((float(k) + 0.5) / float(rays))
        angle = 6.2831853 * first + 2.3999632 * float(k)
        ray = towards + radius * (wp.cos(angle) * across + wp.sin(angle) * along)
        if not wp.mesh_query_ray_anyhit(mesh, start, wp.normalize(ray), 80.0):
            free += 1.0
    return free / float(rays)


@wp.kernel
def trace(
    mesh: wp.uint64,
    triangles: wp.array2d(dtype=int),
    parts: wp.array(dtype=int),
    normals: wp.array(dtype=wp.vec3),
    skin: wp.array(dtype=wp.vec3),
    paint: wp.array2d(dtype=float),
    view: View,
    look: Look,
    lights: wp.array(dtype=wp.vec3),
    light_colours: wp.array(dtype=wp.vec3),
    softness: wp.array(dtype=float),
    pixels: wp.array(dtype=wp.vec2),
    colours: wp.array(dtype=wp.vec4),
    out_normals: wp.array(dtype=wp.vec3),
    out_parts: wp.array(dtype=int),
    out_face: wp.array(dtype=float),
    out_where: wp.array(dtype=wp.vec3),
) -> None:
    """Shade the surface seen through each of ``pixels``; nothing hit leaves zeros and part -1."""
    i = wp.tid()
    pixel = pixels[i]
    seen = wp.vec3(
        (pixel[0] - view.centre[0]) / view.focal_px,
        (view.centre[1] - pixel[1]) / view.focal_px,
        -1.0,
    )
    to_head = wp.transpose(view.rotation)
    ray = wp.normalize(to_head * seen)
    out_parts[i] = -1
    hit = wp.mesh_query_ray(mesh, view.eye, ray, 1.0e4)
    if not hit.result:
        return
    a = triangles[hit.face, 0]
    b = triangles[hit.face, 1]
    c = triangles[hit.face, 2]
    wa = hit.u
    wb = hit.v
    wc = 1.0 - wa - wb
    normal = wp.normalize(normals[a] * wa + normals[b] * wb + normals[c] * wc)
    if hit.sign < 0.0:
        normal = -normal
    flat = hit.normal
    if wp.dot(flat, ray) > 0.0:
        flat = -flat
    p = view.eye + hit.t * ray
    part = parts[hit.face]
    state = wp.rand_init(int(look.seed), int(pixel[0] * 8.0) * 65536 + int(pixel[1] * 8.0))
    open_sky = paint[a, 5] * wa + paint[b, 5] * wb + paint[c, 5] * wc
    spot = Spot()
    if part == SKIN:
        position = skin[a] * wa + skin[b] * wb + skin[c] * wc
        painted = wp.vec3(
            paint[a, 0] * wa + paint[b, 0] * wb + paint[c, 0] * wc,
            paint[a, 1] * wa + paint[b, 1] * wb + paint[c, 1] * wc,
            paint[a, 2] * wa + paint[b, 2] * wb + paint[c, 2] * wc,
        )
        face = paint[a, 3] * wa + paint[b, 3] * wb + paint[c, 3] * wc
        scalp = paint[a, 4] * wa + paint[b, 4] * wb + paint[c, 4] * wc
        spot = skin_spot(position, p, painted, scalp, face, look)
        spot.open_sky = open_sky
    elif part == EYE:
        spot = eye_spot(p, look)
    else:
        spot = other_spot(part, p, look, open_sky)
    up = (view.rotation * normal)[1]
    ambient = blend(view.ground, view.sky, 0.5 + 0.5 * up) * spot.open_sky
    colour = wp.cw_mul(spot.colour, ambient)
    shine = spot.shine * 0.05 * ambient * wp.pow(1.0 + wp.dot(normal, ray), 3.0)
    for k in range(lights.shape[0]):
        towards = lights[k]
        cosine = wp.dot(normal, towards)
        wrap = wp.vec3(0.3, 0.12, 0.08) * spot.scatter
        diffuse = wp.vec3(
            wp.max((cosine + wrap[0]) / (1.0 + wrap[0]), 0.0),
            wp.max((cosine + wrap[1]) / (1.0 + wrap[1]), 0.0),
            wp.max((cosine + wrap[2]) / (1.0 + wrap[2]), 0.0),
        )
        if cosine > 0.0:
            start = p + 0.06 * flat + 0.05 * normal
            free = lit_share(mesh, start, towards, softness[k], view.shadow_rays, state)
            if free > 0.0:
                light = light_colours[k] * free
                colour += wp.cw_mul(wp.cw_mul(spot.colour, diffuse), light)
                gloss = glossy(normal, -ray, towards, spot.roughness) * ramp(0.0, 0.2, cosine)
                shine += light * (gloss * spot.shine)
    colour += shine
    colours[i] = wp.vec4(colour[0], colour[1], colour[2], 1.0)
    out_normals[i] = view.rotation * normal
    out_parts[i] = spot.part
    out_face[i] = spot.face
    out_where[i] = p
