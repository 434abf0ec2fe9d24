"""Each command from its command line to its outputs, and its messages for mistakes."""

import json
from collections.abc import Callable
from pathlib import Path
from shutil import copytree
from typing import Any

import cv2
import pytest

from facegeo.bench import generator, run

Command = Callable[..., Any]  # returns Ended of conftest.py
FACES = Path("tests/fixtures/landmarks").resolve()
PREDICT = ("predict", "input=x", "output=y")
BENCH = ("bench", "only=[casfne]", "casfne.size=32", "batches=[1]", "threads=[1]", "seconds=0")


def test_predict_a_folder_with_a_list_of_boxes(command: Command, tmp_path: Path) -> None:
    copytree(FACES / "test", tmp_path / "in")
    words = ["predict", f"input={tmp_path / 'in'}", f"output={tmp_path / 'out'}", "device=cpu"]
    words += ["detector=file", f"detector.path={FACES / 'testImageList.txt'}"]
    assert "8     8      0" in command(*words).out
    assert len((tmp_path / "out/points.csv").read_text().splitlines()) == 1 + 8
    (tmp_path / "in/torn.jpg").write_bytes(b"")
    ended = command(*words)
    assert ended.code == 1
    assert "wanted a readable image, got an empty file (0 bytes)" in ended.out


@pytest.mark.parametrize("name", ["Me (1), [2].jpg", "it's = ü {x} $y.jpg", "${x}\\'.jpg"])
def test_predict_takes_any_file_name(command: Command, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes((FACES / "test/000000.jpg").read_bytes())
    words = (f"input={tmp_path / name}", f"output={tmp_path / 'out'}", "detector=whole")
    assert command("predict", *words, "device=cpu").code == 0
    assert (tmp_path / f"out/{name}.json").is_file()


def test_rendered_sessions_are_prepared(command: Command, tmp_path: Path) -> None:
    raw, out = tmp_path / "raw, [1]", tmp_path / "out"
    words = ("layout=photoface", "train=1", "test=0", "size=64", "processes=1")
    assert command("render", f"out={raw}", *words).code == 0
    shown = command("prepare", "photoface", f"root={raw}", f"out={out}", "processes=1").out
    assert "sessions prepared now" in shown
    assert "mean angle to the session's own normals, deg" in shown
    assert len((out / "faces.csv").read_text().splitlines()) == 1 + 4


def test_render_reports_its_speed_and_finds_its_work_done(command: Command, tmp_path: Path) -> None:
    words = ("render", f"out={tmp_path / 'faces'}", "train=2", "test=1", "size=48", "processes=1")
    shown = " ".join(command(*words).out.split())
    assert "3 samples in" in shown
    assert "samples/s, 1 processes" in shown
    assert "is complete, nothing to do" in command(*words).out


def test_render_draws_a_sheet(command: Command, tmp_path: Path) -> None:
    path = tmp_path / "sheet.png"
    command("render", f"sheet={path}", "sheet_grid=[2,3]", "sheet_maps=true", "size=32")
    assert cv2.imread(str(path)).shape == (2 * 32, 3 * 3 * 32, 3)


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """A study of one run, in a folder whose name needs quoting."""
    folder = tmp_path / "it's, a [study]" / "run"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text('{"seed": 0}')
    metrics = {"test/stage1/error_pct": 1.5, "val/stage1/error_pct": 2.5}
    (folder / "metrics.json").write_text(json.dumps(metrics))
    return folder.parent


def test_report_on_a_folder_without_a_key(command: Command, study: Path) -> None:
    assert "2.50" in command("report", "split=val", str(study)).out
    assert (study / "report.html").is_file()


@pytest.mark.parametrize("form", ["runs=[{}]", "runs={}"])
def test_report_on_runs_without_a_study(
    command: Command, tmp_path: Path, study: Path, form: str
) -> None:
    (study / "run").rename(tmp_path / "run")
    ended = command("report", form.format(f"{tmp_path}/run"), f"out={tmp_path}/x")
    assert "1.50" in ended.out
    assert (tmp_path / "x.tex").is_file()


@pytest.mark.parametrize(
    ("out", "name"),
    [("x.html", "x"), ("x.md", "x"), ("x.csv", "x"), ("x.tex", "x"), ("v1.2", "v1.2"), ("7", "7")],
)
def test_report_takes_the_name_of_one_of_its_files(
    command: Command,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    study: Path,
    out: str,
    name: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    command("report", str(study), f"out={out}")
    wanted = {f"{name}.{ending}" for ending in ("html", "md", "csv", "tex")}
    assert {file.name for file in tmp_path.iterdir() if file.is_file()} == wanted


def test_profile_counts_the_ccnn_papers_weights(command: Command) -> None:
    totals = json.loads(command("profile", "format=json").out)
    assert totals["weights"] == 643_920
    assert totals["parameters"] == 647_102
    assert totals["nets"]["EN1"]["layers"][0]["weights"] == 960


def test_profile_follows_the_config(command: Command) -> None:
    lines = command("profile", "model.stages.stage1.net.hidden=60").out.splitlines()
    total = next(line.split() for line in lines if "all together" in line)
    # each of three nets loses 60 * 540 weights of fc1 and 60 * (10 | 6 | 6) of fc2
    assert total[3] == f"{643_920 - 3 * 60 * 540 - 60 * 22:,}"


def test_profile_of_a_generator(command: Command) -> None:
    counts = json.loads(command("profile", "model=casfne", "model.t=1", "format=json").out)
    assert counts["parameters"] == 18_102_758
    assert counts["macs"] == counts["t"][1]["macs"] == 5_441_060_864
    lines = command("profile", "experiment=casfne/paper").out.splitlines()
    row = next(line.split() for line in lines if line.strip().startswith("t=0"))
    assert row == ["t=0", "11,767,683", "3.57", "t=1", "22.94", "14.17", "22.9", "14.2"]


def test_profile_of_another_generator(command: Command) -> None:
    assert json.loads(command("profile", "model=carn", "format=json").out)["parameters"] == 816_451
    lines = command("profile", "model=restormer", "model.dim=48").out.splitlines()
    row = next(line.split() for line in lines if line.strip().startswith("Restormer"))
    assert row == ["Restormer", "26,126,644", "154.88", "13.89"]


@pytest.fixture
def without_onnx(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measure almost nothing."""
    for module in (run, generator):
        monkeypatch.setattr(module, "has_onnx", lambda: False)


@pytest.mark.usefixtures("without_onnx")
def test_bench_keeps_and_compares_results(command: Command, tmp_path: Path) -> None:
    kept = tmp_path / "bench.json"
    bench = (*BENCH, "device=cpu")
    table = command(*bench, f"out={kept}", "format=markdown").out
    assert "| casfne | 1 image, 1 thread | published, eager |" in table
    assert "| casfne | 1 image, RTX 2080 Ti | paper, t3 | 12.000 |" in table
    assert "Left out: ONNX Runtime" in table
    report = json.loads(kept.read_text())
    names = [row["name"] for row in report["rows"] if row["rounds"]]
    assert names == ["published, eager", "fast form"]
    for row in report["rows"]:  # as if it had been a hundred times as fast, or as slow
        row |= {key: row[key] / 100 for key in ("median_ms", "low_ms", "high_ms") if row[key]}
    kept.write_text(json.dumps(report))
    assert command(*bench, f"compare={kept}").out.count("SLOWER") == 2 + 1  # and in the note
    for factor, code in (("50", 1), ("0", 2), ("abc", 2), ("1000", 0)):
        assert command(*bench, f"compare={kept}", f"fail_above={factor}").code == code
    kept.write_text(json.dumps(report | {"rows": []}))
    assert command(*bench, f"compare={kept}", "fail_above=1000").code == 2


@pytest.mark.usefixtures("without_onnx")
def test_bench_prints_json_only(command: Command) -> None:
    report = json.loads(command(*BENCH, "device=cpu", "format=json").out)
    assert report["machine"]["torch"]
    assert report["settings"]["clock"] == "wall"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("predict",), "input and output are missing: add input=... output=..."),
        (("predict", "input=nowhere", "output=y"), "input=nowhere: wanted a photo, video, folder"),
        ((*PREDICT, "checkpoint=nobody"), "no model called nobody"),
        ((*PREDICT, "normals=ccnn-lfpw"), "normals=ccnn-lfpw finds points"),
        ((*PREDICT, "detector=cat"), "haar"),
        ((*PREDICT, "detector=yunet"), "detector.model is missing"),
        ((*PREDICT, "detector.path=a.csv"), "is a key of detector=file; choose it"),
        ((*PREDICT, "detector=file", "detector.path=gone.csv"), "detector.path=gone.csv: wanted"),
        ((*PREDICT, "smooth=true", "one_euro.beta=-1"), "one_euro.beta must be"),
        ((*PREDICT, "smooth=true", "+one_euro.foo=1"), "foo"),
        ((*PREDICT, "smooth=no"), "smooth must be true or false, got 'no'"),
        (("predict", "input=", "output=y"), "input is empty"),
        ((*PREDICT, "device=cuda", "checkpoint=c.onnx"), "c.onnx is not"),
        ((*PREDICT, "batch=2.5"), "batch must be"),
        ((*PREDICT, "detector.smallest=x"), "detector.smallest must be a number"),
        ((*PREDICT, "relight=studio"), "relight and mesh need normals"),
        ((*PREDICT, "light=right"), "light=right is for the shading of normals"),
        (("prepare", "lfpw", "root=x", "out=y"), "layout must be one of photoface, yaleb, got 'lf"),
        (("prepare", "photoface", "out=y"), "root is missing: add root=..."),
        (("prepare", "photoface", "root=nowhere", "out=y"), "root=nowhere: no such folder"),
        (("prepare", "photoface", "root=x", "light=xyz"), "there is no key 'light'; nearest: ligh"),
        (("render",), "out is missing: add out=..."),
        (("render", "out=x", "train=-1"), "train must be"),
        (("render", "out=x", "layout=coco"), "layout must be"),
        (("render", "out=x", "head=ict", "head.path=nowhere"), "head.path=nowhere must hold"),
        (("render", "sheet=x.gif"), "sheet must end in .jpg or .png, got x.gif"),
        (("render", "sheet=x.jpg", "sheet_grid=[3]"), "sheet_grid must be two whole numbers"),
        (("render", "out=x", "quality=90"), "quality must be [worst, best]"),
        (("report",), "there is nothing to report on: name folders of studies"),
        (("report", "studies=5"), "5 is not the folder of a study"),
        (("report", "runs=[nowhere]"), "nowhere holds no finished run"),
        (("report", "x", "split=[val]"), "split must be val, test or the name of other data"),
        (("report", "nowhere", "spilt=val"), "there is no key 'spilt'; nearest: split"),
        (("profile", "format=xml"), "format must be table or json, got xml"),
        (("profile", "model._target_=torch.nn.Identity"), "got Identity from model._target_=torch"),
        ((*BENCH, "format=xml"), "format must be 'table', 'json' or 'markdown', got 'xml'"),
        ((*BENCH, "fail_above=1.2"), "fail_above needs something to compare with"),
        ((*BENCH, "compare=5"), "compare=5 cannot be read"),
        ((*BENCH, "out=/"), "out=/ is a folder, wanted a file's name"),
        ((*BENCH, f"out={__file__}/bench.json"), "test_commands.py"),
        ((*BENCH, "batches=[]", "training.steps=0"), "training.steps must be greater than 0"),
        (("train", "experiment=casfne/faces"), "data.root is missing: add data.root=..."),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_user_errors_print_one_message(
    command: Command, words: tuple[str, ...], message: str
) -> None:
    ended = command(*words)
    assert (ended.code, ended.out) == (2, "")
    assert message in ended.err
    assert ended.err.count("\n") == 1 or "FACEGEO_DEBUG" in ended.err
