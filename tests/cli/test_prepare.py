"""facegeo-prepare: from rendered photographs to a table, and its mistakes."""

from pathlib import Path

import pytest

from facegeo.cli import prepare, render


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    monkeypatch.setattr("sys.argv", ["facegeo-prepare", *arguments])
    prepare.main()


def test_rendered_sessions_are_prepared_and_compared(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    raw, out = tmp_path / "raw", tmp_path / "out"
    order = (f"out={raw}", "layout=photoface", "train=1", "test=0", "size=64", "processes=1")
    monkeypatch.setattr("sys.argv", ["facegeo-render", *order])
    render.main()
    run(monkeypatch, "photoface", f"root={raw}", f"out={out}", "processes=1")
    shown = capsys.readouterr().out
    assert "sessions prepared now" in shown
    assert "mean angle to the session's own normals, deg" in shown
    assert len((out / "faces.csv").read_text().splitlines()) == 1 + 4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("lfpw", "root=x", "out=y"), "layout must be one of photoface, yaleb, got 'lfpw'"),
        (("photoface", "out=y"), "root has no value; add root=..."),
        (("photoface", "root=x"), "out has no value; add out=..."),
        (("photoface", "root=nowhere", "out=y"), "root=nowhere must be a folder of sessions"),
        (("photoface", "root=x", "out=y", "light=xyz"), "there is no key 'light'; nearest: lights"),
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
