from collections.abc import Mapping

from omegaconf import OmegaConf

from facegeo.files.shipped import experiments_dir
from facegeo.papers import Printed, paper_values, printed


def test_a_number_is_shown_only_next_to_its_own_measure() -> None:
    cells = paper_values("ccnn.fig6_shake")
    assert cells is not None
    assert printed(cells, "shake-", "error_pct") == Printed(2.35, True)
    assert printed(cells, "shake-", "fail10_pct") is None
    assert printed(cells, "shake?", "error_pct") is None


def test_every_number_is_called_as_its_measure() -> None:
    cells = {
        f"{paper}.{section}.{row}": cell
        for paper, sections in OmegaConf.load(experiments_dir() / "paper_values.yaml").items()
        for section, rows in sections.items()
        if section != "paper"
        for row, cell in rows.items()
    }
    assert len(cells) > 40
    for name, cell in cells.items():
        assert isinstance(cell, Mapping), name
        assert len(cell) > 1, name
        assert "certain" in cell, name
        assert "value" not in cell, name
