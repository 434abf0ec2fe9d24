"""Random views and colours of faces with normals."""

import math
import os
import pickle
import sys

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor

from facegeo.errors import UserError
from facegeo.normals.augment import NO_UPDATE, NormalAugment, Photometric, flip_faces, turn_faces

SIZE = 48
CENTRE = (SIZE - 1) / 2
ROWS = torch.arange(40)


def faces() -> tuple[Tensor, Tensor, Tensor]:
    """Two faces of noise with an odd mask."""
    random = torch.Generator().manual_seed(0)
    mask = torch.rand(2, 1, SIZE, SIZE, generator=random) > 0.3
    normals = torch.randn(2, 3, SIZE, SIZE, generator=random)
    normals = torch.nn.functional.normalize(normals, dim=1) * mask
    return torch.rand(2, 3, SIZE, SIZE, generator=random), normals, mask


def bulge() -> tuple[Tensor, Tensor, Tensor]:
    """A ball a little right of the middle: normals and image follow from the place alone."""
    y, x = torch.meshgrid(torch.arange(SIZE), torch.arange(SIZE), indexing="ij")
    offset = torch.stack([x - CENTRE - 4, CENTRE - y + 2]) / 14  # x right, y up
    height = (1 - offset.square().sum(dim=0)).clamp(min=0).sqrt()
    mask = (height > 0.3)[None, None]
    normals = torch.cat([offset, height[None]])[None] * mask
    return (normals + 1) / 2, normals, mask


def test_a_flip_done_twice_is_the_input_bit_by_bit() -> None:
    flip = torch.tensor([True, False])
    once = flip_faces(*faces(), flip)
    twice = flip_faces(*once, flip)
    for before, mirrored, after in zip(faces(), once, twice, strict=True):
        assert torch.equal(after, before)
        assert not torch.equal(mirrored[0], before[0])
        assert torch.equal(mirrored[1], before[1])


def test_a_flip_moves_image_normals_and_mask_together_and_negates_x() -> None:
    image, normals, mask = faces()
    seen = flip_faces(image, normals, mask, torch.tensor([True, True]))
    torch.testing.assert_close(seen[0][..., 5], image[..., SIZE - 6], rtol=0, atol=0)
    assert torch.equal(seen[2][..., 5], mask[..., SIZE - 6])
    there = normals[..., SIZE - 6] * torch.tensor([-1.0, 1, 1])[:, None]
    torch.testing.assert_close(seen[1][..., 5], there, rtol=0, atol=0)


def test_a_quarter_turn_is_counter_clockwise_and_turns_the_vectors() -> None:
    image, normals, mask = faces()
    angle = torch.full((2,), math.pi / 2)
    seen = turn_faces(image, normals, mask, angle, torch.ones(2))
    torch.testing.assert_close(seen[0], image.rot90(1, (2, 3)), rtol=0, atol=1e-4)
    assert torch.equal(seen[2], mask.rot90(1, (2, 3)))
    x, y, z = normals.rot90(1, (2, 3)).unbind(1)
    torch.testing.assert_close(seen[1], torch.stack([-y, x, z], dim=1), rtol=0, atol=1e-3)


@pytest.mark.parametrize(("angle_deg", "scale"), [(17.0, 1.0), (0.0, 1.2), (-30.0, 0.9)])
def test_a_turned_ball_still_has_the_normals_of_its_place(angle_deg: float, scale: float) -> None:
    angle, times = torch.tensor([math.radians(angle_deg)]), torch.tensor([scale])
    _, normals, mask = turn_faces(*bulge(), angle, times)
    y, x = torch.meshgrid(torch.arange(SIZE), torch.arange(SIZE), indexing="ij")
    cos, sin = math.cos(angle[0]), math.sin(angle[0])
    middle = scale * (cos * 4 + sin * 2), scale * (sin * 4 - cos * 2)  # where (4, -2) came to
    offset = torch.stack([x - CENTRE - middle[0], CENTRE - y - middle[1]]) / (14 * scale)
    height = (1 - offset.square().sum(dim=0)).clamp(min=0).sqrt()
    cosine = (normals[0] * torch.cat([offset, height[None]])).sum(dim=0)[mask[0, 0]]
    errors = torch.rad2deg(torch.acos(cosine.clamp(-1, 1)))
    assert mask.sum() > 0.98 * 0.91 * math.pi * (14 * scale) ** 2
    assert errors.mean() < 0.3
    assert errors.max() < 6  # at the rim, where a pixel is 13 degrees


def test_turned_normals_have_unit_length_and_none_off_the_mask() -> None:
    _, normals, mask = turn_faces(*faces(), torch.tensor([0.3, -0.2]), torch.tensor([1.1, 0.8]))
    length = normals.norm(dim=1, keepdim=True)
    torch.testing.assert_close(length, mask.float(), rtol=0, atol=1e-5)


def test_pixels_from_outside_the_image_are_masked_and_repeat_its_border() -> None:
    image = torch.full((1, 3, SIZE, SIZE), 0.7)
    normals = torch.zeros(1, 3, SIZE, SIZE)
    normals[:, 2] = 1
    mask = torch.ones(1, 1, SIZE, SIZE, dtype=torch.bool)
    half = torch.tensor([0.5])
    seen, _, face = turn_faces(image, normals, mask, torch.zeros(1), half)
    quarter = SIZE // 4
    inside = torch.zeros_like(mask)
    inside[..., quarter:-quarter, quarter:-quarter] = True
    assert torch.equal(face, inside)
    torch.testing.assert_close(seen, image)


def drawn(augment: NormalAugment, epoch: int, seed: int = 0) -> Tensor:
    view = augment.draw(seed, torch.full_like(ROWS, epoch), ROWS, len(ROWS))
    return torch.stack([view.flip.float(), view.angle, view.scale])


def test_draws_depend_only_on_seed_epoch_and_row() -> None:
    augment = NormalAugment(flip=0.5, rotation_deg=10, scale_spread=0.1)
    assert augment.turns
    assert not NormalAugment(flip=1).turns
    first = drawn(augment, 0)
    assert not torch.equal(first, drawn(augment, 1))
    assert not torch.equal(first, drawn(augment, 0, seed=1))
    epochs, rows = torch.tensor([1, 0, 1]), torch.tensor([3, 7, 0])
    view = augment.draw(0, epochs, rows, len(ROWS))
    some = torch.stack([view.flip.float(), view.angle, view.scale])
    whole = torch.stack([drawn(augment, 1)[:, 3], first[:, 7], drawn(augment, 1)[:, 0]], dim=1)
    assert torch.equal(some, whole)


def test_all_options_out_of_range_are_named() -> None:
    with pytest.raises(
        UserError, match=r"augment.flip must .*1.5; data.augment.scale_spread .*nan"
    ):
        NormalAugment(flip=1.5, scale_spread=math.nan)


IMAGE = np.random.default_rng(0).integers(0, 256, (24, 24, 3), dtype=np.uint8)
LIGHT = {"RandomBrightnessContrast": {"p": 1.0}, "RandomGamma": {"p": 0.5}}


def seen(change: Photometric, *key: int) -> npt.NDArray[np.uint8]:
    return change(IMAGE, *key)


@pytest.fixture
def change() -> Photometric:
    pytest.importorskip("albumentations")
    return Photometric(LIGHT)


def test_random_numbers_depend_only_on_seed_epoch_and_row(change: Photometric) -> None:
    first = seen(change, 0, 0, 0)
    others = [seen(change, *key) for key in [(1, 0, 0), (0, 1, 0), (0, 0, 1), (0, 1, 1)]]
    assert len({image.tobytes() for image in [first, *others]}) == 5
    np.testing.assert_array_equal(seen(change, 0, 0, 0), first)
    np.testing.assert_array_equal(seen(Photometric(LIGHT), 0, 0, 0), first)


def test_another_process_draws_the_same(change: Photometric) -> None:
    copy = pickle.loads(pickle.dumps(change))
    np.testing.assert_array_equal(seen(copy, 3, 2, 1), seen(change, 3, 2, 1))


def test_albumentations_asks_the_network_nothing(
    change: Photometric, monkeypatch: pytest.MonkeyPatch
) -> None:
    from albumentations import check_version

    def ask() -> None:
        raise AssertionError("asked for a newer version")

    monkeypatch.setattr(check_version, "check_for_updates", ask)
    for before in (None, "0"):
        monkeypatch.delitem(sys.modules, "albumentations")
        if before is not None:
            monkeypatch.setenv(NO_UPDATE, before)
        Photometric(LIGHT)
        assert os.environ.get(NO_UPDATE) == before


def test_a_missing_albumentations_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "albumentations", None)
    with pytest.raises(
        UserError, match=r'needs albumentations .* pip install "facegeo\[augment\]"'
    ):
        Photometric(LIGHT)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("HorizontalFlip", {}, "leaves pixels where they are.* got HorizontalFlip"),
        ("NoSuch", {}, "transforms.NoSuch: wanted a transform of albumentations"),
        ("RandomGamma", {"gamma_limit": "x"}, "RandomGamma: .*gamma_limit.*; change its options"),
        ("RandomGamma", {"gama_limit": 3}, "RandomGamma: .*'gama_limit'.*; change its options"),
    ],
)
def test_a_transform_that_does_not_fit_is_named(
    change: Photometric, name: str, options: dict[str, object], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        Photometric({name: options})
