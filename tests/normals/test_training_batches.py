"""Training batches of every data module of normals: any workers, processes, and after a stop."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from facegeo.normals.augment import FaceView, NormalAugment, Photometric
from facegeo.normals.data import JoinedFacesDataModule, NormalDataModule
from facegeo.normals.light_mixtures import LightMixturesDataModule
from facegeo.normals.mixtures import MixtureLight
from facegeo.normals.photo_effects import PhotoEffects
from facegeo.normals.photoface import PhotofaceDataModule

SESSIONS = Path(__file__).parents[1] / "fixtures" / "sessions"
RICH = NormalAugment(flip=0.5, rotation_deg=15, scale_spread=0.1)
Make = Callable[..., NormalDataModule]


@pytest.fixture(params=["sessions", "people", "joined"])
def make(request: pytest.FixtureRequest, prepared: Path, tmp_path: Path) -> Make:
    """Makes a data module with options of its own."""

    def sessions(**options: Any) -> NormalDataModule:
        own = {"augment": RICH, "size": 32, "val_fraction": 0.3} | options
        return PhotofaceDataModule(str(SESSIONS), str(tmp_path / "cache"), **own)

    def people(**options: Any) -> NormalDataModule:
        own = {"val": ["yaleB04"], "test": ["yaleB02"], "size": 32, "views_per_person": 3}
        own |= {"light": MixtureLight(), "view": FaceView(), "effects": PhotoEffects()}
        return LightMixturesDataModule("root", "cache", lambda **_: prepared, **(own | options))

    def joined(**options: Any) -> NormalDataModule:
        parts = {"people": people(), "sessions": sessions()}
        return JoinedFacesDataModule(parts, {"people": 0.5, "sessions": 0.5}, **options)

    return {"sessions": sessions, "people": people, "joined": joined}[request.param]


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
