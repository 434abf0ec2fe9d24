"""When weights may be shared: every setting that shapes them must change their key."""

import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import pytest
from hydra.utils import instantiate
from omegaconf import DictConfig

import facegeo
from facegeo.errors import UserError
from facegeo.landmarks.data import LFPWDataModule
from facegeo.normals.data import NormalDataModule
from facegeo.normals.photoface import PhotofaceDataModule
from facegeo.runs.folder import claim, plain
from facegeo.runs.reuse import SHAPING, weight_keys

Compose = Callable[..., DictConfig]
NORMALS = ["experiment=casfne/short", "data=fixture_sessions", "procedure.steps=100"]


def keys(config: Compose, *overrides: str, content: str = "a") -> dict[str, str]:
    return weight_keys(plain(config(*overrides)), content, LFPWDataModule.weight_parts)


@pytest.mark.parametrize(
    "override",
    [
        "seed=1",
        "data.batch_size=6",
        "data.fit_val=true",
        "data.val_fraction=0.5",
        "data.split_seed=1",
        "data.augment.shake_sigma=0.5",
        "task.optimizer.lr=0.5",
        "trainer.precision=bf16-mixed",
        "trainer.devices=2",
        "+trainer.strategy=ddp",
        "model.stages.stage1.label=image",
        "model.stages.stage1.net.dropout=0.5",
        "procedure.steps.stage1=5",
        "procedure.max_steps=5",
    ],
)
def test_settings_of_stage_1_change_the_keys_of_all_stages(
    override: str, tiny_config: Compose
) -> None:
    before, after = keys(tiny_config), keys(tiny_config, override)
    assert [before[name] != after[name] for name in before] == [True, True, True]


@pytest.mark.parametrize(
    "override",
    [
        "model.stages.stage3.sizes=[0.1,0.2]",
        "procedure.steps.stage3=5",
        "+procedure.steps.stage4=5",
    ],
)
def test_stages_before_a_change_keep_their_keys(override: str, tiny_config: Compose) -> None:
    before, after = keys(tiny_config), keys(tiny_config, override)
    assert (before["stage1"], before["stage2"]) == (after["stage1"], after["stage2"])


def test_anchors_do_not_change_the_key_of_stage_1(tiny_config: Compose) -> None:
    before, after = keys(tiny_config), keys(tiny_config, "data.anchors=gt")
    assert [before[name] == after[name] for name in before] == [True, False, False]


@pytest.mark.parametrize(
    "override",
    ["study=s", "out=elsewhere", "data.title=T", "procedure.max_steps=1000", "model.count=2"],
)
def test_settings_that_do_not_affect_weights_change_no_key(
    override: str, tiny_config: Compose
) -> None:
    before, after = keys(tiny_config), keys(tiny_config, override)
    assert {name: before[name] for name in after} == after


def test_other_data_change_every_key(tiny_config: Compose) -> None:
    assert not set(keys(tiny_config).values()) & set(keys(tiny_config, content="b").values())


@pytest.fixture
def normals(plain_config: Compose) -> Callable[..., str]:
    """The key of a generator."""

    def key(*overrides: str, content: str = "a") -> str:
        config = plain(plain_config(*NORMALS, *overrides))
        return weight_keys(config, content, NormalDataModule.weight_parts)["generator"]

    return key


@pytest.mark.parametrize(
    "override",
    ["procedure.max_steps=4", "seed=1", "model.t=1", "task.weights.adv=0", "data.size=32"],
)
def test_settings_of_a_generator_change_its_key(override: str, normals: Callable[..., str]) -> None:
    assert normals() != normals(override)
    assert normals() == normals("procedure.max_steps=100", "study=s", "data.coding=srgb")
    assert normals() != normals(content="b")


def test_foreign_callbacks_change_the_key(normals: Callable[..., str]) -> None:
    panels = "procedure.callbacks=[{_target_: facegeo.normals.panels.Panels}]"
    averaging = "procedure.callbacks=[{_target_: lightning.pytorch.callbacks.WeightAveraging}]"
    assert normals("procedure.callbacks=[]") == normals(panels) == normals()
    assert normals(averaging) != normals()


def test_first_weights_count_by_content(normals: Callable[..., str], tmp_path: Path) -> None:
    file = tmp_path / "weights.pth"
    file.write_bytes(b"one")
    before = normals(f"procedure.weights={file}")
    file.write_bytes(b"two")
    assert normals(f"procedure.weights={file}") != before


def test_other_normals_are_other_data(plain_config: Compose, tmp_path: Path) -> None:
    root = tmp_path / "sessions"
    shutil.copytree(Path(__file__).parents[1] / "fixtures" / "sessions", root)
    words = ["data=fixture_sessions", f"data.root={root}", f"data.cache_dir={tmp_path / 'cache'}"]
    words.append("data.size=32")
    data: PhotofaceDataModule = instantiate(plain_config(*words).data)
    before = data.content()
    assert instantiate(plain_config(*words).data).content() == before
    file = sorted(root.rglob("sn_c.png"))[0]
    pixels = cv2.imread(str(file))
    cv2.imwrite(str(file), pixels[:, ::-1].copy())
    assert instantiate(plain_config(*words).data).content() != before


def test_code_that_shapes_weights_is_where_keys_look_for_it() -> None:
    package = Path(facegeo.__file__).parent
    assert all(any((package / part).glob("*.py")) for part in SHAPING)
    assert {"geometry", "landmarks", "normals", "training"} <= {*SHAPING}


def test_start_without_work_does_not_block_its_name(tmp_path: Path) -> None:
    (tmp_path / "split.json").write_text("of somebody else")
    claim(tmp_path, {"seed": 0})
    assert (tmp_path / "split.json").exists()
    claim(tmp_path, {"seed": 1})
    assert not (tmp_path / "split.json").exists()
    (tmp_path / "checkpoints" / "stage1").mkdir(parents=True)
    (tmp_path / "checkpoints" / "stage1" / "last.ckpt").touch()
    claim(tmp_path, {"seed": 1})
    with pytest.raises(UserError, match=r"seed: 1 there, 2 now"):
        claim(tmp_path, {"seed": 2})
