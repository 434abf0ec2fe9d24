from collections.abc import Callable
from pathlib import Path

import pytest

from facegeo.errors import UserError
from facegeo.studies.comparison import compare
from facegeo.studies.sources import find_studies, loose_study

Keep = Callable[..., Path]


def test_loose_runs_are_compared_in_the_order_named(keep_run: Keep) -> None:
    about = {"baseline": "of their own study", "split": "val"}
    folders = [
        keep_run(f"{a}{seed}", seed, {"a": a}, about=about, errors={"stage1": 1.0}, overrides=[])
        for a in (2, 1)
        for seed in (1, 0)
    ]
    (study,) = find_studies([], [str(folder) for folder in folders])
    found = compare(study)
    assert [(row.name, list(row.values)) for row in found.rows] == [
        ("a=2", [1, 0]),
        ("a=1", [1, 0]),
    ]
    assert (found.split, found.baseline, study.name) == ("test", "a=2", "ccnn/tuned")


@pytest.mark.parametrize("status", ["running", "failed"])
def test_an_unfinished_loose_run_is_refused(keep_run: Keep, status: str) -> None:
    folder = keep_run("a", 0, status=status)
    with pytest.raises(UserError, match=r"a holds no finished run .* name folders"):
        loose_study([folder])


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no finished run \(.*config\.json is missing"):
        loose_study([tmp_path])


def test_nothing_named_is_refused() -> None:
    with pytest.raises(UserError, match="nothing to report on"):
        find_studies([])


def test_a_server_needs_the_names_of_studies() -> None:
    with pytest.raises(UserError, match="name the studies to read from me/facegeo"):
        find_studies([], wandb="me/facegeo")
