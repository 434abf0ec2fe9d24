"""Generators of normals in ONNX."""

from pathlib import Path

import numpy as np
import pytest
import torch

from facegeo.export.onnx_model import OnnxNormals
from facegeo.export.parity import noise_scenes
from facegeo.export.programs import file_metadata, onnx_bytes
from facegeo.normals.baselines import CARN
from facegeo.normals.export import NormalsForm
from facegeo.normals.generator import CasFNE


def written(path: Path, form: NormalsForm) -> OnnxNormals:
    pytest.importorskip("onnxscript", reason="exports need the extra 'export'")
    pytest.importorskip("onnxruntime", reason="exports need the extra 'export'")
    texts = file_metadata(form, "fp32", {}, path.with_suffix(".md"))
    path.write_bytes(onnx_bytes(form.program(), form.inputs, form.outputs, texts))
    return OnnxNormals(path)


def difference(form: NormalsForm, exported: OnnxNormals) -> tuple[float, float]:
    def run(images: torch.Tensor) -> list[torch.Tensor]:
        return [torch.from_numpy(stage) for stage in exported(images.numpy())]

    mean, worst = form.compare(run, "noise", noise_scenes()[:2]).figures
    assert mean is not None
    assert worst is not None
    return mean, worst


def images(count: int, height: int, width: int) -> torch.Tensor:
    return torch.rand(count, 3, height, width, generator=torch.Generator().manual_seed(0))


def test_normals_of_any_size_and_number(tmp_path: Path) -> None:
    torch.manual_seed(0)
    generator = CARN(width=4).eval()
    exported = written(tmp_path / "a.onnx", NormalsForm(generator))
    for shape in ((1, 32, 64), (3, 96, 32)):
        with torch.no_grad():
            wanted = generator(images(*shape))
        (got,) = exported(images(*shape).numpy())
        np.testing.assert_allclose(got, wanted[0].numpy(), atol=1e-5)
    assert exported.metadata["frame"] == "x right, y up, z to the camera"
    assert exported.metadata["card"] == "none"


def test_half_precision_is_near_and_answers_in_single(tmp_path: Path) -> None:
    torch.manual_seed(0)
    generator = CARN(width=4).eval()
    form = NormalsForm(generator, "fp16", size=64)
    exported = written(tmp_path / "a.onnx", form)
    (got,) = exported(images(2, 64, 64).numpy())
    assert got.dtype == np.float32
    assert 0 < difference(form, exported)[0] < 0.2


def test_a_file_says_how_its_photos_are_coded() -> None:
    for notes, coding in (({"coding": "linear"}, "linear"), ({"data": "Photoface"}, "unknown")):
        assert NormalsForm(torch.nn.Identity(), notes=notes).texts["coding"].startswith(coding)


@pytest.mark.slow
@pytest.mark.parametrize("size", [64, None])
def test_cas_fne_with_its_refinements(size: int | None, tmp_path: Path) -> None:
    torch.manual_seed(0)
    form = NormalsForm(CasFNE(1).eval(), t=2, size=size)
    exported = written(tmp_path / "a.onnx", form)
    assert len(exported(images(1, 64, 64).numpy())) == 3
    assert difference(form, exported)[1] < 1e-4
