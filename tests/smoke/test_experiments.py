"""Every experiment, whole: fit, test, checkpoint, reload, on the repository's own faces."""

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest

from facegeo.paths import conf_dir

ROOT = Path(__file__).parents[2]
EXPERIMENTS = sorted(
    str(path.relative_to(conf_dir() / "experiment").with_suffix(""))
    for path in (conf_dir() / "experiment").rglob("*.yaml")
)


def command(name: str, *arguments: str) -> None:
    """Run a command as a user types it, from the repository's folder."""
    call = f"from facegeo.cli.{name} import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", call, *arguments], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


RESNET = (["data=fixture", "data.batch_size=4"], "test/stage1/error_pct", 1)
KINDS = {  # an experiment or a folder of them: its fixture, a number it gives, its checkpoints
    "ccnn/resnet18": RESNET,
    "ccnn/resnet34": RESNET,
    "ccnn": (["data=fixture"], "test/stage3/error_pct", 3),
    "casfne": (["data=fixture_sessions", "data.size=32"], "test/t2/mean_deg", 1),
}


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_experiment_fits_tests_and_reloads_to_the_same_numbers(
    experiment: str, tmp_path: Path
) -> None:
    data, number, stages = KINDS.get(experiment, KINDS[experiment.split("/")[0]])
    common = [*data, f"data.cache_dir={tmp_path / 'cache'}", f"out={tmp_path}"]
    command("train", f"experiment={experiment}", "trainer=smoke", *common, "name=trained")
    command("eval", f"checkpoint={tmp_path / 'trained'}", *common, "name=reloaded")
    trained, reloaded = (
        json.loads((tmp_path / name / "metrics.json").read_text())
        for name in ("trained", "reloaded")
    )
    tested = {key: value for key, value in trained.items() if key.startswith("test/")}
    assert reloaded == tested
    assert math.isfinite(tested[number])  # four steps teach nothing yet
    checkpoints = list((tmp_path / "trained" / "checkpoints").rglob("last.ckpt"))
    assert len(checkpoints) == stages
