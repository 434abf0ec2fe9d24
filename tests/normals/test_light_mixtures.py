"""LightMixturesDataModule from prepared people to the batch that a net is trained on."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from torch import Tensor

from facegeo.errors import UserError
from facegeo.files.places import crop_square, five_point_outline
from facegeo.files.shipped import conf_dir
from facegeo.geometry.light import to_linear
from facegeo.normals.augment import FaceView
from facegeo.normals.light_mixtures import LightMixturesDataModule
from facegeo.normals.mixtures import MixtureLight
from facegeo.normals.people import read_people
from facegeo.normals.photo_effects import PhotoEffects

SPLIT = {"val": ["yaleB04"], "test": ["yaleB02", "yaleB05"]}
MIXTURES = {"soft": {"A+035E+20": 0.5, "A-035E+20": 0.5}, "hard": {"A+070E+00": 1.0}}


def module(prepared: Path, **options: Any) -> LightMixturesDataModule:
    parts = {"light": MixtureLight(), "view": FaceView(), "effects": PhotoEffects()}
    own = {"size": 32, "batch_size": 4, "views_per_person": 3, "mixtures": MIXTURES}
    return LightMixturesDataModule(
        "root", "cache", lambda root, cache_dir: prepared, **(parts | SPLIT | own | options)
    )


def trained_on(data: LightMixturesDataModule, steps: int) -> list[dict[str, Tensor]]:
    data.for_training(steps)
    return [dict(data.on_after_batch_transfer(raw, 0)) for raw in data.train_dataloader()]


def test_batches_hold_photos_unit_normals_and_masks(prepared: Path) -> None:
    (batch,) = trained_on(module(prepared, batch_size=12), 1)
    assert 0 <= batch["image"].min() < 0.3 < batch["image"].max() <= 1
    torch.testing.assert_close(batch["image"] * 255, (batch["image"] * 255).round())
    assert (batch["mask"].float().mean((1, 2, 3)) > 0.05).all()


def test_training_shows_only_training_people(prepared: Path) -> None:
    data = module(prepared)
    faces = data.training_faces()
    assert len(faces) == 3 * 3
    drawn = faces.__getitems__([(0, row) for row in range(9)])
    assert {data.people.names[row] for row in drawn["person"].tolist()} == {
        "yaleB01",
        "yaleB03",
        "yaleB06",
    }
    first = data.people.first[drawn["person"]][:, None]
    counts = torch.tensor([len(record.lights) for record in data.people.records])
    counts = counts[drawn["person"]][:, None]
    assert bool(((drawn["photos"] >= first) & (drawn["photos"] < first + counts)).all())


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_makes_the_pictures_that_the_cpu_makes(prepared: Path) -> None:
    data = module(prepared, batch_size=16)
    data.for_training(1)
    (raw,) = data.train_dataloader()
    wanted = data.on_after_batch_transfer(raw, 0)
    got = data.on_after_batch_transfer({key: value.cuda() for key, value in raw.items()}, 0)
    assert got["image"].is_cuda
    # A level of 255 where rounding falls the other way; more where a quantised cosine does.
    assert (got["image"].cpu() - wanted["image"]).abs().mean() < 1 / 255
    assert (got["mask"].cpu() != wanted["mask"]).float().mean() < 1e-3


def test_test_pictures_are_single_lights_within_the_limits(prepared: Path) -> None:
    data = module(prepared, max_azimuth_deg=50, max_elevation_deg=20)
    faces = data.faces("test")
    lights = [name for name in data.people.records[1].lights if "070" not in name]
    wanted = [name for name in lights if "E+45" not in name and "E-35" not in name]
    wanted = [name for name in wanted if "110" not in name]
    assert len(faces) == 2 * len(wanted) == 2 * 10
    assert data.subjects("test") == ["yaleB02"] * 10 + ["yaleB05"] * 10
    (batch,) = [data.on_after_batch_transfer(raw, 0) for raw in data.in_order("test")]
    assert batch["sample"].tolist() == list(range(20))
    row = 7
    photo = int(faces.photos[row, 0])
    assert photo == int(data.people.first[1]) + data.people.records[1].lights.index(wanted[row])
    with pytest.raises(UserError, match="no photograph of the test split is lit from within -1"):
        module(prepared, max_azimuth_deg=-1).faces("test")


def test_fixed_mixtures_are_a_view_of_their_own(prepared: Path) -> None:
    data = module(prepared)
    assert list(data.views("test")) == ["mixtures"]
    assert data.subjects("test", "mixtures") == ["yaleB02"] * 2 + ["yaleB05"] * 2
    (batch,) = [data.on_after_batch_transfer(raw, 0) for raw in data.in_order("test", "mixtures")]
    singles = module(prepared, mixtures={name: {name: 1.0} for name in MIXTURES["soft"]})
    (parts,) = [
        singles.on_after_batch_transfer(raw, 0) for raw in singles.in_order("test", "mixtures")
    ]

    wanted = to_linear(parts["image"][:2]).mean(0)  # each light counts half
    # Both were rounded to 8 bits after sRGB's curve, whose steps are 0.9 % of white at most.
    torch.testing.assert_close(to_linear(batch["image"][0]), wanted, atol=0.011, rtol=0)
    assert module(prepared, mixtures=None).views("test") == {}
    with pytest.raises(UserError, match=r"must name lights such as A\+000E\+00, got lamp"):
        module(prepared, mixtures={"odd": {"lamp": 1.0}}).check(["test"])


def test_lamps_without_a_photograph_leave_their_weight_to_the_others(prepared: Path) -> None:
    data = module(prepared, mixtures={"odd": {"A+035E+20": 0.5, "A+099E+00": 0.25}})
    (raw,) = data.in_order("val", "mixtures")
    assert raw["weights"][0, :, 0].tolist() == [0.75]


def test_pictures_are_framed_as_predict_shows_faces(prepared: Path) -> None:
    """The square of ``crop_square`` in a picture that is large enough for it."""
    data = module(prepared, size=48)
    people, row, edge = data.people, 4, 60
    raw = data.faces("test").__getitems__([25])
    assert int(raw["person"][0]) == row
    points = people.points[row].double().numpy() + edge
    x, y = np.meshgrid(np.arange(84), np.arange(96))
    for ramp in (3 * x, 2 * y):
        photo = ramp.astype(np.uint8)
        people.photos[int(raw["photos"][0, 0])] = torch.from_numpy(photo)
        large = np.pad(photo, edge, mode="edge")
        left, top, side = crop_square(five_point_outline(points), *large.shape)
        square = large[top : top + side, left : left + side]
        cut = torch.from_numpy(cv2.resize(square, (48, 48), interpolation=cv2.INTER_AREA))
        got = to_linear(data.on_after_batch_transfer(raw, 0)["image"][0, 0])
        # There the square's corner and side are rounded to pixels, of 3 levels of 255 each.
        assert (got - cut / 255).abs().max() < 1.5 * 3 / 255


def test_references_are_the_truth_only_in_validation_and_test(
    prepared: Path, tmp_path: Path
) -> None:
    people = read_people(prepared)
    side = torch.zeros(96, 84, 3)
    side[..., 0] = 1
    for name in ("yaleB02", "yaleB04", "yaleB05"):
        np.savez(tmp_path / f"{name}.npz", normals=side, mask_reliable=np.ones((96, 84), bool))
    data = module(prepared, reference=str(tmp_path))
    (batch,) = [data.on_after_batch_transfer(raw, 0) for raw in data.in_order("val")]
    assert bool((batch["normal"][:, 0][batch["mask"][:, 0]] > 0.999).all())
    for row, name in enumerate(people.names):
        own = torch.equal(data.people.normals[row], people.normals[row])
        assert own == (name in ("yaleB01", "yaleB03", "yaleB06"))
    assert data.content() != module(prepared).content()
    (tmp_path / "yaleB04.npz").unlink()
    with pytest.raises(UserError, match=r"yaleB04.npz: wanted normals \(H, W, 3\)"):
        module(prepared, reference=str(tmp_path)).check(["val"])
    np.savez(tmp_path / "yaleB04.npz", normals=side[1:], mask_reliable=np.ones((95, 84), bool))
    with pytest.raises(UserError, match=r"yaleB04.npz: wanted .* of 96 x 84 .* got \(95, 84\)"):
        module(prepared, reference=str(tmp_path)).check(["val"])


def test_a_person_in_two_splits_is_refused(prepared: Path) -> None:
    with pytest.raises(UserError, match="yaleB02 in val and test; yaleB05 in val and test"):
        module(prepared, val=["yaleB02", "yaleB05"])
    with pytest.raises(UserError, match="yaleB02 in train and test"):
        module(prepared, train=["yaleB01", "yaleB02"])
    with pytest.raises(UserError, match="yaleB04 in val and val"):
        module(prepared, val=["yaleB04", "yaleB04"])


def test_the_listed_split_has_nobody_twice(prepared: Path) -> None:
    data = module(prepared, train=["yaleB06"])
    described = data.description()
    assert [described[part] for part in ("train", "val", "test")] == [
        ["yaleB06"],
        ["yaleB04"],
        ["yaleB02", "yaleB05"],
    ]
    shown = {split: set(data.subjects(split)) for split in ("train", "val", "test")}
    assert not shown["train"] & (shown["val"] | shown["test"])
    assert not shown["val"] & shown["test"]


def test_invalid_settings_are_named(prepared: Path) -> None:
    with pytest.raises(UserError, match="splits must be among train, val, test; got dev"):
        module(prepared).check(["dev"])
    with pytest.raises(UserError, match=r"nobody is in the val split: name people in data.val"):
        module(prepared, val=[]).check(["val"])
    with pytest.raises(UserError, match=r"not in data.root: yaleB40; it holds yaleB01, yaleB02"):
        module(prepared, val=["yaleB40"]).check(["val"])
    for size, bound in ((0, 1), (544, 512)):  # not larger than the tile of noise
        with pytest.raises(UserError, match=rf"data.size must be .* {bound}, got {size}"):
            module(prepared, size=size)
    assert not module(prepared, val=[]).validates


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        (MixtureLight, {"colour": 2}, r"data.light.colour must be .* 1, got 2"),
        (MixtureLight, dict.fromkeys(("single", "few", "soft", "key_and_fill"), 0), "all 0"),
        (FaceView, {"shift": 0.6}, r"data.view.shift must be .* 0.5, got 0.6"),
        (PhotoEffects, {"blur_px": 11}, r"data.effects.blur_px must be .* 10, got 11"),
        (PhotoEffects, {"grey": 2, "jpeg": -1}, r"effects.grey must .*; data.effects.jpeg must"),
        (
            PhotoEffects,
            {"gamma": [2, 1]},
            r"data.effects.gamma must be two numbers, the smaller first, got \[2, 1\]",
        ),
    ],
)
def test_options_out_of_range_are_named(
    kind: Callable[..., object], options: dict[str, object], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        kind(**options)


def test_the_config_makes_the_data_module(prepared: Path, tmp_path: Path) -> None:
    overrides = ["data=yaleb", f"data.root={prepared}", f"data.cache_dir={tmp_path}"]
    overrides += ["data.val=[yaleB04]", "data.test=[yaleB02,yaleB05]"]
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        config = compose("train", overrides).data
    data = instantiate(config)
    assert (data.light, data.view, data.effects) == (MixtureLight(), FaceView(), PhotoEffects())
    assert data.coding == "srgb"
    data.check(["train", "val"])  # prepared people are taken as they are
    assert not list(tmp_path.iterdir())


def test_the_published_split_is_that_of_the_datas_readme() -> None:
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        config = compose("train", ["data=yaleb", "data.root=x"]).data
    assert list(config.test) == [f"yaleB{n}" for n in (12, 20, 28, 34, 39)]
    assert list(config.val) == [f"yaleB{n}" for n in ("04", 16, 31)]
    assert config.train is None
    for weights in config.mixtures.values():
        assert 0.8 < sum(weights.values()) < 1.3


def test_the_average_face_is_the_mean_of_training_people(prepared: Path) -> None:
    data = module(prepared, train=["yaleB01"])
    average = data.average_face()
    assert average is not None
    single = module(prepared, val=["yaleB01"], train=["yaleB03"])  # cut out as tested faces are
    made = single.on_after_batch_transfer(single.faces("val").__getitems__([0]), 0)
    inside = made["mask"][0].expand(3, -1, -1)
    torch.testing.assert_close(average[inside], made["normal"][0][inside], atol=1e-4, rtol=0)
    ahead = torch.tensor([0.0, 0, 1])[:, None, None].expand_as(average)
    assert torch.equal(average[~inside], ahead[~inside])
    assert module(prepared, train=[]).average_face() is None
