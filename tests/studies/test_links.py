"""Where a row's links lead: a run's page on W&B, of any server, or its folder."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from facegeo.studies.comparison import compare
from facegeo.studies.page_tables import rows_html
from facegeo.studies.runs import read_folder

Keep = Callable[..., Path]


@pytest.mark.parametrize(
    "address", ["https://wandb.ai/me/p/runs/1", "http://localhost:8080/me/p/runs/1?a=b"]
)
def test_a_page_links_to_an_address_as_it_is(keep_run: Keep, tmp_path: Path, address: str) -> None:
    keep_run("a", 0, errors={"stage1": 1.0})
    study = read_folder(tmp_path / "study")
    run = replace(study.runs[0], link=address, folder=None)
    assert f'href="{address}"' in rows_html(compare(replace(study, runs=(run,))), tmp_path)


def test_a_page_links_to_a_folder_from_where_it_lies(keep_run: Keep, tmp_path: Path) -> None:
    keep_run("a b", 0, errors={"stage1": 1.0})
    comparison = compare(read_folder(tmp_path / "study"))
    assert 'href="study/a%20b/"' in rows_html(comparison, tmp_path)
