"""One generated face: its points, mask and normals belong to the pixels."""

import numpy as np
import pytest
import warp as wp

from facegeo.errors import UserError
from facegeo.rendering.heads import Part
from facegeo.rendering.studio import Sample, Studio

NOSE = 2


def test_eye_points_are_in_the_middle_of_the_eyes(studio: Studio) -> None:
    for number in range(4):
        sample = studio.photograph((3, 0, number), 128)
        rows, columns = np.nonzero(sample.render.parts == Part.EYE)
        pixels = np.stack([columns, rows], axis=1)
        nearest = np.linalg.norm(pixels[:, None] - sample.points[:2], axis=-1).argmin(axis=1)
        for eye in (0, 1):
            away = pixels[nearest == eye].mean(axis=0) - sample.points[eye]
            assert np.abs(away).max() < 1.6


def test_nose_point_is_on_the_ridge_of_the_nose(studio: Studio) -> None:
    for number in range(4):
        sample = studio.photograph((3, 0, number), 128)
        x, y = sample.points[NOSE].round().astype(int)
        left, right = sample.render.normals[y, [x - 4, x + 4], 0]
        assert right - left > 0.5


def test_points_have_the_order_of_the_lists(sample: Sample) -> None:
    left_eye, right_eye, nose, left_mouth, right_mouth = sample.points
    assert left_eye[0] < nose[0] < right_eye[0]
    assert left_mouth[0] < right_mouth[0]
    assert max(left_eye[1], right_eye[1]) < nose[1] < min(left_mouth[1], right_mouth[1])


def test_points_are_within_the_masks_extent(sample: Sample) -> None:
    rows, columns = np.nonzero(sample.render.mask)
    x, y = sample.points.T
    assert columns.min() <= x.min()
    assert x.max() <= columns.max()
    assert rows.min() <= y.min()
    assert y.max() <= rows.max()


def test_mask_excludes_eyes_and_mouth(studio: Studio) -> None:
    sample = studio.photograph((3, 0, 1), 128)
    parts, mask = sample.render.parts, sample.render.mask
    assert (parts == Part.EYE).any()
    assert not mask[parts != Part.SKIN].any()
    assert mask.mean() > 0.1


def test_normals_are_unit_and_face_the_camera(sample: Sample) -> None:
    hit = sample.render.parts >= 0
    lengths = np.linalg.norm(sample.render.normals[hit], axis=-1)
    np.testing.assert_allclose(lengths, 1, atol=1e-5)
    assert not sample.render.normals[~hit].any()
    # Seen skin faces the camera, but for smoothed normals at the outline.
    assert (sample.render.normals[sample.render.mask][:, 2] > 0).mean() > 0.99


def test_left_half_of_a_face_points_left_and_brow_points_up(studio: Studio) -> None:
    sample = studio.photograph((3, 0, 0), 128)
    normals, mask = sample.render.normals, sample.render.mask
    columns = np.nonzero(mask.any(axis=0))[0]
    rows = np.nonzero(mask.any(axis=1))[0]
    assert (
        normals[:, columns[0] : columns[0] + 8][mask[:, columns[0] : columns[0] + 8]][:, 0].mean()
        < 0
    )
    assert normals[rows[-1] - 8 : rows[-1]][mask[rows[-1] - 8 : rows[-1]]][:, 1].mean() < 0


def test_sample_does_not_depend_on_earlier_ones(studio: Studio) -> None:
    first = studio.photograph((9, 1, 5), 64)
    studio.photograph((9, 0, 6), 64)
    again = studio.photograph((9, 1, 5), 64)
    np.testing.assert_array_equal(first.image, again.image)
    np.testing.assert_array_equal(first.points, again.points)


@pytest.mark.skipif(wp.is_cuda_available(), reason="there is a GPU")
def test_studio_reports_missing_gpu() -> None:
    with pytest.raises(UserError, match="device=cuda needs an NVIDIA GPU"):
        Studio("anny", device="cuda")


@pytest.mark.gpu
@pytest.mark.skipif(not wp.is_cuda_available(), reason="no GPU")
def test_gpu_and_cpu_agree(studio: Studio) -> None:
    key = (3, 0, 0)
    there, here = Studio("anny", device="cuda").photograph(key, 96), studio.photograph(key, 96)
    assert (there.render.parts == here.render.parts).mean() > 0.99
    np.testing.assert_allclose(there.points, here.points, atol=1e-3)


def test_train_and_test_samples_differ(studio: Studio) -> None:
    train, test = (studio.photograph((9, split, 5), 64) for split in (0, 1))
    assert np.abs(train.image.astype(int) - test.image).mean() > 5
