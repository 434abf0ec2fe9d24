"""PhotofaceDataModule from the lists to the batch that a net is trained on."""

import shutil
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
from facegeo.files.shipped import conf_dir
from facegeo.normals.augment import NormalAugment
from facegeo.normals.photoface import PhotofaceDataModule

FIXTURE = Path(__file__).parents[1] / "fixtures" / "sessions"
RICH = NormalAugment(flip=0.5, rotation_deg=15, scale_spread=0.1)


def module(
    tmp_path: Path, root: Path = FIXTURE, augment: NormalAugment | None = None, **options: Any
) -> PhotofaceDataModule:
    options = {"size": 32, "batch_size": 5, "val_fraction": 0.3} | options
    cache = str(tmp_path / "cache")
    return PhotofaceDataModule(str(root), cache, augment or NormalAugment(), **options)


def trained_on(data: PhotofaceDataModule, steps: int) -> list[dict[str, Tensor]]:
    data.for_training(steps)
    return [dict(data.on_after_batch_transfer(raw, 0)) for raw in data.train_dataloader()]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return Path(shutil.copytree(FIXTURE, tmp_path / "faces"))


def test_batches_hold_faces_unit_normals_of_our_frame_and_masks(tmp_path: Path) -> None:
    data = module(tmp_path, eval_batch_size=3)
    batches = [data.on_after_batch_transfer(raw, 0) for raw in data.in_order("test")]
    assert [len(batch["sample"]) for batch in batches] == [3, 3, 2]
    batch = batches[1]
    assert batch["sample"].tolist() == [27, 28, 29]
    stored = cv2.imread(str(FIXTURE / "200000/session1/sn_c.png"))[..., ::-1] / 127.5 - 1
    down, right, camera = np.moveaxis(stored / np.linalg.norm(stored, axis=2)[..., None], 2, 0)
    mask = cv2.imread(str(FIXTURE / "200000/session1/mask_c.png"), cv2.IMREAD_GRAYSCALE) > 127
    wanted = np.where(mask, np.stack([right, -down, camera]), 0)
    np.testing.assert_allclose(batch["normal"][0], wanted, atol=1e-6)
    assert batch["mask"].dtype == torch.bool
    assert all(batch[key].is_contiguous() for key in ("image", "normal", "mask"))
    np.testing.assert_array_equal(batch["mask"][0, 0], mask)
    photo = cv2.imread(str(FIXTURE / "200000/session1/im3_c.png"))[..., ::-1] / 255
    np.testing.assert_allclose(batch["image"][0], np.moveaxis(photo, 2, 0), atol=1e-6)


def test_the_frame_of_the_files_is_an_option(tmp_path: Path) -> None:
    def normals(frame: str) -> Tensor:
        data = module(tmp_path, frame=frame)
        (batch,) = (data.on_after_batch_transfer(raw, 0) for raw in data.in_order("test"))
        return batch["normal"]

    x, y, z = normals("down_right_camera").unbind(1)
    right, up, camera = normals("right_up_camera").unbind(1)
    assert torch.equal(torch.stack([up, -right, camera]), torch.stack([x, y, z]))
    with pytest.raises(UserError, match=r"data.frame must be .*, got 'left'"):
        module(tmp_path, frame="left")


def test_stored_depth_can_be_multiplied(tmp_path: Path) -> None:
    plain, deep = module(tmp_path), module(tmp_path, relief=1.5)
    (one, *_), (other, *_) = trained_on(plain, 1), trained_on(deep, 1)
    assert torch.equal(one["image"], other["image"])
    inside = one["mask"].expand(-1, 2, -1, -1)
    slopes, deeper = ((n[:, :2] / n[:, 2:])[inside] for n in (one["normal"], other["normal"]))
    torch.testing.assert_close(deeper, 1.5 * slopes, rtol=1e-3, atol=1e-3)
    lengths = other["normal"].norm(dim=1)[other["mask"][:, 0]]
    torch.testing.assert_close(lengths, torch.ones_like(lengths))
    assert plain.content() != deep.content()
    with pytest.raises(UserError, match=r"data\.relief must be greater than 0, got 0"):
        module(tmp_path, relief=0)


@pytest.mark.parametrize("split_by", ["subject", "session", "image"])
def test_no_subject_is_in_two_splits(tmp_path: Path, split_by: str) -> None:
    (tmp_path / "one").mkdir()
    root = shutil.copytree(FIXTURE, tmp_path / "one" / "faces")
    lines = (FIXTURE / "test.csv").read_text().splitlines()[1:]
    with (root / "train.csv").open("a") as file:
        file.writelines(f"{line}\n" for line in lines)
    data = module(tmp_path, root, split_by=split_by, test_list=None, test_fraction=0.25)
    data.check(["train", "val", "test"])
    of = {
        split: {data.sessions.records[row].subject for row in data.sessions.rows[split]}
        for split in ("train", "val", "test")
    }
    shared = (of["train"] & of["test"]) | (of["train"] & of["val"]) | (of["val"] & of["test"])
    assert bool(shared) == (split_by != "subject")
    assert data.split_kind == f"split by {split_by}, seed 0"
    assert data.split_settings["test_fraction"] == 0.25


def test_lists_that_share_subjects_are_refused_unless_that_is_wanted(
    root: Path, tmp_path: Path
) -> None:
    with (root / "test.csv").open("a") as file:
        file.write("100001/session2/im0_c.png\n")
    text = (root / "train.csv").read_text().replace("100001/session2/im0_c.png\n", "")
    (root / "train.csv").write_text(text)
    wanted = (
        r"test.csv line 10, 100001/session2/im0_c.png: wanted no subject of train.csv .*, "
        r"got subject 100001 of its line 10"
    )
    for on_error in ("raise", "skip"):
        with pytest.raises(UserError, match=wanted):
            module(tmp_path, root, on_error=on_error).check(["test"])
    module(tmp_path, root, split_by="image").check(["test"])


def test_all_faults_of_all_lists_come_in_one_message(
    root: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (root / "100000/session1/mask_c.png").unlink()
    (root / "100001/session1/im0_c.png").write_bytes(b"torn")
    normals = np.full((32, 32, 3), 128, np.uint8)
    cv2.imwrite(str(root / "200000/session1/sn_c.png"), normals)
    with pytest.raises(UserError) as error:
        module(tmp_path, root).check(["train"])
    lines = str(error.value).splitlines()
    assert len(lines) == 1 + 4 + 2 + 1  # four photographs miss the mask that they share
    for part in ("train.csv line 2, 100000/session1/mask_c.png", "train.csv line 10, 100001"):
        assert part in str(error.value)
    assert "test.csv line 2, 200000/session1/sn_c.png: wanted normals of length 1" in lines[-2]
    assert "set data.on_error=skip" in lines[-1]
    data = module(tmp_path, root, on_error="skip")
    data.check(["train", "val", "test"])
    assert len(data.sessions.records) == 32 - 4 - 1 - 4
    assert "6 faults, 23 faces are left" in caplog.text


def test_a_folder_without_lists_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match=r"train.csv line 1.*\n.*test.csv line 1.*\n2 faults: .*prepare"
    ):
        module(tmp_path, tmp_path).check(["train"])


def test_training_batches_are_augmented_together(tmp_path: Path) -> None:
    plain, seen = trained_on(module(tmp_path), 4), trained_on(module(tmp_path, augment=RICH), 4)
    for before, after in zip(plain, seen, strict=True):
        assert torch.equal(before["sample"], after["sample"])
        assert not torch.equal(before["mask"], after["mask"])
        length = after["normal"].norm(dim=1, keepdim=True)
        torch.testing.assert_close(length, after["mask"].float(), rtol=0, atol=1e-5)
    flips = NormalAugment(flip=1.0)
    for before, after in zip(plain, trained_on(module(tmp_path, augment=flips), 4), strict=True):
        assert torch.equal(after["image"], before["image"].flip(-1))
        assert torch.equal(after["normal"][:, 0], -before["normal"][:, 0].flip(-1))


def test_a_split_is_kept_and_hashed(tmp_path: Path, root: Path) -> None:
    data, path = module(tmp_path), tmp_path / "run" / "split.json"
    data.keep_split(path)
    data.keep_split(path)
    assert data.split_digest == module(tmp_path, root).split_digest
    other = module(tmp_path, val_fraction=0.6)
    assert data.split_digest != other.split_digest
    with pytest.raises(UserError, match=r"wanted val_fraction 0.6, got 0.3"):
        other.keep_split(path)


def test_invalid_settings_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="splits must be among train, val, test; got dev"):
        module(tmp_path).check(["train", "dev"])
    with pytest.raises(UserError, match=r"no val face: set data.val_fraction above 0"):
        module(tmp_path, val_fraction=0).check(["val"])
    with pytest.raises(UserError, match=r"data.on_error must be 'raise' or 'skip', got 'ignore'"):
        module(tmp_path, on_error="ignore")
    with pytest.raises(UserError, match=r"data.coding must be .*, got 'gamma'"):
        module(tmp_path, coding="gamma")
    with pytest.raises(UserError, match=r"batch_size must .*, got 0; data.size must .*, got -1"):
        module(tmp_path, batch_size=0, size=-1)


def test_only_a_test_list_is_needed_to_measure(tmp_path: Path) -> None:
    data = module(tmp_path, train_list=None)
    data.check(["test"])
    assert {part: len(rows) for part, rows in data.sessions.rows.items()} == {
        "train": 0,
        "val": 0,
        "test": 8,
    }
    with pytest.raises(UserError, match=r"there is no train face: name data.train_list"):
        data.check(["train"])
    with pytest.raises(UserError, match="both null: name one"):
        module(tmp_path, train_list=None, test_list=None)


def test_generated_data_are_asked_for_once(tmp_path: Path) -> None:
    calls: list[str] = []
    data = module(tmp_path, prepare=lambda: calls.append("made"))
    data.prepare_data()
    data.prepare_data()
    assert calls == ["made"]


@pytest.mark.parametrize("name", ["photoface", "sessions", "fixture_sessions"])
def test_every_config_makes_the_data_module(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(FIXTURE.parents[2])
    overrides = [f"data={name}", f"data.cache_dir={tmp_path}"]
    overrides += ["data.root=x"] if name == "photoface" else []
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        data = instantiate(compose("train", overrides).data)
    assert isinstance(data, PhotofaceDataModule)
    assert (data.splitting.test_list is None) == (name == "photoface")
    assert data.coding == (None if name == "photoface" else "linear")
    assert data.augment == NormalAugment()  # the paper's: none
    if name == "fixture_sessions":
        data.check(["train", "val", "test"])
        assert {part: len(rows) for part, rows in data.sessions.rows.items()} == {
            "train": 16,
            "val": 8,
            "test": 8,
        }


def test_photometric_changes_come_from_the_configuration(tmp_path: Path) -> None:
    pytest.importorskip("albumentations")
    transforms = "{RandomGamma:{gamma_limit:[40,60],p:1.0},RandomBrightnessContrast:{}}"
    target = "facegeo.normals.augment.Photometric"
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        config = compose(
            "train",
            [
                "data=fixture_sessions",
                f"data.cache_dir={tmp_path}",
                f"data.root={FIXTURE}",
                f"data.augment.photometric={{_target_:{target},transforms:{transforms}}}",
            ],
        )
    change = instantiate(config.data).augment.photometric
    grey = np.full((8, 8, 3), 100, np.uint8)
    assert len({change(grey, 0, epoch, 0).tobytes() for epoch in range(4)}) > 1


@pytest.mark.parametrize(
    "manifest",
    [
        '{"options": {"frame": "down_right_camera"}}',
        '{"prepared": {"frame": "down_right_camera"}, "options": {}}',
    ],
    ids=["rendered", "prepared"],
)
def test_a_frame_other_than_the_manifests_is_refused(
    root: Path, tmp_path: Path, manifest: str
) -> None:
    (root / "manifest.json").write_text(manifest)
    module(tmp_path, root).check(["test"])
    with pytest.raises(UserError, match=r"its normals are in down_right_camera: set data.frame="):
        module(tmp_path, root, frame="right_up_camera").check(["test"])


@pytest.mark.parametrize("manifest", ["[1]", "no json", "{}", '{"options": 3}'])
def test_a_foreign_manifest_says_nothing(root: Path, tmp_path: Path, manifest: str) -> None:
    (root / "manifest.json").write_text(manifest)
    module(tmp_path, root).check(["test"])


def test_normals_that_do_not_bulge_are_doubted(
    root: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (root / "manifest.json").unlink(missing_ok=True)
    with caplog.at_level("WARNING", logger="facegeo"):
        module(tmp_path, root).check(["test"])
    assert "correlation with a ball" not in caplog.text
    with caplog.at_level("WARNING", logger="facegeo"):
        module(tmp_path, root, frame="right_down_camera").check(["test"])
    assert "correlation with a ball" in caplog.text
