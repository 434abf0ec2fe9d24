"""Batches of several data modules in fixed shares, and the first of them to measure on."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from facegeo.errors import UserError
from facegeo.normals.augment import FaceView, NormalAugment
from facegeo.normals.data import JoinedFacesDataModule
from facegeo.normals.light_mixtures import LightMixturesDataModule
from facegeo.normals.mixtures import MixtureLight
from facegeo.normals.photo_effects import PhotoEffects
from facegeo.normals.photoface import PhotofaceDataModule

SESSIONS = Path(__file__).parents[1] / "fixtures" / "sessions"
SIZE = 32


def people(prepared: Path, **options: Any) -> LightMixturesDataModule:
    parts: dict[str, Any] = {"light": MixtureLight(), "view": FaceView()}
    parts |= {"effects": PhotoEffects(), "val": ["yaleB04"], "test": ["yaleB02", "yaleB05"]}
    own = {"size": SIZE, "views_per_person": 3} | options
    return LightMixturesDataModule("root", "cache", lambda **_: prepared, **(parts | own))


def sessions(cache: Path, **options: Any) -> PhotofaceDataModule:
    own = {"size": SIZE, "val_fraction": 0.0, "title": "sessions"} | options
    return PhotofaceDataModule(str(SESSIONS), str(cache), NormalAugment(flip=0.5), **own)


def joined(prepared: Path, cache: Path, **options: Any) -> JoinedFacesDataModule:
    parts = {"people": people(prepared), "sessions": sessions(cache)}
    own = {"shares": {"people": 0.75, "sessions": 0.25}, "batch_size": 4} | options
    return JoinedFacesDataModule(parts, **own)


def batches(data: JoinedFacesDataModule, steps: int) -> list[dict[str, Tensor]]:
    data.for_training(steps)
    return [dict(data.on_after_batch_transfer(raw, 0)) for raw in data.train_dataloader()]


def test_each_batch_holds_the_shares_of_its_parts(prepared: Path, tmp_path: Path) -> None:
    data = joined(prepared, tmp_path)
    data.for_training(3)
    for raw in data.train_dataloader():
        assert {name: len(own["sample"]) for name, own in raw["joined"].items()} == {
            "people": 3,
            "sessions": 1,
        }
        batch = data.on_after_batch_transfer(raw, 0)
        assert batch["image"].shape == batch["normal"].shape == (4, 3, SIZE, SIZE)
        assert batch["mask"].shape == (4, 1, SIZE, SIZE)
        lengths = batch["normal"].norm(dim=1, keepdim=True)
        torch.testing.assert_close(lengths, batch["mask"].float(), atol=1e-5, rtol=0)


def _drawn(data: JoinedFacesDataModule, steps: int) -> list[dict[str, Any]]:
    data.for_training(steps)
    return list(data.train_dataloader())


def test_the_first_part_is_measured_on_whatever_is_trained_on(
    prepared: Path, tmp_path: Path
) -> None:
    data = joined(prepared, tmp_path, shares={"people": 0.0, "sessions": 1.0})
    data.check(["train", "val", "test"])
    (raw,) = _drawn(data, 1)
    assert list(raw["joined"]) == ["sessions"]
    single = people(prepared)
    assert len(data.faces("val")) == len(single.faces("val"))
    assert data.measured.subjects("val") == single.subjects("val")
    batch = next(iter(data.in_order("val")))
    made = data.on_after_batch_transfer(batch, 0)
    assert torch.equal(made["image"], single.on_after_batch_transfer(batch, 0)["image"])


def test_a_part_without_a_share_is_not_read(prepared: Path, tmp_path: Path) -> None:
    parts = {"people": people(prepared), "missing": sessions(tmp_path)}
    parts["missing"].root = tmp_path / "nowhere"  # type: ignore[union-attr]
    data = JoinedFacesDataModule(parts, {"people": 1.0, "missing": 0.0}, batch_size=2)
    data.prepare_data()
    data.check(["train", "val"])
    assert len(batches(data, 1)[0]["image"]) == 2


def test_the_content_changes_with_the_shares(prepared: Path, tmp_path: Path) -> None:
    first = joined(prepared, tmp_path)
    other = joined(prepared, tmp_path, shares={"people": 0.5, "sessions": 0.5})
    assert first.content() == joined(prepared, tmp_path).content() != other.content()
    first.keep_split(tmp_path / "split.json")
    with pytest.raises(UserError, match=r"split\.json"):
        other.keep_split(tmp_path / "split.json")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shares": {"people": 1.0}}, r"data\.shares must name the parts people, sessions"),
        ({"shares": {"people": 0.5, "sessions": 0.4}}, "sum 1, got"),
        ({"shares": {"people": 1.5, "sessions": -0.5}}, r"data\.shares must be .* 0, got"),
        ({"shares": {"people": 0.95, "sessions": 0.05}}, "below one face of data.batch_size=4"),
    ],
)
def test_shares_that_cannot_be_are_refused(
    prepared: Path, tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        joined(prepared, tmp_path, **options)


def test_parts_of_two_sizes_are_refused(prepared: Path, tmp_path: Path) -> None:
    parts = {"people": people(prepared), "sessions": sessions(tmp_path, size=64)}
    with pytest.raises(UserError, match="one picture size"):
        JoinedFacesDataModule(parts, {"people": 0.5, "sessions": 0.5})


def test_missing_files_of_any_part_are_found_before_anything_is_made(
    prepared: Path, tmp_path: Path
) -> None:
    made: list[str] = []

    def render(*, check_only: bool = False) -> None:
        if check_only:
            raise UserError("head=ict needs its files; set head.path to the folder")
        made.append("rendered")

    parts = {"people": people(prepared), "ict": sessions(tmp_path, prepare=render)}
    data = JoinedFacesDataModule(parts, {"people": 0.5, "ict": 0.5})
    with pytest.raises(UserError, match=r"set data\.parts\.ict\.prepare\.head_path to"):
        data.prepare_data()
    parts = {"people": people(prepared, reference="/nope"), "ict": sessions(tmp_path)}
    data = JoinedFacesDataModule(parts, {"people": 0.5, "ict": 0.5})
    with pytest.raises(UserError, match=r"^data\.reference=/nope: no such folder$"):
        data.prepare_data()
    assert made == []
