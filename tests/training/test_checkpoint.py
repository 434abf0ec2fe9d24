import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hydra.utils import instantiate
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from facegeo.errors import UserError
from facegeo.landmarks.nets import Cascade
from facegeo.predict.predictor import RELEASED_NORMALS
from facegeo.training.model_file import (
    find_model,
    from_eight_bits,
    in_eight_bits,
    is_model,
    load_model,
    model_config,
    save_model,
)

NET = {"input_size": 15, "channels": [2, 2], "kernels": [4, 3], "hidden": 3}
CONFIG: dict[str, Any] = {
    "_target_": "facegeo.landmarks.nets.Cascade",
    "stages": {
        "stage1": {
            "_target_": "facegeo.landmarks.nets.BoxStage",
            "nets": {"F1": {"region": [0, 1, 0, 1], "points": ["LE", "RE", "N", "LM", "RM"]}},
            "net": NET | {"dropout": 0.5},
        },
        "stage2": {"_target_": "facegeo.landmarks.nets.PointStage", "sizes": [0.2], "net": NET},
    },
}
Edit = Callable[[dict[str, str]], object]


def crop(windows: Tensor, size: int) -> Tensor:
    """Crops that depend on where a net looks."""
    ticks = torch.arange(size) / size
    return torch.sin(windows.sum(dim=-1)[..., None, None, None] * (1 + ticks)).expand(
        -1, -1, 3, size, size
    )


def found(model: torch.nn.Module) -> Tensor:
    with torch.no_grad():
        return model(crop, torch.tensor([[0.5, 0.5, 0.7, 0.8]] * 3))  # type: ignore[no-any-return]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    path = tmp_path / "run" / "model.safetensors"
    save_model(path, instantiate(CONFIG), CONFIG, {"seed": 3, "results": {"a": 0.5}})
    return path


def edited(file: Path, edit: Edit) -> Path:
    """The same file with other metadata."""
    with safe_open(file, framework="pt") as opened:
        metadata = opened.metadata()
        tensors = {key: opened.get_tensor(key) for key in opened.keys()}  # noqa: SIM118
    edit(metadata)
    save_file(tensors, file, metadata)
    return file


def test_a_model_comes_back_bit_by_bit(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = instantiate(CONFIG).eval()
    save_model(tmp_path / "model.safetensors", model, CONFIG, {"seed": 3})
    torch.manual_seed(1)
    loaded, notes = load_model(tmp_path / "model.safetensors")
    assert isinstance(loaded, Cascade)
    assert not loaded.training
    assert notes == {"seed": 3}
    assert torch.equal(found(loaded), found(model))
    assert [path.name for path in tmp_path.iterdir()] == ["model.safetensors"]


def test_networks_of_sub_packages_and_their_parts_come_back(tmp_path: Path) -> None:
    package = "facegeo.normals.generator"
    config = {
        "_target_": f"{package}.CasFNE",
        "t": 1,
        "fusion": {"_target_": f"{package}.FMM", "_partial_": True},
    }
    model = instantiate(config).eval()
    save_model(tmp_path / "model.safetensors", model, config, {})
    loaded, _ = load_model(tmp_path)
    image = torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        pairs = zip(loaded(image, 2), model(image, 2), strict=True)
        assert all(torch.equal(found, wanted) for found, wanted in pairs)


def test_a_model_may_be_read_by_whoever_may_read_its_folders_files(file: Path) -> None:
    (file.parent / "other").touch()
    assert file.stat().st_mode == (file.parent / "other").stat().st_mode


def test_a_model_is_found_by_folder_file_and_released_name(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = found(load_model(file)[0])
    assert torch.equal(found(load_model(file.parent)[0]), wanted)
    monkeypatch.setattr("facegeo.training.model_file.RELEASED", tmp_path)
    file.rename(tmp_path / "ccnn-toy.safetensors")
    assert torch.equal(found(load_model("ccnn-toy")[0]), wanted)
    with pytest.raises(UserError, match=r"no model called ccnn-tory: .* released are ccnn-toy;"):
        load_model("ccnn-tory")


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[:-5],
        lambda data: data[:100],
        lambda data: b"",
        lambda data: b"\x80\x04\x95 a pickle",
        lambda data: b"\xff" * 8 + data[8:],
    ],
    ids=["short", "header-cut", "empty", "other-format", "wild-length"],
)
def test_a_damaged_file_is_refused(file: Path, damage: Callable[[bytes], bytes]) -> None:
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(UserError, match=r"model.safetensors is not a complete safetensors file \("):
        load_model(file)


def test_a_foreign_file_is_refused(tmp_path: Path) -> None:
    save_file({"weight": torch.zeros(3)}, tmp_path / "other.safetensors")
    message = "is not a model of facegeo: its format is None, wanted 'facegeo-model-2'"
    with pytest.raises(UserError, match=message):
        load_model(tmp_path / "other.safetensors")


def _with_config(change: Callable[[dict[str, Any]], object]) -> Edit:
    def edit(metadata: dict[str, str]) -> None:
        config = json.loads(metadata["model"])
        change(config)
        metadata["model"] = json.dumps(config)

    return edit


def _target(name: str) -> Edit:
    return _with_config(lambda config: config["stages"]["stage2"].update(_target_=name))


@pytest.mark.parametrize(
    "target",
    [
        "os.system",
        "facegeo.landmarks.nets.torch.os.system",
        "facegeo.landmarks.nets.torch.nn.Linear",
        "facegeo.landmarks.nets.nn.Linear",
        "facegeo.landmarks.nets.to_window",
        "facegeo.landmarks.nets.Sequence",
        "facegeo.models.nothing.Here",
        "os.models.Cascade",
        "facegeo.normals.generator.Cascade",
        "facegeo.training.model_file.save_model",
        "facegeo.landmarks.nets",
        "facegeo.normals.generator.torch.nn.Linear",
        "facegeo.normals.author_weights.load_author_generator",
    ],
)
def test_only_networks_of_the_package_are_built(file: Path, target: str) -> None:
    with pytest.raises(UserError, match=f"holds {target}: only these kinds are known"):
        load_model(edited(file, _target(target)))


@pytest.mark.parametrize("kind", ["os.system", "Linear", "cascade", "", None, ["Cascade"]])
def test_unknown_kinds_are_refused(file: Path, kind: object) -> None:
    with pytest.raises(UserError, match=r"a network of kind .*; known are Cascade, PointStage"):
        load_model(edited(file, _with_config(lambda c: c["stages"]["stage2"].update(kind=kind))))


def test_files_of_the_first_format_are_read(file: Path) -> None:
    wanted = found(load_model(file)[0])

    def age(metadata: dict[str, str]) -> None:
        config = json.loads(metadata["model"])
        for node in (config, *config["stages"].values()):
            node["_target_"] = f"facegeo.models.ccnn.{node.pop('kind')}"
        metadata.update(format="facegeo-model-1", model=json.dumps(config))

    assert torch.equal(found(load_model(edited(file, age))[0]), wanted)
    assert model_config(file)["kind"] == "Cascade"


def test_targets_in_lists_are_seen_too(file: Path) -> None:
    def hide(config: dict[str, Any]) -> None:
        config["stages"]["stage2"]["sizes"] = [[{"_target_": "os.getcwd"}]]

    with pytest.raises(UserError, match=r"holds os.getcwd: only these kinds are known"):
        load_model(edited(file, _with_config(hide)))


@pytest.mark.parametrize("value", ["${oc.env:HOME}", "${oc.create:{_target_:os.getcwd}}"])
def test_nothing_is_looked_up_for_a_file(file: Path, value: str) -> None:
    edit = _with_config(lambda config: config["stages"]["stage2"].update(mode=value))
    with pytest.raises(UserError, match="cannot build the model in"):
        load_model(edited(file, edit))


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda m: m.pop("model"), "does not say what model it holds"),
        (lambda m: m.update(model="{"), "does not say what model it holds"),
        (lambda m: m.update(notes="no"), "does not say what model it holds"),
        (lambda m: m.update(model="[]"), "holds a list, wanted a network"),
        (_with_config(lambda c: c.update(depth=3)), r"cannot build the model in (.|\n)*depth"),
        (
            _with_config(lambda c: c["stages"]["stage2"].update(sizes=[0.1, 0.2])),
            "the weights in .* do not fit its own model",
        ),
    ],
    ids=["no-model", "torn", "torn-notes", "no-network", "unknown-key", "other-shape"],
)
def test_a_file_that_contradicts_itself_is_refused(file: Path, edit: Edit, message: str) -> None:
    with pytest.raises(UserError, match=message):
        load_model(edited(file, edit))


def test_eight_bits_keep_each_weight_within_half_a_level(tmp_path: Path, file: Path) -> None:
    model, _ = load_model(file)
    small = tmp_path / "small.safetensors"
    save_model(small, model, CONFIG, {"seed": 3}, eight_bits=True)
    assert model_config(small) == model_config(file)
    loaded, notes = load_model(small)
    assert notes == {"seed": 3}
    for (name, before), after in zip(
        model.state_dict().items(), loaded.state_dict().values(), strict=True
    ):
        assert after.dtype == before.dtype
        if before.ndim < 2:
            assert torch.equal(after, before)
            continue
        level = before.flatten(1).abs().amax(dim=1) / 127
        off = (after - before).abs().flatten(1).amax(dim=1)
        assert (off <= 0.5001 * level).all(), name


def test_eight_bits_of_zeros_and_of_whole_numbers() -> None:
    tensors = {
        "w": torch.zeros(2, 3),
        "count": torch.arange(4).view(2, 2),
        "a.scale": torch.ones(2),
    }
    stored = in_eight_bits(tensors)
    assert stored["w"].dtype == torch.int8
    assert torch.equal(stored["count"], tensors["count"])
    again = from_eight_bits(stored)
    assert list(again) == list(tensors)  # a tensor of its own that ends in .scale stays
    assert all(torch.equal(again[name], tensors[name]) for name in tensors)


def test_is_model_accepts_models_only(file: Path, tmp_path: Path) -> None:
    save_file({"w": torch.zeros(1)}, tmp_path / "encoder.safetensors")
    (tmp_path / "torn.safetensors").write_bytes(b"torn")
    (tmp_path / "folder").mkdir()
    for model in (file, file.parent, "ccnn-lfpw"):
        assert is_model(model)
    for name in ("encoder.safetensors", "torn.safetensors", "folder", "none"):
        assert not is_model(tmp_path / name)


@pytest.mark.parametrize("name", ["ccnn-lfpw", RELEASED_NORMALS])
def test_released_models_load_and_have_a_card(name: str) -> None:
    model, notes = load_model(name)
    assert not model.training
    assert notes["results"]
    assert find_model(name).with_suffix(".md").read_text().startswith(f"# {name}: ")
    assert find_model(name).stat().st_size < 20e6
