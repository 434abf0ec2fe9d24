"""Sweeps as users start them: ``facegeo-train -m``, in processes of their own."""

import importlib.util
import json
import multiprocessing
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from omegaconf import DictConfig

from facegeo.errors import UserError
from facegeo.files.writing import TakenError, locked
from facegeo.runs.folder import run_folder
from facegeo.runs.sweep import job

SWEEP = ["-m", "data.augment.shake_sigma=0.0,0.01", "seed=0,1", "study=mine", "splits=[val]"]
Sweep = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def command(tiny_overrides: list[str]) -> list[str]:
    """What starts ``facegeo-train`` on tiny faces: the script, which DDP starts again."""
    return [str(Path(sys.executable).with_name("facegeo-train")), *tiny_overrides]


@pytest.fixture
def sweep(command: list[str], tmp_path: Path) -> Sweep:
    """Run a sweep into ``tmp_path``; returns its output."""

    def start(*words: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [*command, *words, f"out={tmp_path}"], cwd=tmp_path, capture_output=True, text=True
        )

    return start


def metrics(study: Path) -> dict[str, dict[str, float]]:
    """Numbers of every finished run, by the name of its folder."""
    return {f.parent.name: json.loads(f.read_text()) for f in study.glob("*/metrics.json")}


@pytest.mark.slow
@pytest.mark.ci
def test_a_sweep_is_planned_trained_once_reported_and_not_repeated(
    sweep: Sweep, tmp_path: Path
) -> None:
    listed = sweep(*SWEEP, "dry_run=true")
    assert listed.returncode == 0, listed.stderr
    assert listed.stdout.count("  to do ") == 4
    assert not (tmp_path / "mine").exists()
    first = sweep(*SWEEP)
    assert first.returncode == 0, first.stderr
    assert "4 jobs: 4 done" in first.stdout
    assert first.stdout.count("Mean over images") == 1  # one table of all runs, none of each
    assert len(metrics(tmp_path / "mine")) == 4
    planned = {file.parent.name for file in tmp_path.glob("mine/*/planned.json")}
    assert planned == {*metrics(tmp_path / "mine")}
    assert {file.suffix for file in (tmp_path / "mine").glob("report.*")} >= {".html", ".csv"}
    written = {file: file.stat().st_mtime_ns for file in tmp_path.rglob("stage?.safetensors")}
    assert "4 jobs: 4 to measure" in sweep(*SWEEP[:-1], "dry_run=true").stdout  # on test faces
    second = sweep(*SWEEP)
    assert "4 jobs: 4 done before" in second.stdout
    faces = Path(__file__).parents[1] / "fixtures" / "landmarks"
    third = sweep(*SWEEP, "+data@also_on.others=fixture", f"also_on.others.root={faces}")
    assert "4 jobs: 4 done\n" in third.stdout, third.stderr
    again = ["+data@also_on.others=fixture", f"also_on.others.root={faces}"]
    assert "4 jobs: 4 done before" in sweep(*SWEEP, *again).stdout
    assert "4 jobs: 4 done\n" in sweep(*SWEEP, *again, "also_on.others.title=x").stdout
    assert all("others/stage3/error_pct" in found for found in metrics(tmp_path / "mine").values())
    assert {file: file.stat().st_mtime_ns for file in tmp_path.rglob("stage?.safetensors")} == (
        written
    )


def test_runs_of_a_study_reuse_identical_trainings(sweep: Sweep, tmp_path: Path) -> None:
    """Stage 1 does not depend on the windows of stage 2."""
    sizes = "model.stages.stage2.sizes=[0.16,0.18],[0.2,0.24]"
    done = sweep("-m", sizes, "model.count=2", "study=windows", "splits=[val]")
    assert done.returncode == 0, done.stderr
    shared = [json.loads(f.read_text())["shared"] for f in tmp_path.glob("windows/*/record.json")]
    assert sorted(map(list, shared)) == [[], ["stage1"]]
    first, second = metrics(tmp_path / "windows").values()
    assert first["val/stage1/error_pct"] == second["val/stage1/error_pct"]
    assert first["val/stage2/error_pct"] != second["val/stage2/error_pct"]


def test_a_failed_job_stops_no_other_and_shows_in_the_exit_code(
    sweep: Sweep, tmp_path: Path
) -> None:
    done = sweep("-m", "task.optimizer.lr=-1.0,0.001", "study=rates", "splits=[val]")
    assert done.returncode == 1
    assert "2 jobs: 1 failed, 1 done" in done.stdout
    assert "Invalid learning rate: -1.0" in done.stdout.replace("\n", " ")
    assert len(metrics(tmp_path / "rates")) == 1
    records = [json.loads(f.read_text()) for f in tmp_path.glob("rates/*/record.json")]
    assert sorted(record["status"] for record in records) == ["done", "failed"]


def hold(path: Path, held: "multiprocessing.synchronize.Event") -> None:
    with locked(path):
        held.set()
        time.sleep(60)


def test_a_lock_keeps_other_processes_out_until_its_own_dies(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    held = context.Event()
    process = context.Process(target=hold, args=(tmp_path / "lock", held))
    process.start()
    assert held.wait(30)
    with pytest.raises(TakenError, match=f"process {process.pid}"), locked(tmp_path / "lock"):
        pass
    process.kill()
    process.join()
    with locked(tmp_path / "lock"):
        pass


@pytest.mark.slow
@pytest.mark.ci
def test_two_sweeps_at_once_share_the_jobs(
    sweep: Sweep, command: list[str], tmp_path: Path
) -> None:
    words = [*command, *SWEEP, f"out={tmp_path}"]
    other = subprocess.Popen(words, cwd=tmp_path, stdout=subprocess.DEVNULL)
    mine = sweep(*SWEEP)
    assert (mine.returncode, other.wait()) == (0, 0)
    records = [json.loads(f.read_text()) for f in tmp_path.glob("mine/*/record.json")]
    assert [(r["status"], r["sessions"]) for r in records] == [("done", 1)] * 4


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["joblib", "submitit_local", "ray"])
def test_every_launcher_gives_the_same_numbers(launcher: str, sweep: Sweep, tmp_path: Path) -> None:
    pytest.importorskip(f"hydra_plugins.hydra_{launcher.removesuffix('_local')}_launcher")
    assert sweep(*SWEEP, "study=basic").returncode == 0
    done = sweep(*SWEEP, f"study={launcher}", f"hydra/launcher={launcher}")
    assert done.returncode == 0, done.stderr
    assert metrics(tmp_path / launcher) == metrics(tmp_path / "basic") != {}


@pytest.mark.slow
def test_processes_of_ddp_do_not_start_the_sweep_again(sweep: Sweep, tmp_path: Path) -> None:
    words = ["trainer=ddp", "trainer.devices=2", "splits=[val]"]
    single = sweep(*words, "name=alone")
    assert single.returncode == 0, single.stderr
    done = sweep("-m", *words, "study=many", "seed=0,1")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Launching 2 jobs") + done.stderr.count("Launching 2 jobs") == 1
    alone = json.loads((tmp_path / "alone" / "metrics.json").read_text())
    assert alone in metrics(tmp_path / "many").values()


@pytest.mark.slow
def test_a_sweep_killed_ten_times_ends_as_an_unbroken_one(
    sweep: Sweep, command: list[str], tmp_path: Path
) -> None:
    """Also with files that may not grow beyond a size for a while, as on a full disk."""
    begun = time.monotonic()
    assert sweep(*SWEEP, "study=whole").returncode == 0
    took = time.monotonic() - begun
    words = [*command, *SWEEP, "study=broken", f"out={tmp_path / 'broken'}"]
    moments = random.Random(0)
    for _ in range(10):
        process = subprocess.Popen(
            words, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        time.sleep(moments.uniform(0.2, 1.0) * took * 0.7)
        process.send_signal(signal.SIGKILL)
        process.wait()
    full = subprocess.run(
        ["sh", "-c", 'ulimit -f 4 && exec "$@"', "sh", *words, "seed=0,1,2"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert full.returncode != 0
    assert "File too large" in full.stdout + full.stderr
    last = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True)
    assert last.returncode == 0, last.stderr
    broken = tmp_path / "broken" / "broken"
    assert {name: metrics(broken).get(name) for name in metrics(tmp_path / "whole")} == (
        metrics(tmp_path / "whole")
    )
    assert not list(broken.rglob(".*.json.*"))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["ablation=ccnn/shake"], "add -m to run them all"),
        (["-m", "objective=test/stage1/error_pct"], "a search must not see the test faces"),
        (["-m", "hydra/launcher=ray"], "pip install 'facegeo[ray]'"),
        (["-m", "data.augment.flip=0.5,3", "study=s"], "data.augment.flip must be less than or"),
    ],
)
def test_mistakes_fail_before_training(
    words: list[str], message: str, sweep: Sweep, tmp_path: Path
) -> None:
    if "hydra/launcher=ray" in words and importlib.util.find_spec("ray"):
        pytest.skip("Ray is installed")
    done = sweep(*words)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.rglob("config.json"))


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("seed=abc", r"seed must be a whole number from 0 to 2\^32 - 1, got 'abc'"),
        ("seed=-1", "seed must be a whole number from 0"),
        ("splits=val", r"splits must be a list of val and test, such as \[val\], got val"),
        ("about=hello", "about must hold keys such as question"),
        ("about={rows: stage1}", r"about\.rows must be a list such as"),
        ("+trainer.max_steps=2", r"trainer\.max_steps is set by the training itself: lengths are"),
    ],
)
def test_job_refuses_invalid_settings(
    word: str, message: str, tiny_config: Callable[..., DictConfig], tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=message):
        job(tiny_config(word, f"out={tmp_path}"))


def test_named_run_of_a_study_is_in_its_folder(tiny_config: Callable[..., DictConfig]) -> None:
    assert run_folder(tiny_config("study=mine", "name=a", "out=runs")) == Path("runs/mine/a")


OUTSIDE = ["../x", "/tmp/x", "", ".", "a/../../x", "shared", "sweeps/x"]


@pytest.mark.parametrize(
    ("word", "message"),
    [
        *((f"name='{name}'", "name must be that of a new folder in runs") for name in OUTSIDE),
        *((f"study='{name}'", "study") for name in OUTSIDE if name not in (".", "a/../../x")),
        ("out=null", r"out must be a folder \(a number in quotes\), got None"),
        ("out=5", r"out must be a folder \(a number in quotes\), got 5"),
    ],
)
def test_run_folder_refuses_places_outside_out_and_reserved_ones(
    word: str, message: str, tiny_config: Callable[..., DictConfig]
) -> None:
    with pytest.raises(UserError, match=message):
        run_folder(tiny_config("out=runs", word))
