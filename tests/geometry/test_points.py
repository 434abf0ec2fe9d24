"""Five points: errors by hand, and a mirror order that undoes itself."""

import pytest
import torch

from facegeo.geometry.windows import FLIP_ORDER, POINT_NAMES, point_errors

TARGET = torch.tensor([[[10.0, 20.0], [50.0, 20.0], [30.0, 40.0], [15.0, 60.0], [45.0, 60.0]]])


def test_error_is_distance_over_width() -> None:
    pred = TARGET.clone()
    pred[0, 1] += torch.tensor([3.0, -4.0])
    pred[0, 4] += torch.tensor([0.0, 2.5])
    got = point_errors(pred, TARGET, torch.tensor([50.0]))
    torch.testing.assert_close(got, torch.tensor([[0.0, 0.1, 0.0, 0.0, 0.05]]))


def test_each_face_is_divided_by_its_own_width() -> None:
    target = TARGET.expand(2, 5, 2)
    got = point_errors(target + torch.tensor([6.0, 8.0]), target, torch.tensor([50.0, 100.0]))
    torch.testing.assert_close(got, torch.tensor([[0.2] * 5, [0.1] * 5]))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_a_point_that_is_not_finite_has_error_nan_and_the_others_keep_theirs(value: float) -> None:
    pred = TARGET.clone()
    pred[0, 2, 1] = value
    got = point_errors(pred, TARGET, torch.tensor([50.0]))
    expected = torch.tensor([[0.0, 0.0, float("nan"), 0.0, 0.0]])
    torch.testing.assert_close(got, expected, equal_nan=True)


def test_a_width_of_zero_gives_nan() -> None:
    got = point_errors(TARGET + 1, TARGET, torch.tensor([0.0]))
    assert got.isnan().all()


def test_flip_order_swaps_left_and_right_names_and_undoes_itself() -> None:
    swapped = [POINT_NAMES[k] for k in FLIP_ORDER]
    assert swapped == ["RE", "LE", "N", "RM", "LM"]
    assert [swapped[k] for k in FLIP_ORDER] == list(POINT_NAMES)


def test_flip_order_keeps_left_on_the_left_of_a_mirrored_image() -> None:
    mirrored = TARGET * torch.tensor([-1.0, 1.0]) + torch.tensor([59.0, 0.0])
    left_eye, right_eye, _, left_mouth, right_mouth = mirrored[0, FLIP_ORDER, 0]
    assert left_eye < right_eye
    assert left_mouth < right_mouth


def test_width_of_another_batch_is_refused() -> None:
    with pytest.raises(ValueError, match=r"width must have shape \(1,\), got \(2,\)"):
        point_errors(TARGET, TARGET, torch.ones(2))
