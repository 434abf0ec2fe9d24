"""facegeo-render: writes a folder, a sheet, and names what it does not understand."""

from pathlib import Path

import pytest

from facegeo.cli.render import main


def render(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    monkeypatch.setattr("sys.argv", ["facegeo-render", *arguments])
    main()


def test_it_reports_its_speed_and_finds_its_work_done(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    order = (f"out={tmp_path / 'faces'}", "train=2", "test=1", "size=48", "processes=1")
    render(monkeypatch, *order)
    line = capsys.readouterr().out.splitlines()[-2:]
    assert "3 samples in" in " ".join(line)
    assert "samples/s, 1 processes" in " ".join(line)
    render(monkeypatch, *order)
    assert "is complete, nothing to do" in capsys.readouterr().out


def test_a_sheet_is_one_picture(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import cv2

    path = tmp_path / "sheet.png"
    render(monkeypatch, f"sheet={path}", "sheet_grid=[2,3]", "sheet_maps=true", "size=32")
    assert cv2.imread(str(path)).shape == (2 * 32, 3 * 3 * 32, 3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "out must be the folder to write to; set out=DIR"),
        (("out=x", "train=-1"), "train must be greater than or equal to 0, got -1"),
        (
            ("out=x", "layout=coco"),
            "layout must be 'landmarks', 'photoface' or 'portraits', got 'coco'",
        ),
        (("out=x", "head=ict", "head.path=nowhere"), "head.path=nowhere must hold"),
        (("sheet=x.gif",), "sheet must end in .jpg or .png, got x.gif"),
        (("sheet=x.jpg", "sheet_grid=[3]"), "sheet_grid must be two whole numbers"),
        (("out=x", "quality=90"), "quality must be [worst, best]"),
    ],
)
def test_mistakes_end_with_one_message(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    message: str,
) -> None:
    with pytest.raises(SystemExit) as end:
        render(monkeypatch, *arguments)
    assert end.value.code == 2
    assert message in capsys.readouterr().err
