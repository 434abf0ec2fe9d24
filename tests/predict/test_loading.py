from pathlib import Path

import pytest
import torch

from facegeo.normals.fast import FastCasFNE
from facegeo.normals.generator import CasFNE
from facegeo.predict import predictor
from facegeo.predict.normals import load_normals
from facegeo.predict.predictor import load
from facegeo.training.model_file import MODEL, save_model


def test_a_generator_runs_in_its_fast_form_with_equal_outputs(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = CasFNE(t=1).eval()
    config = {"_target_": "facegeo.normals.generator.CasFNE", "t": 1}
    save_model(tmp_path / MODEL, model, config, {"size": 64})
    loaded = load_normals(tmp_path, "cpu").generate
    assert isinstance(loaded, FastCasFNE)
    faces = torch.rand(2, 3, 64, 64)
    with torch.inference_mode():
        for one, other in zip(loaded(faces), model(faces), strict=True):
            torch.testing.assert_close(one, other, atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    ("normals", "name"), [(True, "casfne-faces"), ("true", "casfne-faces"), ("gone", "gone")]
)
def test_true_is_the_released_model_of_normals(
    normals: str | bool, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []
    monkeypatch.setattr(predictor, "load_normals", lambda name, device: asked.append(name))
    load("ccnn-lfpw", normals=normals, device="cpu")
    assert asked == [name]
    assert load("ccnn-lfpw", normals=False, device="cpu").find_normals is None
