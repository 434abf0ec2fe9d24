"""facegeo-bench: one table, kept, compared; mistakes end with one message."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from facegeo.bench import generator, run
from facegeo.cli.bench import main

Bench = Callable[..., str]
TINY = ("only=[casfne]", "casfne.size=32", "batches=[1]", "threads=[1]", "seconds=0", "device=cpu")


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Bench:
    """Measure almost nothing in this process; return what was printed."""
    for module in (run, generator):
        monkeypatch.setattr(module, "has_onnx", lambda: False)

    def call(*arguments: str) -> str:
        monkeypatch.setattr("sys.argv", ["facegeo-bench", *TINY, *arguments])
        main()
        return capsys.readouterr().out

    return call


def test_results_are_kept_and_compared(bench: Bench, tmp_path: Path) -> None:
    kept = tmp_path / "bench.json"
    table = bench(f"out={kept}", "format=markdown")
    assert "| casfne | 1 image, 1 thread | published, eager |" in table
    assert "| casfne | 1 image, RTX 2080 Ti | paper, t3 | 12.000 |" in table
    assert "Left out: ONNX Runtime" in table
    report = json.loads(kept.read_text())
    names = [row["name"] for row in report["rows"] if row["rounds"]]
    assert names == ["published, eager", "fast form"]
    for row in report["rows"]:  # as if it had been a hundred times as fast, or as slow
        row |= {key: row[key] / 100 for key in ("median_ms", "low_ms", "high_ms") if row[key]}
    kept.write_text(json.dumps(report))
    assert bench(f"compare={kept}").count("SLOWER") == 2 + 1  # and in the note
    for factor, code in (("50", 1), ("0", 2), ("abc", 2)):
        with pytest.raises(SystemExit) as end:
            bench(f"compare={kept}", f"fail_above={factor}")
        assert end.value.code == code
    bench(f"compare={kept}", "fail_above=1000")
    kept.write_text(json.dumps(report | {"rows": []}))
    with pytest.raises(SystemExit) as end:
        bench(f"compare={kept}", "fail_above=1000")
    assert end.value.code == 2


def test_json_is_all_that_is_printed(bench: Bench) -> None:
    report = json.loads(bench("format=json"))
    assert report["machine"]["torch"]
    assert report["settings"]["clock"] == "wall"


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("format=xml", "format must be table, json or markdown, got xml"),
        ("fail_above=1.2", "fail_above needs something to compare with"),
        ("compare=nowhere.json", "compare=nowhere.json can not be read"),
        ("compare=5", "compare=5 can not be read"),
        ("out=/", "out=/ is a folder, wanted a file's name"),
        (f"out={__file__}/bench.json", "test_bench.py"),
        ("only=[casfn]", "only must be of ccnn, casfne, training, rendering"),
    ],
)
def test_mistakes_end_with_one_message(
    bench: Bench, argument: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        bench(argument)
    assert end.value.code == 2
    told = capsys.readouterr()
    assert message in told.err
    assert told.out == ""  # nothing was measured for it
