"""One table in three outputs."""

import csv
import io

import pytest
from rich.console import Console

from facegeo.files.tables import Table

SIZES = Table(
    "Sizes",
    ("layer", "weights", "share %", "AUC"),
    (("conv1", 960, 1.0026, 0.87654), ("fc|2", 1200, float("nan"), None)),
    note="Biases apart.",
    digits={"AUC": 3},
)


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
    why = "wanted a readable image, got 34139 bytes that are not one"
    console.print(Table("Not done", ("why", "n"), ((why, 12345.678),)).rich())
    lines = console.export_text().splitlines()
    assert max(map(len, lines)) <= 30
    assert "12,345.68" in "".join(lines)
    assert " ".join("".join(lines[4:]).replace("12,345.68", "").split()) == why


def test_a_row_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match=r"row of table 'T' must have 2 cells, got 1: \('a',\)"):
        Table("T", ("x", "y"), (("a",),))


def test_brackets_of_a_title_are_shown() -> None:
    console = Console(width=60, record=True, file=io.StringIO())
    console.print(Table("res[/final]", ("a column",), (("a wide cell",),), "of [0, 1]").rich())
    shown = console.export_text()
    assert "res[/final]" in shown
    assert "of [0, 1]" in shown
