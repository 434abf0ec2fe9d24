"""facegeo-predict from the command line: a folder, its tables, and mistakes."""

from pathlib import Path
from shutil import copytree

import pytest

from facegeo.cli import predict
from facegeo.files.shipped import conf_dir

FACES = Path("tests/fixtures/landmarks").resolve()


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    monkeypatch.setattr("sys.argv", ["facegeo-predict", *arguments])
    predict.main()


def test_a_folder_with_a_list_of_boxes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    copytree(FACES / "test", tmp_path / "in")
    told = ("detector=file", f"detector.path={FACES / 'testImageList.txt'}", "device=cpu")
    run(monkeypatch, f"input={tmp_path / 'in'}", f"output={tmp_path / 'out'}", *told)
    shown = capsys.readouterr().out
    assert "faces" in shown
    assert "8     8      0" in shown
    assert len((tmp_path / "out/points.csv").read_text().splitlines()) == 1 + 8
    (tmp_path / "in/torn.jpg").write_bytes(b"")
    with pytest.raises(SystemExit) as end:
        run(monkeypatch, f"input={tmp_path / 'in'}", f"output={tmp_path / 'out'}", *told)
    assert end.value.code == 1
    assert "wanted a readable image, got an empty file (0 bytes)" in capsys.readouterr().out


@pytest.mark.parametrize(
    "name", ["Me (1), [2].jpg", "it's = ü {x} $y.jpg", "'quoted'.jpg", "'q.jpg", "${x}\\'.jpg"]
)
def test_names_need_no_quotes_of_ours(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    (tmp_path / name).write_bytes((FACES / "test/000000.jpg").read_bytes())
    told = ("detector=whole", "device=cpu")
    run(monkeypatch, f"input={tmp_path / name}", f"output={tmp_path / 'out'}", *told)
    assert (tmp_path / f"out/{name}.json").is_file()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("output=y",), "input has no value; add input=..."),
        (("input=x",), "output has no value; add output=..."),
        (("input=nowhere", "output=y"), "input=nowhere: wanted a photo, video, folder or pattern"),
        (("input=x", "output=y", "checkpoint=nobody"), "no model called nobody"),
        (("input=x", "output=y", "normals=ccnn-lfpw"), "normals=ccnn-lfpw finds points"),
        (("input=x", "output=y", "detector=cat"), "haar"),
        (("input=x", "output=y", "detector=yunet"), "detector.model has no value"),
        (("input=x", "output=y", "detector.path=a.csv"), "is a key of detector=file; choose it"),
        (
            ("input=x", "output=y", "detector=file", "detector.path=gone.csv"),
            "detector.path=gone.csv: wanted a file of boxes, got No such file",
        ),
        (("input=x", "output=y", "smooth=true", "one_euro.beta=-1"), "one_euro.beta must be"),
        (("input=x", "output=y", "smooth=true", "+one_euro.foo=1"), "foo"),
        (("input=x", "output=y", "smooth=no"), "smooth must be a valid boolean, got 'no'"),
        (("input=", "output=y"), "input is empty"),
        (("input=x", "output=y", "device=cuda", "checkpoint=c.onnx"), "c.onnx is not"),
        (
            ("input=x", "output=y", "batch=2.5"),
            "batch must be a valid integer, got 2.5",
        ),
        (
            ("input=x", "output=y", "detector.smallest=x"),
            "detector.smallest must be a valid number, got 'x'",
        ),
        (("input=x", "output=y", "relight=studio"), "relight and mesh need normals"),
        (("input=x", "output=y", "light=right"), "light=right is for the shading of normals"),
    ],
)
def test_mistakes_end_with_one_message(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    message: str,
) -> None:
    with pytest.raises(SystemExit) as end:
        run(monkeypatch, *arguments)
    assert end.value.code == 2
    assert message in capsys.readouterr().err


def test_help_names_every_detector(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run(monkeypatch, "--help")
    shown = capsys.readouterr().out
    assert "file, *haar, whole, yunet" in shown
    names = sorted(path.stem for path in (conf_dir() / "detector").glob("*.yaml"))
    assert names == ["file", "haar", "whole", "yunet"]
