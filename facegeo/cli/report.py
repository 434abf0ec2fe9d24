"""``facegeo-report``."""

from typing import TYPE_CHECKING

from facegeo.cli.app import launch

if TYPE_CHECKING:
    from omegaconf import DictConfig


def _report(cfg: "DictConfig") -> None:
    from facegeo.runner import report_seeds

    report_seeds(cfg)


def main() -> None:
    """Compare seeds from the command line."""
    launch(
        _report,
        "report",
        "Put finished runs that differ in their seed alone into one table (CSV, Markdown) and one "
        "figure, the paper's numbers beside ours.",
        ["facegeo-report runs=[runs/ccnn-tuned-seed0-1a2b3c4d,runs/ccnn-tuned-seed1-5e6f7a8b]"],
    )
