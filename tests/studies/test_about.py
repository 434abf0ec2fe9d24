"""What a study says of itself wrongly is told before a training, and noted after one."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from facegeo.files.shipped import conf_dir
from facegeo.runs.about import about_faults, sound
from facegeo.studies.comparison import compare
from facegeo.studies.runs import read_folder

FILES = sorted((conf_dir() / "ablation").rglob("*.yaml"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_shipped_studies_say_nothing_wrong(file: Path) -> None:
    assert about_faults(OmegaConf.to_container(OmegaConf.load(file).about)) == {}


@pytest.mark.parametrize(
    ("key", "value", "wanted"),
    [
        ("rows", "stage1", "a list such as"),
        ("rows", 3, "a list such as"),
        ("plots", "points", "a list such as"),
        ("paper", 3, "a section of experiments"),
        ("labels", ["foo"], "a list such as"),
        ("labels", [{"name": "foo", "when": "abc"}], "a list such as"),
        ("labels", [{"when": {"a": 1}}], "a list such as"),
        ("baseline", True, "the name of a row"),
        ("row", ["stage1"], "about has no key row; it has question,"),
    ],
)
def test_a_mistake_becomes_a_note_and_stops_no_report(
    key: str, value: object, wanted: str, keep_run: Callable[..., Path], tmp_path: Path
) -> None:
    assert wanted in about_faults({key: value})[key]
    keep_run("a", 0, {}, about={"measure": "error_pct", key: value}, errors={"stage1": 1.0})
    comparison = compare(read_folder(tmp_path / "study"))
    assert any(wanted in note for note in comparison.notes)
    assert [row.entry for row in comparison.rows] == ["stage1"]


@pytest.mark.parametrize(("about", "faults"), [(None, 0), ({}, 0), ("hello", 1), ([], 1)])
def test_only_keys_are_taken(about: Any, faults: int) -> None:  # noqa: ANN401
    kept, notes = sound(about)
    assert (kept, len(notes)) == ({}, faults)
