"""The command: what it prints and keeps, and the options it refuses."""

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from torch import Tensor

from facegeo.cli.export import main
from facegeo.errors import UserError
from facegeo.export import job
from facegeo.export.job import Order, export_model
from facegeo.export.parity import check_parity, noise_scenes
from facegeo.export.programs import load_program
from facegeo.files.shipped import conf_dir
from facegeo.landmarks.data import LFPWDataModule
from facegeo.landmarks.export import CascadeForm
from facegeo.landmarks.nets import Cascade
from facegeo.normals.baselines import CARN
from facegeo.normals.export import NormalsForm
from facegeo.training.model_file import load_model, save_model
from facegeo.training.wing import Difference, ExportForm, WingData

CARN_CONFIG = {"_target_": "facegeo.normals.baselines.CARN", "width": 4}


@pytest.fixture
def data(data_overrides: list[str]) -> LFPWDataModule:
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        cfg = compose("export", ["checkpoint=none", *data_overrides])
    module: LFPWDataModule = instantiate(cfg.data)
    return module


@pytest.fixture
def carn(tmp_path: Path) -> Path:
    """A small generator of normals."""
    path = tmp_path / "carn.safetensors"
    save_model(path, CARN(width=4), CARN_CONFIG, {})
    return path


def test_the_command_prints_how_far_the_file_is_from_pytorch(exported: tuple[Path, str]) -> None:
    file, said = exported
    assert [path.name for path in file.parent.glob("[!o]*")] == ["small.onnx"]  # no trial left
    rows = {line.split()[0]: line.split() for line in said.splitlines() if line.strip()}
    assert rows["noise"][1] == "16"
    assert 0 < float(rows["noise"][3]) < 1e-3
    *_, count, _, worst, error, exported_error = rows["LFPW"]
    assert count == "8"
    assert float(worst) < 1e-3
    assert error == exported_error
    assert rows["wrote"][1] == "small.onnx"


def test_a_model_that_came_out_different_is_not_kept(
    exported: tuple[Path, str],
    small_checkpoint: tuple[Path, Cascade],
    data: LFPWDataModule,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    file = exported[0].read_bytes()
    monkeypatch.setattr(CascadeForm, "program", lambda _: None)  # made once, which takes long
    monkeypatch.setattr(job, "onnx_bytes", lambda *_: file)
    output = tmp_path / "points.onnx"
    output.write_text("an earlier one")
    limits = dict.fromkeys(("fp32", "fp16"), (-1.0, "px"))
    monkeypatch.setattr(CascadeForm, "limits", limits)
    for precision in ("fp32", "fp16"):
        with pytest.raises(UserError, match=r"differs from PyTorch's on noise by .* allowed is -1"):
            export_model(Order(str(small_checkpoint[0]), "onnx", precision, output=output), data)
    assert [path.name for path in tmp_path.glob("*points*")] == ["points.onnx"]
    assert output.read_text() == "an earlier one"


def test_an_impossible_output_is_reported_before_the_work(
    small_checkpoint: tuple[Path, Cascade],
    data: LFPWDataModule,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def load(name: str) -> None:
        pytest.fail("a model was loaded")

    monkeypatch.setattr(job, "load_model", load)
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):  # the command explains it
        export_model(Order(str(small_checkpoint[0]), output=tmp_path / "file" / "x.onnx"), data)


def without_numbers_once(form: ExportForm) -> Callable[..., list[Tensor]]:
    """The form's own outputs, the first call's NaN."""
    calls = iter([np.nan, *[0.0] * 7])
    return lambda *inputs: [one + next(calls) for one in form.plain(*inputs)]


def test_one_image_without_numbers_is_not_lost_among_others(cascade: Cascade) -> None:
    for form in (NormalsForm(CARN(width=4).eval(), size=64), CascadeForm(cascade)):
        found = [form.compare(without_numbers_once(form), "faces", noise_scenes()[:2])]
        for precision in ("fp32", "fp16"):
            with pytest.raises(UserError, match="on faces by nan"):
                check_parity(found, precision, form)


def test_a_torn_image_is_named(data: LFPWDataModule, tmp_path: Path) -> None:
    shutil.copytree(data.root, tmp_path / "faces")
    data.root = tmp_path / "faces"
    (data.root / "test" / "000001.jpg").write_bytes(b"torn")
    with pytest.raises(UserError, match=r"000001\.jpg: wanted an image, got 4 bytes that are no"):
        list(data.scenes("test"))


def test_a_model_in_eight_bits_is_loaded_as_the_whole_one(
    small_checkpoint: tuple[Path, Cascade],
    carn: Path,
    data: LFPWDataModule,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for checkpoint, name in ((small_checkpoint[0], "c"), (carn, "n")):
        output = tmp_path / f"{name}.safetensors"
        export_model(Order(str(checkpoint), "model", output=output), data)
        whole, notes = load_model(checkpoint)
        stored, kept = load_model(output)
        assert kept == {**notes, "stored": "8 bits"}
        pairs = zip(stored.parameters(), whole.parameters(), strict=True)
        assert all(torch.allclose(a, b, atol=b.abs().max().item() / 250) for a, b in pairs)
    assert capsys.readouterr().out.count("against PyTorch") >= 2


@pytest.mark.slow
def test_a_cascade_and_normals_as_programs_of_torch(
    small_checkpoint: tuple[Path, Cascade], carn: Path, data: LFPWDataModule, tmp_path: Path
) -> None:
    path = export_model(
        Order(str(small_checkpoint[0]), "torch_export", "fp16", output=tmp_path / "c.pt2"), data
    )
    assert load_program(path)[1]["precision"] == "fp16"
    path = export_model(Order(str(carn), "torch_export", output=tmp_path / "n.pt2"), data)
    assert load_program(path)[1]["t"] == "0"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"format": "tflite"}, "format must be .*, got 'tflite'"),
        ({"format": "model", "precision": "fp16"}, "leave out precision, t and size"),
        ({"precision": "int8"}, "precision must be .*, got 'int8'"),
        ({"size": 100}, "size must be a multiple of 32, got 100"),
        ({"t": 1.5}, r"t must be .*, got 1\.5"),
        ({"t": -1}, "t must be .* 0, got -1"),
        ({"output": Path("/")}, "output=/ is a folder, wanted a file's name"),
        ({"output": Path("a.pt2")}, r"output=a\.pt2 must end in \.onnx with format=onnx"),
        ({"t": 1}, "t and size are for models of normals"),
    ],
)
def test_impossible_options_are_refused(
    small_checkpoint: tuple[Path, Cascade],
    data: LFPWDataModule,
    options: dict[str, Any],
    said: str,
) -> None:
    data.prepare = partial(pytest.fail, "data were made for an order that cannot be met")
    with pytest.raises(UserError, match=said):
        export_model(Order(str(small_checkpoint[0]), **options), data)


def test_refinements_of_a_generator_without_a_block_are_refused_before_the_work(
    carn: Path, data: LFPWDataModule
) -> None:
    data.prepare = partial(pytest.fail, "data were rendered for an export that cannot be done")
    with pytest.raises(UserError, match="t must be 0 for a model built without"):
        export_model(Order(str(carn), t=2), data)


def test_other_data_and_lists_that_are_not_there_are_refused_at_once(
    carn: Path, data: LFPWDataModule, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(NormalsForm, "program")  # the long work
    with pytest.raises(UserError, match="wanted data=lfpw or generated"):
        export_model(Order(str(carn)), WingData())
    data.root = tmp_path / "nowhere"
    with pytest.raises(UserError, match=r"set data\.root to the folder"):
        export_model(Order(str(carn)), data)


def test_models_that_find_something_else_are_refused(
    tmp_path: Path, data: LFPWDataModule, monkeypatch: pytest.MonkeyPatch
) -> None:
    depth = torch.nn.Identity()
    depth.finds = "depth"  # type: ignore[assignment]
    monkeypatch.setattr(job, "load_model", lambda name: (depth, {}))
    with pytest.raises(UserError, match=r"finds depth: .* Identity has no export_form"):
        export_model(Order("ccnn-lfpw", output=tmp_path / "x.onnx"), data)


def test_a_precision_that_a_model_does_not_have_is_refused(
    tmp_path: Path, data: LFPWDataModule, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(CascadeForm, "limits", {"fp32": (1e-3, "px at most")})
    order = Order("ccnn-lfpw", "torch_export", "fp16", output=tmp_path / "c.pt2")
    with pytest.raises(UserError, match=r"Cascade cannot be exported in fp16: .* fp32"):
        export_model(order, data)


def test_a_figure_that_is_missing_is_refused(cascade: Cascade) -> None:
    found = [Difference("noise", 1, (None, None))]
    with pytest.raises(UserError, match="on noise by nan"):
        check_parity(found, "fp32", CascadeForm(cascade))


def test_missing_libraries_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job, "find_spec", lambda name: None if name == "onnxscript" else name)
    with pytest.raises(UserError, match=r"needs onnxscript: pip install 'facegeo\[export\]'"):
        Order("ccnn-lfpw").check()
    Order("ccnn-lfpw", "torch_export").check()


def test_files_are_named_for_their_checkpoint(
    small_checkpoint: tuple[Path, Cascade], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = str(small_checkpoint[0])
    assert Order(folder, precision="fp16").path == Path("small-fp16.onnx")
    assert Order("ccnn-lfpw", "torch_export").path == Path("ccnn-lfpw.pt2")
    monkeypatch.chdir(folder)
    assert Order(".").path == Path("small.onnx")


def test_user_errors_end_the_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], data_overrides: list[str]
) -> None:
    words = ["facegeo-export", "checkpoint=ccnn-lfpw", "format=tflite", *data_overrides]
    monkeypatch.setattr("sys.argv", words)
    with pytest.raises(SystemExit, match="2"):
        main()
    error = capsys.readouterr().err
    assert "format must be 'onnx', 'torch_export' or 'model', got 'tflite'" in error
