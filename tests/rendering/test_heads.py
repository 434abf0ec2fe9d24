"""Head models: deterministic, human in size, and moved by expressions as their names say."""

import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from facegeo.errors import UserError
from facegeo.rendering import heads
from facegeo.rendering.heads import HeadModel, Part, load_head_model, read_head, save_head
from facegeo.rendering.ict_files import LAST_VERTEX, NEUTRAL, read_ict
from facegeo.rendering.ict_head import arkit_name, load_ict
from facegeo.rendering.manifest import options_of
from facegeo.rendering.mesh import fit_sphere
from facegeo.rendering.order import Order
from facegeo.rendering.studio import Studio


def rng(number: int) -> np.random.Generator:
    return np.random.default_rng(number)


def test_heads_have_human_measures(studio: Studio) -> None:
    people = [studio.model.sample(rng(k), {}) for k in range(100)]
    eyes = [np.linalg.norm(head.points[1] - head.points[0]) for head in people]
    assert 5.0 < min(eyes) < max(eyes) < 8.5  # cm
    assert np.std(eyes) > 0.05
    for head in people:
        np.testing.assert_allclose(head.eyes.mean(axis=0), 0, atol=1e-5)  # the frame's origin
        assert head.points[2, 2] > head.points[[0, 1, 3, 4], 2].max()  # the nose stands out


def test_the_same_draw_gives_the_same_head(studio: Studio) -> None:
    first, again = (studio.model.sample(rng(5), {"jawOpen": 0.4}) for _ in range(2))
    np.testing.assert_array_equal(first.vertices, again.vertices)


@pytest.mark.parametrize("side", [0, 1], ids=["left", "right"])
def test_a_smile_pulls_the_mouth_corner_of_its_side_up_and_out(studio: Studio, side: int) -> None:
    # The person's left is the image's right.
    action = ("mouthSmileRight", "mouthSmileLeft")[side]
    calm = studio.model.sample(rng(5), {}).points
    moved = studio.model.sample(rng(5), {action: 1.0}).points - calm
    outwards = (-1, 1)[side]
    assert moved[3 + side, 0] * outwards > 0.2
    assert moved[3 + side, 1] > 0.2
    assert np.abs(moved[4 - side]).max() < 0.2


def test_expression_does_not_change_the_calm_shape(studio: Studio) -> None:
    calm, open_ = (studio.model.sample(rng(5), {"jawOpen": jaw}) for jaw in (0.0, 1.0))
    np.testing.assert_array_equal(calm.calm, open_.calm)
    assert np.abs(open_.vertices - calm.vertices).max() > 1


def test_read_head_returns_the_saved_model(studio: Studio, tmp_path: Path) -> None:
    save_head(studio.model, tmp_path / "head.npz")
    assert [path.name for path in tmp_path.iterdir()] == ["head.npz"]
    again = read_head(tmp_path / "head.npz").sample(rng(1), {"jawOpen": 0.5})
    first = studio.model.sample(rng(1), {"jawOpen": 0.5})
    np.testing.assert_array_equal(again.vertices, first.vertices)
    np.testing.assert_array_equal(again.points, first.points)


def test_fit_sphere_finds_a_cap_of_a_sphere() -> None:
    directions = rng(0).normal((0, 0, 2), 1, size=(40, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    middle, radius = fit_sphere((3 + 1.2 * directions).astype(np.float32))
    np.testing.assert_allclose(middle, (3, 3, 3), atol=1e-4)
    assert radius == pytest.approx(1.2, abs=1e-4)


def test_load_head_model_rejects_unknown_kind() -> None:
    with pytest.raises(UserError, match=r"head must be .*flame"):
        load_head_model("flame")


def test_arkit_name() -> None:
    names = ["browDown_L", "jawOpen", "browInnerUp_R"]
    assert [arkit_name(name) for name in names] == ["browDownLeft", "jawOpen", "browInnerUp"]


def write_obj(path: Path, vertices: np.ndarray, polygons: list[list[int]]) -> None:
    lines = [f"v {x} {y} {z}" for x, y, z in vertices.tolist()]
    lines += ["f " + " ".join(f"{v + 1}/1/1" for v in polygon) for polygon in polygons]
    path.write_text("\n".join(lines))


def test_read_ict_reads_the_upstream_folder(tmp_path: Path) -> None:
    count = LAST_VERTEX["iris_right"] + 4  # three lashes follow the parts that are kept
    neutral = rng(0).integers(-9, 9, (count, 3)).astype(np.float32)
    moved = {"identity000": 1.0, "jawOpen": 2.0}
    polygons = [[0, 1, 2, 3], [9408, 9409, 5], [21450, 21449, 21448], [count - 1, 0, 1]]
    write_obj(tmp_path / NEUTRAL, neutral, polygons)
    for name, offset in moved.items():
        write_obj(tmp_path / f"{name}.obj", neutral + offset, [])

    ict = read_ict(tmp_path)

    assert ict.triangles.tolist() == [[0, 1, 2], [0, 2, 3], [9408, 9409, 5], [21450, 21449, 21448]]
    assert ict.parts.tolist() == ["face", "face", "head_neck", "teeth"]
    assert ict.expression_names == ("jawOpen",)
    assert (ict.identity == 1).all()
    assert (ict.expression == 2).all()
    assert len(ict.vertices) == count - 3


def test_cache_key_covers_every_module_of_a_reduction() -> None:
    here = Path(heads.__file__).parent
    found: set[str] = set()
    todo = {path.name for kind in ("anny", "ict") for path in here.glob(f"{kind}_*.py")}
    own = set(todo)
    while todo:
        found.add(name := todo.pop())
        imports = re.findall(
            r"^from facegeo\.rendering\.(\w+) import", (here / name).read_text(), re.M
        )
        todo |= {f"{module}.py" for module in imports} - found
    assert found == {*heads.HEAD_CODE, *own}


def test_cached_head_is_rebuilt_when_its_source_changes(
    studio: Studio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FACEGEO_CACHE", str(tmp_path))
    made = []

    def reduce() -> HeadModel:
        made.append(1)
        return studio.model

    for source in ("1.0", "1.0", "1.1"):
        heads.cached_head("anny", source, reduce)
    assert len(made) == 2


@pytest.mark.slow
def test_head_does_not_depend_on_the_number_of_threads(tmp_path: Path) -> None:
    files = []
    for threads in ("1", "3"):
        variables = {"OMP_NUM_THREADS": threads, "FACEGEO_CACHE": str(tmp_path / threads)}
        program = "from facegeo.rendering.anny_head import load_anny; load_anny()"
        subprocess.run([sys.executable, "-c", program], env=os.environ | variables, check=True)
        files += (tmp_path / threads / "heads").glob("anny-*.npz")
    first, second = (path.read_bytes() for path in files)
    assert first == second


def test_head_files_are_identified_by_content_not_path(tmp_path: Path) -> None:
    folders = [tmp_path / "a" / "FaceXModel", tmp_path / "b"]
    for folder in folders:
        folder.mkdir(parents=True)
        (folder / NEUTRAL).write_text("v 0 0 0")
    paths = [tmp_path / "a", *folders]
    anny = Order(train=1, test=0, size=32, seed=0, maps=False)
    first, *others = [options_of(replace(anny, head="ict", head_path=path)) for path in paths]
    assert others == [first, first]
    (folders[1] / NEUTRAL).write_text("v 0 0 1")
    assert options_of(replace(anny, head="ict", head_path=folders[1])) != first


def test_load_ict_rejects_incomplete_mesh(tmp_path: Path) -> None:
    write_obj(tmp_path / NEUTRAL, np.zeros((9, 3)), [])
    with pytest.raises(UserError, match="24591 vertices or more, got 9"):
        load_ict(tmp_path)


@pytest.mark.skipif("FACEGEO_ICT_PATH" not in os.environ, reason="FACEGEO_ICT_PATH is not set")
def test_ict_faces_have_points_on_the_surface() -> None:
    studio = Studio("ict", Path(os.environ["FACEGEO_ICT_PATH"]))
    sample = studio.photograph((3, 0, 0), 128)
    for x, y in sample.points[:2].round().astype(int):
        assert sample.render.parts[y, x] == Part.EYE
    assert sample.render.mask.mean() > 0.1


def test_read_ict_rejects_face_without_head(tmp_path: Path) -> None:
    mode = {"_q": np.zeros((1, 3, 3), np.int16), "_scale": np.ones(1, np.float32)}
    np.savez(
        tmp_path / "mask.npz",
        vertices=np.zeros((3, 3)),
        triangles=np.array([[0, 1, 2]]),
        triangle_part=np.array([0]),
        part_names=np.array(["face", "head_neck"]),
        expression_names=np.array(["jawOpen"]),
        landmarks68=np.zeros(68),
        **{kind + end: value for kind in ("identity", "expression") for end, value in mode.items()},
    )
    with pytest.raises(UserError, match=r"mask\.npz .* without head_neck"):
        read_ict(tmp_path / "mask.npz")
