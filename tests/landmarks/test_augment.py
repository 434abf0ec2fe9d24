import math
from collections import Counter
from typing import Any

import pytest
import torch
from torch import Tensor

from facegeo.landmarks.views import Augment, View

COUNT = 500
ROWS = torch.arange(COUNT)
PAPER = Augment(views=6, rotations_deg=(0, 15, -12), flip=0.5, shake_sigma=0.01)


def seen(augment: Augment, epoch: int, seed: int = 0, rows: Tensor = ROWS) -> View:
    return augment.view(seed, torch.full_like(rows, epoch), rows, COUNT)


def shakes(epoch: int, seed: int = 0, rows: Tensor = ROWS, windows: int = 10) -> Tensor:
    return PAPER.shake(seed, torch.full_like(rows, epoch), rows, COUNT, windows)


def test_six_epochs_show_each_of_the_papers_views_once() -> None:
    counts = Counter(
        (row, round(math.degrees(angle)), flip)
        for epoch in range(6)
        for row, (angle, flip) in enumerate(
            zip(seen(PAPER, epoch).angle.tolist(), seen(PAPER, epoch).flip.tolist(), strict=True)
        )
    )
    wanted = {(row, a, f) for row in range(COUNT) for a in (0, 15, -12) for f in (False, True)}
    assert set(counts) == wanted
    assert set(counts.values()) == {1}


def test_views_come_again_after_six_epochs_and_the_shake_does_not() -> None:
    first, again = seen(PAPER, 2), seen(PAPER, 8)
    assert torch.equal(first.angle, again.angle)
    assert torch.equal(first.flip, again.flip)
    assert not torch.isclose(shakes(2), shakes(8)).any()


def test_two_epochs_differ_and_every_epoch_mixes_the_views() -> None:
    first, second = seen(PAPER, 0), seen(PAPER, 1)
    assert (first.flip != second.flip).all()
    for view in (first, second):
        assert 200 < view.flip.sum() < 300  # half of 500, 4 sigma: 45
        shares = torch.rad2deg(view.angle).round().unique(return_counts=True)[1] / COUNT
        assert ((shares - 1 / 3).abs() < 0.1).all()


def test_a_sample_does_not_depend_on_its_batch() -> None:
    rows, epochs = torch.tensor([17, 3, 3, 400]), torch.tensor([4, 0, 5, 4])
    rich = Augment(
        views=6,
        rotations_deg=(0, 15, -12),
        rotation_spread_deg=5,
        flip=0.5,
        scale_spread=0.1,
        shift_sigma=0.05,
        shake_sigma=0.01,
    )
    together = rich.view(7, epochs, rows, COUNT)
    shaken = rich.shake(7, epochs, rows, COUNT, 3)
    for i in range(4):
        alone = rich.view(7, epochs[i : i + 1], rows[i : i + 1], COUNT)
        for name in ("angle", "flip", "scale", "shift"):
            assert torch.equal(getattr(alone, name)[0], getattr(together, name)[i]), name
        assert torch.equal(
            rich.shake(7, epochs[i : i + 1], rows[i : i + 1], COUNT, 3)[0], shaken[i]
        )


def test_shake_has_the_asked_spread_and_is_new_for_each_window_and_seed() -> None:
    moves = shakes(0)
    assert moves.shape == (COUNT, 10, 2)
    # 10,000 draws: mean within 4 sigma / 100, spread within 4 / sqrt(20,000) = 3 %
    assert abs(moves.mean().item()) < 4e-4
    assert moves.std().item() == pytest.approx(0.01, rel=0.03)
    assert len(moves.unique()) > 9990
    assert not torch.equal(moves, shakes(0, seed=1))


def test_ranges_of_rotation_scale_and_shift() -> None:
    augment = Augment(rotation_spread_deg=10, scale_spread=0.2, shift_sigma=0.05)
    view = seen(augment, 0)
    degrees = torch.rad2deg(view.angle)
    assert 9.5 < degrees.max() < 10
    assert -10 < degrees.min() < -9.5
    logs = view.scale.log()
    assert 0.19 < logs.max() < 0.2
    assert -0.2 < logs.min() < -0.19
    assert view.shift.std().item() == pytest.approx(0.05, rel=0.1)
    assert not view.flip.any()


def test_fixed_views_differ_from_each_other() -> None:
    augment = Augment(views=2, rotation_spread_deg=10, shift_sigma=0.05)
    first, second, third = (seen(augment, epoch) for epoch in range(3))
    assert not torch.isclose(first.angle, second.angle).all()
    assert not torch.isclose(first.shift, second.shift).any()
    assert torch.equal(first.angle, third.angle)
    assert torch.equal(first.shift, third.shift)


def test_no_augmentation_shows_faces_as_they_are() -> None:
    view = seen(Augment(), 3)
    assert not view.angle.any()
    assert not view.flip.any()
    assert not view.shift.any()
    assert (view.scale == 1).all()
    assert not Augment().shake(0, ROWS, ROWS, COUNT, 4).any()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"views": 0}, "views\n.*greater than 0.*=0,"),
        ({"rotations_deg": []}, "rotations_deg\n.*at least 1 item"),
        ({"flip": 1.5}, "flip\n.*less than or equal to 1.*=1.5"),
        ({"shake": 0.01}, "shake\n.*[Uu]nexpected keyword"),
        ({"shake_sigma": -0.01, "views": 0}, r"views\n(.*\n)*shake_sigma\n.*=-0.01"),
    ],
)
def test_invalid_augmentation_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Augment(**options)
