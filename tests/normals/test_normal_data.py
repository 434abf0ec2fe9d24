"""Training batches of all data modules of normals, and of several joined in fixed shares."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from facegeo.errors import UserError
from facegeo.normals.augment import FaceView, NormalAugment, Photometric
from facegeo.normals.data import JoinedFacesDataModule, NormalDataModule
from facegeo.normals.light_mixtures import LightMixturesDataModule
from facegeo.normals.mixtures import MixtureLight
from facegeo.normals.photo_effects import PhotoEffects
from facegeo.normals.photoface import PhotofaceDataModule

SESSIONS = Path(__file__).parents[1] / "fixtures" / "sessions"
SIZE = 32
RICH = NormalAugment(flip=0.5, rotation_deg=15, scale_spread=0.1)
Make = Callable[..., NormalDataModule]


def people(prepared: Path, **options: Any) -> LightMixturesDataModule:
    parts: dict[str, Any] = {"light": MixtureLight(), "view": FaceView()}
    parts |= {"effects": PhotoEffects(), "val": ["yaleB04"], "test": ["yaleB02", "yaleB05"]}
    own = {"size": SIZE, "views_per_person": 3} | options
    return LightMixturesDataModule("root", "cache", lambda **_: prepared, **(parts | own))


def sessions(cache: Path, **options: Any) -> PhotofaceDataModule:
    own = {"augment": RICH, "size": SIZE, "val_fraction": 0.0, "title": "sessions"} | options
    return PhotofaceDataModule(str(SESSIONS), str(cache), **own)


def joined(prepared: Path, cache: Path, **options: Any) -> JoinedFacesDataModule:
    parts = {"people": people(prepared), "sessions": sessions(cache)}
    own = {"shares": {"people": 0.75, "sessions": 0.25}, "batch_size": 4} | options
    return JoinedFacesDataModule(parts, **own)


@pytest.fixture(params=["sessions", "people", "joined"])
def make(request: pytest.FixtureRequest, prepared: Path, tmp_path: Path) -> Make:
    """Makes a data module with options of its own."""
    made = {
        "sessions": lambda **options: sessions(tmp_path, **options),
        "people": lambda **options: people(prepared, **options),
        "joined": lambda **options: joined(
            prepared, tmp_path, shares={"people": 0.5, "sessions": 0.5}, **options
        ),
    }
    return made[request.param]


def trained_on(data: NormalDataModule, steps: int, start: int = 0) -> list[dict[str, Tensor]]:
    data.for_training(steps)
    loader = data.train_dataloader()
    loader.load_state_dict({"batches": start})  # type: ignore[attr-defined]
    return [dict(data.on_after_batch_transfer(raw, 0)) for raw in loader]


def same(a: list[dict[str, Tensor]], b: list[dict[str, Tensor]]) -> bool:
    pairs = zip(a, b, strict=True)
    return all(torch.equal(x[key], y[key]) for x, y in pairs for key in x)


@pytest.mark.filterwarnings("ignore:.*does not have many workers")
def test_batches_depend_on_the_seed_and_not_on_workers_or_stops(make: Make) -> None:
    batches = trained_on(make(batch_size=4), 6)
    assert same(trained_on(make(batch_size=4), 6), batches)
    assert same(trained_on(make(batch_size=4, num_workers=2), 6, start=4), batches[4:])
    assert not same(trained_on(make(batch_size=4, seed=1), 6), batches)
    for batch in batches:
        assert batch["image"].shape == batch["normal"].shape == (4, 3, 32, 32)
        assert batch["mask"].dtype == torch.bool
        assert all(batch[key].is_contiguous() for key in ("image", "normal", "mask"))
        lengths = batch["normal"].norm(dim=1, keepdim=True)
        torch.testing.assert_close(lengths, batch["mask"].float(), atol=1e-5, rtol=0)


def test_processes_share_a_joint_batch(make: Make) -> None:
    parts = []
    for rank in range(2):
        data = make(batch_size=2)
        data.trainer = SimpleNamespace(global_rank=rank, world_size=2)  # type: ignore[assignment]
        parts.append(trained_on(data, 3))
    for one, other, joint in zip(*parts, trained_on(make(batch_size=4), 3), strict=True):
        rows = torch.cat([one["sample"], other["sample"]])
        assert sorted(rows.tolist()) == sorted(joint["sample"].tolist())
        for row, image in zip(
            rows.tolist(), torch.cat([one["image"], other["image"]]), strict=True
        ):
            # Sums over eight photographs are taken in another order in batches of another size.
            difference = (joint["image"][joint["sample"] == row] - image).abs().amax((1, 2, 3))
            assert difference.min() < 1.01 / 255


def test_photometric_changes_are_the_same_for_any_number_of_workers(tmp_path: Path) -> None:
    pytest.importorskip("albumentations")
    change = NormalAugment(photometric=Photometric({"RandomBrightnessContrast": {"p": 1.0}}))
    own = {"size": 32, "batch_size": 8, "val_fraction": 0.3}
    found = [
        trained_on(
            PhotofaceDataModule(str(SESSIONS), str(tmp_path), change, **own, num_workers=n), 5
        )
        for n in (0, 2)
    ]
    assert same(*found)
    brightness: dict[int, list[float]] = {}
    for batch in found[0]:
        for sample, image in zip(batch["sample"].tolist(), batch["image"], strict=True):
            brightness.setdefault(sample, []).append(float(image.mean()))
    assert max(len(levels) for levels in brightness.values()) == 3  # 40 draws of 16 faces
    assert all(len(set(levels)) == len(levels) for levels in brightness.values())


def test_each_batch_holds_the_shares_of_its_parts(prepared: Path, tmp_path: Path) -> None:
    for raw in _drawn(joined(prepared, tmp_path), 3):
        counts = {name: len(own["sample"]) for name, own in raw["joined"].items()}
        assert counts == {"people": 3, "sessions": 1}


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
    assert len(trained_on(data, 1)[0]["image"]) == 2


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
