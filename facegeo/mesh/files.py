"""Meshes as files that other programs open: OBJ, PLY, GLB."""

from __future__ import annotations

import os
import re
from hashlib import blake2s
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from facegeo.checks import check_shape
from facegeo.errors import UserError
from facegeo.mesh.slopes import Bools, Floats
from facegeo.mesh.surface import Surface, normal_map, surface_of
from facegeo.whole_file import write_whole

if TYPE_CHECKING:
    from trimesh import Trimesh
    from trimesh.visual import ColorVisuals, TextureVisuals
    from trimesh.visual.material import Material

KINDS: Final = ("obj", "ply", "glb")


def save_mesh(
    path: Path, depth: Floats, mask: Bools, texture: Floats, normals: Floats | None = None
) -> list[Path]:
    """Write a face as a mesh; the end of ``path`` says in which form.

    ``.glb`` is one file: texture and normal map are inside. ``.obj`` has ``.mtl``, ``.png`` and
    ``_normal.png`` beside it, whose names have no spaces (``_plain``). ``.ply`` has colours at its
    vertices and no normal map.

    Args:
        path: Ends in .obj, .ply or .glb; its folder is made.
        depth: In pixels, larger nearer to the camera, shape (H, W), finite in the mask.
        mask: Pixels to show, bool, shape (H, W).
        texture: The picture on the mesh, RGB in [0, 1], shape (h, w, 3) of any size: it covers
            the same square as the depth.
        normals: Finer normals than the depth has, as a normal map: unit vectors, shape (H, W, 3),
            x right, y up, z to the camera. None leaves the map out.

    Returns:
        The files written, ``path`` first.

    Raises:
        ValueError: If the shapes do not belong together.
        UserError: If ``path`` ends otherwise, or no triangle fits in the mask.
    """
    kind = path.suffix.lower().removeprefix(".")
    if kind not in KINDS:
        raise UserError(f"{path} must end in .{', .'.join(KINDS)}, got {path.suffix!r}")
    check_shape("texture", texture, "h", "w", 3)
    if normals is not None:
        check_shape("normals", normals, *depth.shape, 3)
    surface = surface_of(depth, mask)
    colours = (np.clip(texture, 0, 1) * 255).round().astype(np.uint8)
    detail = None if normals is None else normal_map(surface, normals)
    if kind == "ply":
        files = {"": _ply(surface, colours, depth.shape)}
    elif kind == "glb":
        files = {"": _glb(surface, colours, detail)}
    else:
        files = _obj(_plain(path.stem), surface, colours, detail)
    written = [path.with_name(name or path.name) for name in files]
    for file, content in zip(written, files.values(), strict=True):
        write_whole(file, content)
    return written


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
) -> dict[str, bytes]:
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
    return {"": text.encode(), **files}


def _plain(stem: str) -> str:
    """Return a name that readers of OBJ, who take names apart at spaces, find again.

    What is neither letter, digit, dot nor hyphen becomes ``_``; a digest keeps "a b" and "a_b"
    apart.

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
