from pathlib import Path

import pytest
import torch
from facegeo.predict.loading import load_normals

from facegeo.normals.fast import FastCasFNE
from facegeo.normals.generator import CasFNE
from facegeo.predict import loading
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
    ("normals", "name"),
    [(True, "casfne-faces"), ("true", "casfne-faces"), (False, None), (None, None), ("a", "a")],
)
def test_true_is_the_released_model_of_normals(
    normals: str | bool | None, name: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []
    monkeypatch.setattr(loading, "load_normals", lambda name, device: asked.append(name))
    monkeypatch.setattr(loading, "load_points", lambda name, device: None)
    loading.load("ccnn-lfpw", normals=normals, device="cpu")
    assert asked == ([] if name is None else [name])
