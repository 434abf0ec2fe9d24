"""Portraits: their normals, labels and framing, and folders that other parts read."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import warp as wp

from facegeo.files.places import crop_square, five_point_outline
from facegeo.files.writing import LOCK
from facegeo.landmarks.lists import read_list
from facegeo.normals.augment import NormalAugment
from facegeo.normals.photoface import PhotofaceDataModule
from facegeo.rendering.folders import Label, label_map, masked
from facegeo.rendering.glasses import put_on_glasses
from facegeo.rendering.lights import Lights, surround_of_lights
from facegeo.rendering.look import draw_portrait_look, draw_relief
from facegeo.rendering.mesh import Floats
from facegeo.rendering.order import Order
from facegeo.rendering.relief import Relief
from facegeo.rendering.render import Render
from facegeo.rendering.scene import direction, frame_portrait, rotation_matrix
from facegeo.rendering.shading import noise, noise_slope
from facegeo.rendering.studio import PortraitStudio, Sample
from facegeo.rendering.write import Worker, ensure_faces, fill

ORDER = Order(train=4, test=2, size=48, seed=4, maps=True, layout="portraits")
WRINKLED = {"browInnerUp": 1.0, "eyeSquintLeft": 1.0, "eyeSquintRight": 1.0}


@pytest.fixture(scope="module")
def portraits() -> PortraitStudio:
    return PortraitStudio("anny", map_share=1.0)


@pytest.fixture(scope="module")
def samples(portraits: PortraitStudio) -> list[Sample]:
    return [portraits.photograph((3, 0, number), 96) for number in range(4)]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("made") / "portraits"
    fill(root, ORDER, processes=1)
    return root


def contents(root: Path) -> dict[str, bytes]:
    files = (path for path in root.rglob("*") if path.is_file() and path.name != LOCK)
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in files}


def lit_from(studio: PortraitStudio, towards: Floats, relief: Relief) -> Render:
    """Render a head without gloss, and without shadows, in one hard light and no other."""
    rng = np.random.default_rng(0)
    hair, _, look = draw_portrait_look(rng)
    look.oil = look.scatter = 0.0
    head = studio.model.sample(rng, {})
    camera, _ = frame_portrait(rng, head, rotation_matrix(10, 0, 0), 100.0, 96)
    dark = np.zeros(3, dtype=np.float32)
    # So dim that no difference in tone makes an edge, where pixels are means of several rays.
    dim = np.full((1, 3), 1e-3, np.float32)
    light = Lights(towards[None], dim, np.zeros(1, np.float32), dark, dark)
    studio.renderer.load(studio.builder.build(head, hair))
    return studio.renderer.render_portrait(
        camera, surround_of_lights(light), look, relief, (96, 96)
    )


def test_recorded_normals_are_the_shaded_ones() -> None:
    """Photometric stereo on three renders gives the stored normals back, wrinkles included."""
    studio = PortraitStudio("anny", shadows=False, map_share=0.0)
    relief = draw_relief(np.random.default_rng(1), WRINKLED, 5, 0.01)
    relief.uneven, relief.forehead = 0.1, 0.5
    towards = np.stack([direction(0, 0), direction(30, 0), direction(0, 30)])
    renders = [lit_from(studio, each, relief) for each in towards]
    normals, mask = renders[0].normals, renders[0].mask
    mask &= (normals @ towards.T > 0.3).all(axis=-1)
    shading = np.stack([render.colour[..., 1] for render in renders], axis=-1)[mask]
    found = np.linalg.solve(towards, shading.T).T
    found /= np.linalg.norm(found, axis=1, keepdims=True)
    off = np.degrees(np.arccos((found * normals[mask]).sum(axis=1).clip(-1, 1)))
    assert np.quantile(off, 0.97) < 0.1  # the rest: means of several rays at eyes, mouth and rim
    plain = lit_from(studio, towards[0], Relief()).normals[mask]
    tilt = np.degrees(np.arccos((plain * normals[mask]).sum(axis=1).clip(-1, 1)))
    assert tilt.mean() > 3


def test_normals_are_unit_and_face_the_camera(samples: list[Sample]) -> None:
    for sample in samples:
        normals = sample.render.normals[masked(label_map(sample.render), ("skin", "lips", "eyes"))]
        np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1, atol=1e-5)
        assert normals[:, 2].min() > -0.3  # the camera is near: rays at the rim are slanted


def test_labels_are_where_the_points_are(samples: list[Sample]) -> None:
    for sample in samples:
        labels = label_map(sample.render)
        rows, columns = np.nonzero(labels == Label.EYES)
        middle = (columns.mean(), rows.mean())
        eyes, mouth = sample.points[:2].mean(axis=0), sample.points[3:].mean(axis=0)
        size = float(np.linalg.norm(sample.points[1] - sample.points[0]))
        if len(rows) > 20:  # closed eyes show little
            assert np.linalg.norm(middle - eyes) < 0.3 * size
        rows, columns = np.nonzero(labels == Label.LIPS)
        assert np.linalg.norm((columns.mean(), rows.mean()) - mouth) < 0.35 * size
        x, y = np.rint(sample.points[2]).astype(int)
        assert labels[y, x] == Label.SKIN
        assert not masked(labels, ("skin", "lips", "eyes"))[labels == Label.MOUTH].any()


def test_framing_matches_facegeo_predict(portraits: PortraitStudio) -> None:
    rng = np.random.default_rng(7)
    head, size = portraits.model.sample(rng, {}), 100
    off = []
    for _ in range(60):
        camera, box = frame_portrait(rng, head, rotation_matrix(15, 5, 3), 90.0, size)
        points = camera.project(head.points).astype(float)
        # Measured in a large picture, where no border moves the square.
        left, top, side = crop_square(five_point_outline(10 * points + 5000), 10000, 10000)
        off.append(((left - 5000) / 10 / size, (top - 5000) / 10 / size, side / 10 / size))
        assert 0.5 < box.side / size < 1.0
    mean, spread = np.mean(off, axis=0), np.std(off, axis=0)
    np.testing.assert_allclose(mean, (0, 0, 1), atol=0.02)
    assert (spread > 0.01).all()
    assert (spread < 0.06).all()


def test_glasses_change_colours_only(samples: list[Sample]) -> None:
    studio = PortraitStudio("anny", map_share=0.0)
    rng = np.random.default_rng(0)
    head = studio.model.sample(rng, {})
    camera, _ = frame_portrait(rng, head, np.eye(3, dtype=np.float32), 100.0, 96)
    dim = np.full(3, 0.5, dtype=np.float32)
    light = Lights(direction(0, 0)[None], dim[None], np.zeros(1, np.float32), dim, dim)
    hair, _, look = draw_portrait_look(rng)
    surround = surround_of_lights(light)
    studio.renderer.load(studio.builder.build(head, hair))
    bare = studio.renderer.render_portrait(camera, surround, look, Relief(), (96, 96))
    worn = put_on_glasses(rng, bare, head, camera, surround)
    changed = np.abs(worn.colour - bare.colour).max(axis=-1) > 1e-4
    rows, _ = np.nonzero(changed)
    eyes = camera.project(head.points[:2])[:, 1].mean()
    assert changed.sum() > 100
    assert abs(rows.mean() - eyes) < 12
    assert worn.normals is bare.normals


def test_two_processes_write_what_one_writes(made: Path, tmp_path: Path) -> None:
    fill(tmp_path / "portraits", ORDER, processes=2)
    assert contents(tmp_path / "portraits") == contents(made)
    assert len(contents(made)) == 6 * 4 + 4 + 1  # files of samples, lists, manifest


def test_lists_are_read_by_both_data_modules(made: Path, tmp_path: Path) -> None:
    data = PhotofaceDataModule(
        str(made), str(tmp_path), NormalAugment(), size=48, coding="srgb", val_fraction=0.25
    )
    data.check(["train", "val", "test"])
    batch = data.on_after_batch_transfer(next(iter(data.in_order("test"))), 0)
    assert batch["image"].shape == (2, 3, 48, 48)
    subjects = {record.subject for record in data.sessions.records}
    assert len(subjects) == ORDER.train + ORDER.test
    # Stored as half floats in the files' frame: less than a tenth of a degree is lost.
    worker = Worker(tmp_path, ORDER)
    for number in range(ORDER.test):
        key = (1, 1, number, ORDER.seed)
        render = worker.studio.photograph(key, ORDER.size).render
        mask = batch["mask"][number, 0].numpy()
        np.testing.assert_array_equal(mask, masked(label_map(render), ("skin", "lips", "eyes")))
        stored = batch["normal"][number].permute(1, 2, 0).numpy()[mask]
        cosine = (stored * render.normals[mask]).sum(axis=1)
        assert np.degrees(np.arccos(cosine.clip(-1, 1))).max() < 0.1
    faces = read_list(made, "testImageList.txt")
    header, first, _ = (made / "test.csv").read_text().splitlines()
    row = dict(zip(header.split(","), first.split(","), strict=True))
    assert row["face"] == next(iter(faces.names))
    assert float(row["x_n"]) == pytest.approx(faces.points[0, 2, 0], abs=1e-3)


def test_masks_hold_the_given_labels(made: Path, tmp_path: Path) -> None:
    root = ensure_faces(
        tmp_path / "skin",
        layout="portraits",
        train=1,
        test=0,
        size=48,
        seed=4,
        mask=("skin",),
        processes=1,
    )
    masks = []
    for folder in (root, made):
        place = folder / "1000000" / "portrait"
        labels = cv2.imread(str(place / "label.png"), cv2.IMREAD_UNCHANGED)
        masks.append(cv2.imread(str(place / "mask.png"), cv2.IMREAD_UNCHANGED) > 0)
    np.testing.assert_array_equal(masks[0], labels == Label.SKIN)
    wanted = np.isin(labels, [Label.SKIN, Label.LIPS, Label.EYES])
    np.testing.assert_array_equal(masks[1], wanted)
    normals = np.load(root / "1000000/portrait/normal.npy")
    assert normals.dtype == np.float16
    assert not normals[~masks[0]].any()


def test_landmarks_in_the_light_of_maps(tmp_path: Path) -> None:
    order = replace(ORDER, layout="landmarks", train=1, test=0)
    pictures = []
    for share in (None, 1.0):
        root = tmp_path / str(share)
        fill(root, replace(order, map_share=share), processes=1)
        pictures.append((root / "train/000000.jpg").read_bytes())
        faces = read_list(root, "trainImageList.txt")
        left, right, top, bottom = faces.boxes[0]
        assert (faces.points[0] > (left, top)).all()
        assert (faces.points[0] < (right, bottom)).all()
    assert pictures[0] != pictures[1]


@wp.kernel
def _noise_and_slope(
    places: wp.array(dtype=wp.vec3),
    values: wp.array(dtype=float),
    slopes: wp.array(dtype=wp.vec3),
) -> None:
    i = wp.tid()
    values[i] = noise(wp.uint32(3), places[i])
    slopes[i] = noise_slope(wp.uint32(3), places[i])


def test_noise_slope_is_the_gradient_of_noise() -> None:
    rng = np.random.default_rng(0)
    middle = rng.uniform(-3, 3, (50, 3)).astype(np.float32)
    step = np.float32(2e-3)
    places = [middle, *(middle + sign * step * axis for axis in np.eye(3) for sign in (1, -1))]
    flat = np.concatenate(places).astype(np.float32)
    values = wp.zeros(len(flat), dtype=float, device="cpu")
    slopes = wp.zeros(len(flat), dtype=wp.vec3, device="cpu")
    where = wp.array(flat, dtype=wp.vec3, device="cpu")
    wp.launch(_noise_and_slope, len(flat), [where, values, slopes], device="cpu")
    rows = values.numpy().reshape(7, 50)
    wanted = np.stack([(rows[1 + 2 * k] - rows[2 + 2 * k]) / (2 * step) for k in range(3)], axis=1)
    np.testing.assert_allclose(slopes.numpy()[:50], wanted, atol=2e-2)  # differences of floats
