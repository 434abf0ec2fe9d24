"""Numbers printed in the papers: the only reader of ``experiments/paper_values.yaml``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from omegaconf import DictConfig, OmegaConf

from facegeo.errors import UserError
from facegeo.files.shipped import experiments_dir


@dataclass(frozen=True)
class Printed:
    """A number that a paper prints.

    Attributes:
        value: In the unit of the measure next to it.
        certain: False where figure or text leave doubt.
    """

    value: float
    certain: bool


def paper_values(section: str | None) -> dict[str, Any] | None:
    """Read a paper's numbers, by stage or row, from a section of ``paper_values.yaml``.

    Raises:
        UserError: If there is no such section.
    """
    if section is None:
        return None
    cells = OmegaConf.select(_file(), section)
    if not isinstance(cells, DictConfig):
        raise UserError(
            f"there is no section {section} in experiments/paper_values.yaml; "
            "name one such as ccnn.fig4_stage_count, or null"
        )
    return cast(dict[str, Any], OmegaConf.to_container(cells))


def paper_title(section: str | None) -> str:
    """Authors, title and year of the paper of a section; empty without a section."""
    if section is None:
        return ""
    return str(OmegaConf.select(_file(), f"{section.split('.')[0]}.paper") or "")


def printed(cells: Mapping[str, Any], row: str, measure: str) -> Printed | None:
    """The number of a row for exactly this measure; None if the row has no such number."""
    cell = cells.get(row)
    if not isinstance(cell, Mapping):
        return None
    value = cell.get(measure)
    return None if value is None else Printed(float(value), bool(cell.get("certain", True)))


def _file() -> DictConfig:
    return cast(DictConfig, OmegaConf.load(experiments_dir() / "paper_values.yaml"))
