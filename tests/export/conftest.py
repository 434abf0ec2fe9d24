"""One small cascade, exported once by the command."""

import contextlib
import io
from pathlib import Path
from typing import Any

import pytest
import torch
from hydra.utils import instantiate

from facegeo.cli.export import main
from facegeo.landmarks.nets import Cascade
from facegeo.training.model_file import save_model

FIXTURES = Path(__file__).parents[1] / "fixtures" / "landmarks"
NAMES = ["LE", "RE", "N", "LM", "RM"]
NET = {"input_size": 15, "channels": [4, 4], "kernels": [4, 3], "hidden": 8}
CONFIG: dict[str, Any] = {
    "_target_": "facegeo.landmarks.nets.Cascade",
    "stages": {
        "stage1": {
            "_target_": "facegeo.landmarks.nets.BoxStage",
            "nets": {
                "F1": {"region": [-0.05, 1.05, -0.05, 1.05], "points": NAMES},
                "EN1": {"region": [-0.05, 1.05, -0.04, 0.84], "points": NAMES[:3]},
            },
            "net": NET,
        },
        "stage2": {"_target_": "facegeo.landmarks.nets.PointStage", "sizes": [0.2], "net": NET},
    },
}
NOTES = {"seed": 3, "results": {"test/stage2/error_pct": 1.5}}


@pytest.fixture(scope="session")
def small_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Cascade]:
    """A run's folder with a small cascade of random weights."""
    torch.manual_seed(0)
    cascade = instantiate(CONFIG).eval()
    for stage in cascade.by_name().values():  # points in the box, as trained nets have them
        stage.bank.fc2_weight.data *= 0.2
        stage.bank.fc2_bias.data.fill_(0.5)
    folder = tmp_path_factory.mktemp("runs") / "small"
    save_model(folder / "model.safetensors", cascade, CONFIG, NOTES)
    (folder / "model.md").write_text("# small: a test's own")
    return folder, cascade


@pytest.fixture(scope="session")
def data_overrides(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The repository's generated faces."""
    cache = tmp_path_factory.mktemp("cache")
    return ["data=lfpw", f"data.root={FIXTURES}", f"data.cache_dir={cache}"]


@pytest.fixture(scope="session")
def cascade(small_checkpoint: tuple[Path, Cascade]) -> Cascade:
    """The network in it."""
    return small_checkpoint[1]


@pytest.fixture(scope="session")
def exported(
    small_checkpoint: tuple[Path, Cascade],
    data_overrides: list[str],
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Path, str]:
    """The small cascade in ONNX, fp32, and what the command printed."""
    pytest.importorskip("onnxscript", reason="exports need the extra 'export'")
    pytest.importorskip("onnxruntime", reason="exports need the extra 'export'")
    here, said = tmp_path_factory.mktemp("here"), io.StringIO()
    words = [f"checkpoint={small_checkpoint[0]}", *data_overrides]
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(said):
        patch.chdir(here)
        patch.setenv("COLUMNS", "100")
        patch.setattr("sys.argv", ["facegeo-export", *words])
        main()
    return here / "small.onnx", said.getvalue()


@pytest.fixture(scope="session")
def onnx_file(exported: tuple[Path, str]) -> Path:
    """The small cascade in ONNX, fp32."""
    return exported[0]
