"""Light, views and photographic effects of mixtures, each by itself."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from facegeo.geometry.light import to_srgb
from facegeo.normals.augment import FaceView, View, sample_faces, turn_faces
from facegeo.normals.mixtures import LIGHT_NUMBERS as LIGHT_NUMBERS
from facegeo.normals.mixtures import LIGHTS, LampTable, MixtureLight, draw_light
from facegeo.normals.photo_effects import NUMBERS, PhotoEffects, photograph

TABLE = LampTable.of(
    [10, 13], [[(0.0, 0.0, 1.0), (0.0, 0.6, -0.8), (0.6, 0.0, 0.8)], [(0.0, 0.0, 1.0)] * 2]
)
PLAIN = PhotoEffects(
    grey=0, skin=0, srgb=1, background=0, blur=0, shrink=0, noise=0, jpeg=0, exposure=(0.2, 0.2)
)


def numbers(count: int, size: int, seed: int = 0) -> Tensor:
    return torch.rand(count, size, generator=torch.Generator().manual_seed(seed))


def lit(light: MixtureLight, count: int = 400) -> tuple[Tensor, Tensor]:
    return draw_light(light, TABLE, torch.arange(count) % 2, numbers(count, LIGHT_NUMBERS))


def only(way: str, **options: float) -> MixtureLight:
    ways = dict.fromkeys(("single", "few", "soft", "key_and_fill"), 0.0)
    return MixtureLight(**(ways | {way: 1.0} | options))


def test_photographs_lit_from_the_front_come_first() -> None:
    assert TABLE.rows.tolist() == [[10, 12, 11], [13, 14, 13]]
    assert TABLE.front.tolist() == [2, 2]
    assert TABLE.counts.tolist() == [3, 2]


def test_one_lamp_is_one_photograph_from_the_front() -> None:
    rows, weights = lit(only("single", behind=0, colour=0))
    assert rows.shape == (400, LIGHTS)
    torch.testing.assert_close(weights[:, 0], torch.ones(400, 3))
    assert weights[:, 1:].abs().max() == 0
    assert set(rows[:, 0].tolist()) == {10, 12, 13, 14}
    rows, _ = lit(only("single", behind=1))
    assert 11 in rows[:, 0].tolist()


@pytest.mark.parametrize(
    ("way", "most", "least"), [("few", 4, 2), ("soft", 8, 8), ("key_and_fill", 8, 8)]
)
def test_ways_to_light_have_their_numbers_of_lamps(way: str, most: int, least: int) -> None:
    _, weights = lit(only(way, colour=0))
    counts = (weights[..., 1] > 0).sum(1)
    assert (int(counts.max()), int(counts.min())) == (most, least)
    torch.testing.assert_close(weights.sum(1), torch.ones(400, 3))


def test_all_ways_happen_as_often_as_they_should() -> None:
    _, weights = lit(MixtureLight(single=0.5, few=0.5, soft=0, key_and_fill=0), 2000)
    single = ((weights[..., 1] > 0).sum(1) == 1).float().mean()
    assert abs(float(single) - 0.5) < 0.05


def test_lamps_have_colours_of_their_own_in_a_share_of_pictures() -> None:
    _, weights = lit(only("soft", coloured=0, colour=0.3))
    ratio = weights[..., 0] / weights[..., 1]
    torch.testing.assert_close(ratio, ratio[:, :1].expand_as(ratio))
    assert 0.2 < float(ratio[:, 0].log().std()) < 0.4
    _, weights = lit(only("soft", coloured=1, colour=0.3))
    assert (weights[..., 0] / weights[..., 1]).log().std(1).min() > 0


def test_a_still_view_shows_the_square() -> None:
    view = View.still(1, torch.device("cpu"))
    squares = torch.tensor([[11.5, 7.5, 8.0]])  # columns 8 to 15, rows 4 to 11
    image = torch.arange(16 * 24.0).view(1, 1, 16, 24)
    normal, mask = torch.zeros(1, 3, 16, 24), torch.ones(1, 1, 16, 24, dtype=torch.bool)
    normal[:, 2] = 1
    source = view.source(squares, 16, 24)
    seen, _, known = sample_faces(image, normal, mask, source, view.angle, 8)
    torch.testing.assert_close(seen, image[..., 4:12, 8:16], atol=1e-3, rtol=0)
    assert bool(known.all())


def test_a_view_turns_faces_as_turn_faces_does() -> None:
    torch.manual_seed(0)
    image = torch.rand(2, 3, 16, 16)
    normal = torch.nn.functional.normalize(torch.randn(2, 3, 16, 16), dim=1)
    mask = torch.ones(2, 1, 16, 16, dtype=torch.bool)
    angle, scale = torch.tensor([0.3, -0.5]), torch.tensor([1.1, 0.8])
    view = View(angle > 9, angle, scale, torch.zeros(2, 2))
    source = view.source(torch.tensor([[7.5, 7.5, 16.0]] * 2), 16, 16)
    got = sample_faces(image, normal, mask, source, angle, 16)
    for one, other in zip(got, turn_faces(image, normal, mask, angle, scale), strict=True):
        torch.testing.assert_close(one.float(), other.float(), atol=1e-4, rtol=0)


def test_a_shift_moves_the_face_right_and_down() -> None:
    view = View(torch.tensor([False]), torch.zeros(1), torch.ones(1), torch.tensor([[0.25, 0.5]]))
    image = torch.zeros(1, 1, 16, 16)
    image[..., 4, 6] = 1
    normal, mask = torch.zeros(1, 3, 16, 16), torch.ones(1, 1, 16, 16, dtype=torch.bool)
    source = view.source(torch.tensor([[7.5, 7.5, 16.0]]), 16, 16)
    seen, _, _ = sample_faces(image, normal, mask, source, view.angle, 16)
    assert seen.flatten().argmax() == (4 + 4) * 16 + 6 + 2  # 0.5 and 0.25 of half of 16 px


def test_views_stay_within_their_limits() -> None:
    view = FaceView(flip=0.3, rotation_deg=20, scale_spread=0.1, shift=0.08).of(numbers(4000, 5))
    assert abs(float(view.flip.float().mean()) - 0.3) < 0.03
    assert 0.95 * 20 < math.degrees(float(view.angle.abs().max())) <= 20
    assert float(view.scale.log().abs().max()) <= 0.1
    assert 0.9 * 0.16 < float(view.shift.abs().max()) <= 0.16  # half sides


def scene(count: int = 4, size: int = 32) -> tuple[Tensor, Tensor, Tensor]:
    light = numbers(count, 3 * size * size, 1).view(count, 3, size, size)
    mask = torch.zeros(count, 1, size, size, dtype=torch.bool)
    mask[..., 8:24, 8:24] = True
    return light, mask, mask.float()


def test_without_effects_a_photo_is_srgb_of_the_wanted_exposure() -> None:
    light, mask, head = scene()
    light = light[:, :1].expand(-1, 3, -1, -1) * 0.3
    photo = photograph(light, mask, head, numbers(4, NUMBERS), PLAIN)
    mean = (light[:, :1] * mask).sum((1, 2, 3), keepdim=True) / mask.sum((1, 2, 3), keepdim=True)
    wanted = (to_srgb(light / mean * 0.2) * 255).round() / 255
    torch.testing.assert_close(photo, wanted, atol=1.01 / 255, rtol=0)


def test_a_photo_depends_only_on_its_own_numbers() -> None:
    light, mask, head = scene(8)
    drawn = numbers(8, NUMBERS)
    effects = PhotoEffects()
    photos = photograph(light, mask, head, drawn, effects)
    order = torch.tensor([3, 7, 0])
    again = photograph(light[order], mask[order], head[order], drawn[order], effects)
    torch.testing.assert_close(again, photos[order], atol=1.01 / 255, rtol=0)


def test_the_background_is_replaced_only_outside_the_head() -> None:
    light, mask, head = scene()
    drawn = numbers(4, NUMBERS)
    kept = photograph(light, mask, head, drawn, PLAIN)
    replaced = photograph(light, mask, head, drawn, PhotoEffects(**vars(PLAIN) | {"background": 1}))
    face = mask.expand_as(kept)
    assert torch.equal(kept[face], replaced[face])
    assert (kept[~face] - replaced[~face]).abs().mean() > 0.05


def test_grey_pictures_are_grey_and_skin_is_redder_than_blue() -> None:
    light, mask, head = scene()
    light = light.mean(1, keepdim=True).expand(-1, 3, -1, -1)
    every = vars(PhotoEffects()) | {"grey": 1.0}
    photo = photograph(light, mask, head, numbers(4, NUMBERS), PhotoEffects(**every))
    torch.testing.assert_close(photo[:, 0], photo[:, 2], atol=1.01 / 255, rtol=0)
    skin = PhotoEffects(**vars(PLAIN) | {"skin": 1.0})
    photo = photograph(light, mask, head, numbers(4, NUMBERS), skin)
    red, green, blue = photo.mean((0, 2, 3)).tolist()
    assert red > green > blue


@pytest.mark.parametrize(
    "options",
    [{"blur": 1, "blur_px": 4}, {"shrink": 1}, {"jpeg": 1}, {"noise": 0.1}],
    ids=["blur", "shrink", "jpeg", "noise"],
)
def test_each_effect_changes_fine_detail_and_leaves_the_mean(options: dict[str, float]) -> None:
    light, mask, head = scene(16)
    drawn = numbers(16, NUMBERS)
    plain = photograph(light, mask, head, drawn, PLAIN)
    changed = photograph(light, mask, head, drawn, PhotoEffects(**vars(PLAIN) | options))
    assert 0.005 < float((changed - plain).abs().mean()) < 0.2
    # Averages of light and of its root differ: sRGB's curve is not linear.
    assert abs(float((changed - plain).mean())) < 0.03


def test_compression_of_the_best_quality_changes_next_to_nothing() -> None:
    smooth = torch.linspace(0.1, 0.4, 32).expand(2, 3, 32, 32).contiguous()
    _, mask, head = scene(2)
    drawn = numbers(2, NUMBERS)
    best = PhotoEffects(**vars(PLAIN) | {"jpeg": 1.0, "jpeg_quality": (100, 100)})
    plain = photograph(smooth, mask, head, drawn, PLAIN)
    packed = photograph(smooth, mask, head, drawn, best)
    np.testing.assert_allclose(packed, plain, atol=3 / 255)
