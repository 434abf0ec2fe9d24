"""Every experiment, whole: fit, test, checkpoint, reload, on the repository's own faces."""

import json
import math
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from facegeo.files.shipped import conf_dir

ROOT = Path(__file__).parents[2]
EXPERIMENTS = sorted(
    str(path.relative_to(conf_dir() / "experiment").with_suffix(""))
    for path in (conf_dir() / "experiment").rglob("*.yaml")
)


def command(name: str, *arguments: str) -> None:
    """Run a command as a user types it, from the repository's folder."""
    done = run(name, *arguments)
    assert done.returncode == 0, done.stderr


def run(name: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    call = f"from facegeo.cli.{name} import main; main()"
    return subprocess.run(
        [sys.executable, "-c", call, *arguments], cwd=ROOT, capture_output=True, text=True
    )


RESNET = (["data=fixture", "data.batch_size=4"], "test/stage1/error_pct", 1)
KINDS = {  # an experiment or a folder of them: its fixture, a number it gives, its checkpoints
    "ccnn/resnet18": RESNET,
    "ccnn/resnet34": RESNET,
    "ccnn": (["data=fixture"], "test/stage3/error_pct", 3),
    "casfne": (["data=fixture_sessions", "data.size=32"], "test/t2/mean_deg", 1),
}


JOINED = [name for name in EXPERIMENTS if name.startswith("casfne/ingredients/")]
"""Those that say which share of a batch is people and which is renders."""


@pytest.mark.parametrize("experiment", sorted({*EXPERIMENTS} - {*JOINED}))
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


@pytest.mark.parametrize("experiment", JOINED)
def test_experiment_on_people_and_renders_fits_and_is_measured(
    experiment: str, sculptures: SimpleNamespace, tmp_path: Path
) -> None:
    stored = ROOT / "tests" / "fixtures" / "sessions"
    words = [f"data.root={sculptures.root}", "data.size=32", "trainer=smoke", f"out={tmp_path}"]
    words += ["data.parts.people.val=[yaleB04]", "data.parts.people.test=[yaleB02,yaleB05]"]
    for part in ("people", "portraits", "ict"):
        words.append(f"data.parts.{part}.cache_dir={tmp_path / 'cache'}")
    for part in ("portraits", "ict"):
        words += [f"data.parts.{part}.root={stored}", f"data.parts.{part}.prepare=null"]
    command("train", f"experiment={experiment}", *words, "splits=[val]", "name=trained")
    results = json.loads((tmp_path / "trained" / "metrics.json").read_text())
    assert math.isfinite(results["val/t2/mean_deg"])
    assert "val/t2/normals_used_deg" in results


def test_people_under_many_lamps_are_prepared_trained_on_and_measured(
    sculptures: SimpleNamespace, tmp_path: Path
) -> None:
    common = ["data=yaleb", f"data.root={sculptures.root}", f"data.cache_dir={tmp_path / 'cache'}"]
    common += ["data.size=32", "data.val=[yaleB04]", "data.test=[yaleB02,yaleB05]"]
    common += [f"out={tmp_path}"]
    command("train", "experiment=casfne/smoke", "trainer=smoke", *common, "name=trained")
    command("eval", f"checkpoint={tmp_path / 'trained'}", *common, "name=reloaded")
    trained, reloaded = (
        json.loads((tmp_path / name / "metrics.json").read_text())
        for name in ("trained", "reloaded")
    )
    assert reloaded == {k: value for k, value in trained.items() if k.startswith("test/")}
    for name in ("test/t2/mean_deg", "test/mixtures/t2/mean_deg", "test/yaleB05/lt22.5_pct"):
        assert math.isfinite(reloaded[name])
    seen = "data.test=[yaleB01]"
    done = run("eval", f"checkpoint={tmp_path / 'trained'}", *common, seen, "name=seen")
    assert done.returncode == 2
    assert "was trained on yaleB01 of the test split" in done.stderr


def test_people_and_portraits_train_one_model_that_another_training_starts_from(
    sculptures: SimpleNamespace, tmp_path: Path
) -> None:
    people = [f"data.root={sculptures.root}", "data.size=32", f"out={tmp_path}"]
    cache = f"={tmp_path / 'cache'}"
    split = ["val=[yaleB04]", "test=[yaleB02,yaleB05]"]
    joined = [f"data.parts.people.{one}" for one in (f"cache_dir{cache}", *split)]
    joined += [f"data.parts.portraits.cache_dir{cache}", "data.parts.portraits.prepare.train=3"]
    joined += [f"data.parts.portraits.root={tmp_path / 'portraits'}", "trainer=smoke", *people]
    command("train", "experiment=casfne/faces", *joined, "name=first")
    single = ["data=yaleb", f"data.cache_dir{cache}", *(f"data.{one}" for one in split), *people]
    command("eval", f"checkpoint={tmp_path / 'first'}", *single, "name=reloaded")
    trained, reloaded = (
        json.loads((tmp_path / name / "metrics.json").read_text()) for name in ("first", "reloaded")
    )
    assert reloaded == {k: value for k, value in trained.items() if k.startswith("test/")}
    more = [f"procedure.weights={tmp_path / 'first'}", "name=second"]
    command("train", "experiment=casfne/faces", *joined, *more)
    seen = [
        "data.parts.people.test=[yaleB01]",
        "name=third",
        f"procedure.weights={tmp_path / 'second'}",
    ]
    done = run("train", "experiment=casfne/faces", *joined, *seen)
    assert done.returncode == 2
    assert "was trained on yaleB01, who are held out here" in done.stderr
