"""Mesh files, read back by the library that other programs' authors use too."""

import json
import os
import struct
from hashlib import blake2s
from pathlib import Path

import numpy as np
import pytest
import trimesh
from numpy.typing import NDArray

from facegeo.errors import UserError
from facegeo.surfaces.mesh import mesh_files, normal_map, surface_of

Cap = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]
TEXTURE = np.random.default_rng(0).uniform(size=(64, 80, 3))


def save_mesh(path: Path, *arrays: NDArray[np.generic]) -> list[Path]:
    files = mesh_files(path.name, *arrays)  # type: ignore[arg-type]
    for name, content in files.items():
        (path.parent / name).write_bytes(content)
    return [path.parent / name for name in files]


def read(path: Path) -> trimesh.Trimesh:
    (mesh,) = trimesh.load_scene(path, process=False).geometry.values()
    return mesh


@pytest.mark.parametrize("kind", ["obj", "ply", "glb"])
def test_a_mesh_is_read_back_as_it_was(tmp_path: Path, cap: Cap, kind: str) -> None:
    depth, normals, mask = cap
    surface = surface_of(depth, mask)
    files = save_mesh(tmp_path / f"face.{kind}", depth, mask, TEXTURE, normals)
    assert files[0] == tmp_path / f"face.{kind}"
    mesh = read(files[0])
    # the OBJ reader orders vertices anew: compare corner by corner
    got, wanted = mesh.vertices[mesh.faces], surface.vertices[surface.triangles]
    np.testing.assert_allclose(got, wanted, atol=1e-6)
    np.testing.assert_allclose(
        mesh.vertex_normals[mesh.faces], surface.normals[surface.triangles], atol=1e-5
    )


@pytest.mark.parametrize("kind", ["obj", "glb"])
def test_the_texture_is_aligned_with_the_photo(tmp_path: Path, cap: Cap, kind: str) -> None:
    depth, normals, mask = cap
    file = save_mesh(tmp_path / f"a face.{kind}", depth, mask, TEXTURE, normals)[0]
    mesh = read(file)
    material = mesh.visual.material
    image = np.asarray(material.image if kind == "obj" else material.baseColorTexture)
    np.testing.assert_array_equal(image[..., :3], np.rint(TEXTURE * 255))
    uv, places = mesh.visual.uv, mesh.vertices
    np.testing.assert_allclose(uv[:, 0] - 0.5, places[:, 0], atol=1e-6)
    np.testing.assert_allclose((uv[:, 1] - 0.5) * 32 / 40, places[:, 1], atol=1e-6)


def test_a_glb_holds_the_normal_map_and_says_its_material_is_matt(tmp_path: Path, cap: Cap) -> None:
    depth, normals, mask = cap
    bent = normals + np.array([0.2, 0.0, 0.0])
    bent /= np.linalg.norm(bent, axis=-1, keepdims=True)
    (file,) = save_mesh(tmp_path / "face.glb", depth, mask, TEXTURE, bent)
    material = read(file).visual.material
    wanted = normal_map(surface_of(depth, mask), bent)
    np.testing.assert_array_equal(np.asarray(material.normalTexture)[..., :3], wanted)
    assert (material.metallicFactor, material.roughnessFactor) == (0, 1)
    assert material.doubleSided
    (primitive,) = header(file)["meshes"][0]["primitives"]
    assert {"POSITION", "NORMAL", "TEXCOORD_0"} <= primitive["attributes"].keys()


def header(file: Path) -> dict[str, list[dict[str, list[dict[str, dict[str, int]]]]]]:
    """The JSON of a GLB, read by hand."""
    content = file.read_bytes()
    assert content[:4] == b"glTF"
    (length,) = struct.unpack("<I", content[12:16])
    return json.loads(content[20 : 20 + length])


def test_an_obj_names_the_files_beside_it(tmp_path: Path, cap: Cap) -> None:
    depth, normals, mask = cap
    files = save_mesh(tmp_path / "a face.obj", depth, mask, TEXTURE, normals)
    own = f"a_face-{blake2s(b'a face', digest_size=3).hexdigest()}"
    names = {file.name for file in files}
    assert names == {"a face.obj", f"{own}.mtl", f"{own}.png", f"{own}_normal.png"}
    assert f"mtllib {own}.mtl\n" in files[0].read_text()
    lines = (tmp_path / f"{own}.mtl").read_text().splitlines()
    assert {f"map_Kd {own}.png", f"norm {own}_normal.png"} <= set(lines)
    assert "Ks 0.00000000 0.00000000 0.00000000" in lines  # matt
    plain = save_mesh(tmp_path / "a_face.obj", depth, mask, TEXTURE, normals)
    assert {file.name for file in plain[1:]} == {"a_face.mtl", "a_face.png", "a_face_normal.png"}


@pytest.mark.parametrize("name", [b"caf\xe9", b"a#b", b"a\nb", "\u00fc".encode()])
def test_an_obj_of_any_name_finds_its_texture(tmp_path: Path, cap: Cap, name: bytes) -> None:
    depth, normals, mask = cap
    file = tmp_path / f"{os.fsdecode(name)}.obj"
    mesh = read(save_mesh(file, depth, mask, TEXTURE, normals)[0])
    np.testing.assert_array_equal(mesh.visual.material.image, np.rint(TEXTURE * 255))


def test_a_ply_has_the_pictures_colours_at_its_vertices(tmp_path: Path, cap: Cap) -> None:
    depth, _, mask = cap
    halves = np.zeros((32, 40, 3))
    halves[:, :18] = (1.0, 0.2, 0.0)
    mesh = read(save_mesh(tmp_path / "face.ply", depth, mask, halves)[0])
    left = mesh.vertices[:, 0] < (18 - 19.5 - 0.5) / 40
    np.testing.assert_array_equal(
        mesh.visual.vertex_colors[:, :3], np.where(left[:, None], (255, 51, 0), 0)
    )


def test_a_finer_picture_is_averaged_to_the_colours_of_a_ply(tmp_path: Path, cap: Cap) -> None:
    depth, _, mask = cap
    stripes = np.zeros((64, 80, 3))
    stripes[:, ::2] = 0.8
    mesh = read(save_mesh(tmp_path / "face.ply", depth, mask, stripes)[0])
    assert (mesh.visual.vertex_colors[:, :3] == 0.4 * 255).all()


def test_without_finer_normals_there_is_no_normal_map(tmp_path: Path, cap: Cap) -> None:
    depth, _, mask = cap
    (file,) = save_mesh(tmp_path / "face.glb", depth, mask, TEXTURE)
    assert read(file).visual.material.normalTexture is None
    assert len(save_mesh(tmp_path / "face.obj", depth, mask, TEXTURE)) == 3


def test_unwritable_meshes_are_refused(tmp_path: Path, cap: Cap) -> None:
    depth, normals, mask = cap
    with pytest.raises(UserError, match=r"face.stl must end in .obj, .ply, .glb, got '.stl'"):
        save_mesh(tmp_path / "face.stl", depth, mask, TEXTURE)
    with pytest.raises(ValueError, match=r"texture must have shape \(h, w, 3\), got \(64, 80\)"):
        save_mesh(tmp_path / "face.glb", depth, mask, TEXTURE[..., 0])
    with pytest.raises(ValueError, match=r"normals must have shape \(32, 40, 3\)"):
        save_mesh(tmp_path / "face.glb", depth, mask, TEXTURE, normals[1:])
    assert not list(tmp_path.iterdir())
