"""One table in three outputs, and the tables of stages: of points and of normals."""

import csv
import io

import pytest
from rich.console import Console

from facegeo.files.tables import NORMAL_COLUMNS, Table, normal_table, stage_table

SIZES = Table(
    "Sizes",
    ("layer", "weights", "share %", "AUC"),
    (("conv1", 960, 1.0026, 0.87654), ("fc|2", 1200, float("nan"), None)),
    note="Biases apart.",
    digits={"AUC": 3},
)
POINTS = ("LE", "RE", "N", "LM", "RM")


def stage(prefix: str, error: float) -> dict[str, float]:
    """Every quantity of one stage, each a different number."""
    points = {f"{prefix}error_{p}_pct": error + i / 100 for i, p in enumerate(POINTS, 1)}
    rest = {"error_pct": error, "fail5_pct": 20.0, "fail10_pct": 3.0, "auc10": 0.8125}
    return points | {prefix + name: value for name, value in rest.items()}


def test_markdown_as_github_reads_it() -> None:
    assert SIZES.markdown() == (
        "**Sizes**\n"
        "\n"
        "| layer | weights | share % | AUC |\n"
        "| :--- | ---: | ---: | ---: |\n"
        "| conv1 | 960 | 1.00 | 0.877 |\n"
        "| fc\\|2 | 1,200 | nan | - |\n"
        "\n"
        "Biases apart.\n"
    )


def test_csv_keeps_six_digits_and_an_empty_field_for_nothing() -> None:
    rows = list(csv.reader(io.StringIO(SIZES.csv())))
    assert rows == [
        ["layer", "weights", "share %", "AUC"],
        ["conv1", "960", "1.0026", "0.87654"],
        ["fc|2", "1200", "nan", ""],
    ]


def test_terminal_shows_all_cells_and_takes_no_cell_for_markup() -> None:
    console = Console(width=60, record=True, file=io.StringIO())
    console.print(Table("Names", ("name", "n"), (("[bold]", 3),), note="A note.").rich())
    lines = [line.split() for line in console.export_text().splitlines()]
    assert ["[bold]", "3"] in lines
    assert ["A", "note."] in lines


def test_long_words_are_folded_and_numbers_whole_where_there_is_no_room() -> None:
    console = Console(width=30, record=True, file=io.StringIO())
    why = "wanted a readable image, got 34139 bytes that are none"
    console.print(Table("Not done", ("why", "n"), ((why, 12345.678),)).rich())
    lines = console.export_text().splitlines()
    assert max(map(len, lines)) <= 30
    assert "12,345.68" in "".join(lines)
    assert " ".join("".join(lines[4:]).replace("12,345.68", "").split()) == why


def test_a_row_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match=r"row of table 'T' must have 2 cells, got 1: \('a',\)"):
        Table("T", ("x", "y"), (("a",),))


def test_stage_table_has_a_row_a_stage_in_their_order_under_the_mean_shape() -> None:
    results = stage("test/stage10/", 1.0) | stage("test/stage2/", 1.5) | stage("test/stage1/", 2.0)
    results |= stage("test/mean_shape/", 8.0) | stage("val/stage4/", 9.0) | {"test/loss": 0.1}
    table = stage_table(results)
    assert [row[0] for row in table.rows] == ["mean shape", "stage 1", "stage 2", "stage 10"]
    assert table.rows[1][1:] == (2.01, 2.02, 2.03, 2.04, 2.05, 2.0, 20.0, 3.0, 0.8125)


def test_stage_table_without_a_baseline_and_with_gaps() -> None:
    table = stage_table({"val/stage1/error_pct": 2.0}, split="val", title="Quick look")
    assert table.rows == (("stage 1", None, None, None, None, None, 2.0, None, None, None),)
    assert table.title == "Quick look"
    assert "face box width" in table.note


def test_stage_table_fits_eighty_columns() -> None:
    results = stage("test/mean_shape/", 10.5) | stage("test/stage1/", 12.0)
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(stage_table(results).rich())
    assert "…" not in console.export_text()


def test_stage_table_of_a_split_that_was_not_evaluated_is_refused() -> None:
    with pytest.raises(ValueError, match=r"no name like test/stage1/error_pct among 9 results"):
        stage_table(stage("val/stage1/", 2.0))


def normal(prefix: str, mean: float) -> dict[str, float]:
    """Every quantity of one t, each a different number."""
    ends = NORMAL_COLUMNS.values()
    return {f"{prefix}{end}": mean + place / 100 for place, end in enumerate(ends)}


PAPER = {
    "t0": {"mean_deg": 10.21, "std_deg": 7.75, "lt30_pct": 97.21, "certain": True},
    "t3": {"mean_deg": 7.28, "certain": True},
}


def test_normal_table_has_a_row_a_t_then_the_authors_average_then_the_papers() -> None:
    results = normal("test/t10/", 3.0) | normal("test/t2/", 4.0) | normal("test/t0/", 5.0)
    results |= {"test/t10/author_compat/mean_deg": 3.5, "test/t0/author_compat/mean_deg": 5.5}
    results |= normal("val/t3/", 9.0) | {"test/loss": 0.1}
    table = normal_table(results, "test", "Faces", PAPER)
    dashes = (None,) * 4
    assert [row[0] for row in table.rows] == ["t0", "t2", "t10", "t10 comp.", "paper t0"]
    assert table.rows[1][1:] == (4.0, 4.01, 4.02, 4.03, 4.04, 4.05, 4.06, 4.07, 4.08, 4.09)
    assert table.rows[3][1:] == (3.5, None, *dashes, *dashes)
    assert table.rows[4][1:] == (10.21, 7.75, *dashes, None, 97.21, None, None)
    assert table.title == "Faces"


def test_normal_table_fits_eighty_columns() -> None:
    results = {name: 100.0 for name in normal("test/t5/", 0.0) if name.endswith("pct")}
    results |= {name: 40.0 for name in normal("test/t5/", 0.0) if name.endswith("deg")}
    results |= {"test/t5/author_compat/mean_deg": 40.0}
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(normal_table(results, "test", "Faces", {}).rich())
    text = console.export_text()
    assert "…" not in text
    assert "t5 comp." in text


def test_normal_table_of_a_split_that_was_not_evaluated_is_refused() -> None:
    with pytest.raises(ValueError, match=r"no name like val/t0/mean_deg among \['test/t0/"):
        normal_table(normal("test/t0/", 2.0), "val", "Faces", {})


def test_brackets_of_a_title_are_shown() -> None:
    console = Console(width=60, record=True, file=io.StringIO())
    console.print(Table("res[/final]", ("a column",), (("a wide cell",),), "of [0, 1]").rich())
    shown = console.export_text()
    assert "res[/final]" in shown
    assert "of [0, 1]" in shown
