"""Meshes of faces from depth, and their files."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from hashlib import blake2s
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from facegeo.checks import check_shape
from facegeo.errors import UserError
from facegeo.geometry.normals import encode
from facegeo.rendering.mesh import Ints, grid, vertex_normals
from facegeo.surfaces.integrate import Bools, Floats

if TYPE_CHECKING:
    from trimesh import Trimesh
    from trimesh.visual import ColorVisuals, TextureVisuals
    from trimesh.visual.material import Material


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
    local = np.einsum("nij,nj->ni", frame, normals[row, column])
    local[:, 2] = np.maximum(local[:, 2], 0)  # a map cannot show normals into the surface
    local /= np.maximum(np.linalg.norm(local, axis=1, keepdims=True), 1e-6)
    vectors = np.zeros(normals.shape, dtype=np.float32)
    vectors[..., 2] = 1.0
    vectors[row, column] = local
    colours = encode(torch.from_numpy(vectors).permute(2, 0, 1))
    return colours.permute(1, 2, 0).contiguous().numpy()


KINDS: Final = ("obj", "ply", "glb")


def mesh_files(
    name: str, depth: Floats, mask: Bools, texture: Floats, normals: Floats | None = None
) -> dict[str, bytes]:
    """Make a mesh of a face; the ending of ``name`` says in which format.

    ``.glb`` is one file: texture and normal map are inside. ``.obj`` has ``.mtl``, ``.png`` and
    ``_normal.png`` beside it, whose names have no spaces (``_plain``). ``.ply`` has colours at its
    vertices and no normal map.

    Args:
        name: File name that ends in .obj, .ply or .glb.
        depth: In pixels, larger nearer to the camera, shape (H, W), finite in the mask.
        mask: Pixels to show, bool, shape (H, W).
        texture: The picture on the mesh, RGB in [0, 1], shape (h, w, 3) of any size: it covers
            the same square as the depth.
        normals: Finer normals than the depth has, as a normal map: unit vectors, shape (H, W, 3),
            x right, y up, z to the camera. None leaves the map out.

    Returns:
        Content of each file by its name, ``name`` first.

    Raises:
        ValueError: If the shapes do not belong together.
        UserError: If ``name`` ends otherwise, or no triangle fits in the mask.
    """
    kind = Path(name).suffix.lower().removeprefix(".")
    if kind not in KINDS:
        raise UserError(f"{name} must end in .{', .'.join(KINDS)}, got {Path(name).suffix!r}")
    check_shape("texture", texture, "h", "w", 3)
    if normals is not None:
        check_shape("normals", normals, *depth.shape, 3)
    surface = surface_of(depth, mask)
    colours = (np.clip(texture, 0, 1) * 255).round().astype(np.uint8)
    detail = None if normals is None else normal_map(surface, normals)
    if kind == "ply":
        return {name: _ply(surface, colours, depth.shape)}
    if kind == "glb":
        return {name: _glb(surface, colours, detail)}
    text, others = _obj(_plain(Path(name).stem), surface, colours, detail)
    return {name: text, **others}


def _glb(surface: Surface, colours: NDArray[np.uint8], detail: NDArray[np.uint8] | None) -> bytes:
    from trimesh.visual.material import PBRMaterial

    material = PBRMaterial(
        baseColorTexture=Image.fromarray(colours),
        normalTexture=None if detail is None else Image.fromarray(detail),
        metallicFactor=0.0,
        roughnessFactor=1.0,
        doubleSided=True,
    )
    mesh = _textured(surface, material)
    return cast("bytes", mesh.export(file_type="glb", include_normals=True))


def _obj(
    name: str, surface: Surface, colours: NDArray[np.uint8], detail: NDArray[np.uint8] | None
) -> tuple[bytes, dict[str, bytes]]:
    from trimesh.exchange.obj import export_obj
    from trimesh.visual.material import SimpleMaterial

    matt = {"diffuse": [255] * 3, "ambient": [255] * 3, "specular": [0] * 3}
    material = SimpleMaterial(image=Image.fromarray(colours), name=name, **matt)
    mesh = _textured(surface, material)
    form = {"include_normals": True, "return_texture": True, "header": None}
    text, files = export_obj(mesh, mtl_name=f"{name}.mtl", **form)
    if detail is not None:
        files[f"{name}_normal.png"] = _png(detail)
        files[f"{name}.mtl"] += f"\nnorm {name}_normal.png\n".encode()
    return text.encode(), files


def _plain(stem: str) -> str:
    """Return a name without spaces, at which readers of OBJ split names.

    All but letters, digits, dots and hyphens become ``_``; a digest distinguishes "a b" from "a_b".

    >>> _plain("IMG_1.jpg.face0"), _plain("a b")
    ('IMG_1.jpg.face0', 'a_b-9e6d48')
    """
    plain = re.sub(r"[^\w.-]", "_", stem)
    if plain == stem:
        return stem
    return f"{plain}-{blake2s(os.fsencode(stem), digest_size=3).hexdigest()}"


def _ply(surface: Surface, colours: NDArray[np.uint8], shape: tuple[int, ...]) -> bytes:
    from trimesh.visual import ColorVisuals

    small = cv2.resize(colours, shape[::-1], interpolation=cv2.INTER_AREA)
    mesh = _mesh(surface, ColorVisuals(vertex_colors=small[*surface.pixels]))
    return cast("bytes", mesh.export(file_type="ply", vertex_normal=True))


def _textured(surface: Surface, material: Material) -> Trimesh:
    from trimesh.visual import TextureVisuals

    return _mesh(surface, TextureVisuals(uv=surface.uv, material=material))


def _mesh(surface: Surface, visual: TextureVisuals | ColorVisuals) -> Trimesh:
    from trimesh import Trimesh

    return Trimesh(
        surface.vertices,
        surface.triangles,
        vertex_normals=surface.normals,
        visual=visual,
        process=False,  # vertices stay one a pixel
    )


def _png(colours: NDArray[np.uint8]) -> bytes:
    file = BytesIO()
    Image.fromarray(colours).save(file, "PNG")
    return file.getvalue()
