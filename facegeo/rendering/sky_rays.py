# mypy: ignore-errors
# ruff: noqa: UP018 (warp: float(0.0) is a variable, 0.0 a constant)
"""The kernel behind ``open_sky``."""

import warp as wp

wp.set_module_options({"enable_backward": False})


@wp.kernel
def count_free(
    mesh: wp.uint64,
    points: wp.array(dtype=wp.vec3),
    normals: wp.array(dtype=wp.vec3),
    directions: wp.array(dtype=wp.vec3),
    reach: float,
    free: wp.array(dtype=float),
) -> None:
    """Write the cosine-weighted share of ``directions`` that hit nothing within ``reach``."""
    i = wp.tid()
    seen = float(0.0)
    total = float(0.0)
    for k in range(directions.shape[0]):
        weight = wp.dot(directions[k], normals[i])
        if weight > 0.0:
            total += weight
            start = points[i] + 0.05 * normals[i]
            if not wp.mesh_query_ray_anyhit(mesh, start, directions[k], reach):
                seen += weight
    free[i] = seen / wp.max(total, 1.0e-6)
