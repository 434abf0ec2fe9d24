"""A height field as a triangle mesh, with the frame that its normal map is told in."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from facegeo.checks import check_shape
from facegeo.errors import UserError
from facegeo.geometry.normals import encode
from facegeo.mesh.slopes import Bools, Floats
from facegeo.synthetic.head_model import Ints
from facegeo.synthetic.mesh import grid, vertex_normals


@dataclass(frozen=True)
class Surface:
    """Triangles over the pixels of a mask; x right, y up, z to the camera.

    The width of the picture is 1, its middle the origin of x and y.

    Attributes:
        vertices: One a pixel, shape (N, 3).
        normals: Unit normals at the vertices, shape (N, 3).
        uv: Place in the picture, (0, 0) its lower left corner, (1, 1) the upper right, (N, 2).
        pixels: Row and column of each vertex, shape (2, N).
        triangles: Vertex numbers, shape (M, 3), anticlockwise seen from the camera.
    """

    vertices: Floats
    normals: Floats
    uv: Floats
    pixels: Ints
    triangles: Ints


def surface_of(depth: Floats, mask: Bools) -> Surface:
    """Join neighbouring pixels to triangles, two for each square of pixels inside the mask.

    Args:
        depth: In pixels, larger nearer to the camera, shape (H, W), finite in the mask.
        mask: Pixels to show, bool, shape (H, W).

    Raises:
        ValueError: If the shapes do not belong together or a depth in the mask is not finite.
        UserError: If no triangle fits in the mask.
    """
    check_shape("depth", depth, "H", "W")
    check_shape("mask", mask, *depth.shape)
    if not np.isfinite(depth[mask]).all():
        raise ValueError("depth must be finite inside the mask, got NaN or infinity")
    height, width = mask.shape
    corners = grid(height, width)
    corners = corners[mask.ravel()[corners].all(axis=1)]
    if not len(corners):
        raise UserError(
            f"a mesh needs three face pixels side by side, found none among {mask.sum()}; "
            "give a larger picture of the face or another mask"
        )
    used, numbers = np.unique(corners, return_inverse=True)
    row, column = np.divmod(used, width)
    right, up = column - (width - 1) / 2, (height - 1) / 2 - row
    vertices = np.stack([right, up, depth[row, column]], axis=1).astype(np.float32) / width
    triangles: Ints = numbers.reshape(-1, 3).astype(np.int32)
    return Surface(
        vertices=vertices,
        normals=vertex_normals(vertices, triangles),
        uv=np.stack([(column + 0.5) / width, 1 - (row + 0.5) / height], axis=1, dtype=np.float32),
        pixels=np.stack([row, column]).astype(np.int32),
        triangles=triangles,
    )


def surface_normals(depth: Floats, mask: Bools) -> Floats:
    """Return the normals that the triangles of a height field have at its pixels.

    Args:
        depth: In pixels, larger nearer to the camera, shape (H, W), finite in the mask.
        mask: Pixels to show, bool, shape (H, W).

    Returns:
        Unit vectors, shape (H, W, 3), x right, y up, z to the camera; zeros at pixels of no
        triangle.

    Raises:
        ValueError: As ``surface_of`` says; UserError alike.
    """
    surface = surface_of(depth, mask)
    normals = np.zeros((*depth.shape, 3), dtype=np.float32)
    normals[*surface.pixels] = surface.normals
    return normals


def normal_map(surface: Surface, normals: Floats) -> NDArray[np.uint8]:
    """Colours of normals in the frames of a surface's vertices, as renderers expect them.

    Red is along the picture's rows, green up, blue along the surface's own normal (glTF 2.0,
    Sec. 3.9.3); where both agree the colour is (128, 128, 255), which fills the rest too.

    Args:
        surface: Of a picture of (H, W) pixels.
        normals: Unit vectors, shape (H, W, 3), x right, y up, z to the camera.

    Returns:
        RGB, shape (H, W, 3).
    """
    row, column = surface.pixels
    along = np.array([1.0, 0.0, 0.0]) - surface.normals[:, :1] * surface.normals
    along /= np.maximum(np.linalg.norm(along, axis=1, keepdims=True), 1e-6)
    up = np.cross(surface.normals, along)
    frame = np.stack([along, up, surface.normals], axis=1)
    told = np.einsum("nij,nj->ni", frame, normals[row, column])
    told[:, 2] = np.maximum(told[:, 2], 0)  # what looks into the surface can not be told
    told /= np.maximum(np.linalg.norm(told, axis=1, keepdims=True), 1e-6)
    vectors = np.zeros(normals.shape, dtype=np.float32)
    vectors[..., 2] = 1.0
    vectors[row, column] = told
    colours = encode(torch.from_numpy(vectors).permute(2, 0, 1))
    return colours.permute(1, 2, 0).contiguous().numpy()
