"""``facegeo-bench``."""

from typing import TYPE_CHECKING

from facegeo.cli.app import DictConfig, launch

if TYPE_CHECKING:
    from facegeo.bench.report import Comparison, Report

WIDE = 200
"""Columns where the output is not a terminal."""


def _bench(cfg: DictConfig) -> None:
    import sys
    from pathlib import Path

    from facegeo.bench.report import compare_reports, read_report
    from facegeo.bench.run import Settings, run_bench
    from facegeo.errors import UserError
    from facegeo.runs.folder import plain

    settings = Settings.of(plain(cfg))
    before = None if settings.compare is None else read_report(Path(settings.compare))
    if settings.out is not None:  # a mistake shows now, not after minutes of measuring
        Path(settings.out).parent.mkdir(parents=True, exist_ok=True)
    report = run_bench(settings)
    comparison = None if before is None else compare_reports(before, report)
    _show(report, comparison, settings.format)
    if settings.out is not None:
        report.write(Path(settings.out))
    if comparison is not None and settings.fail_above and not comparison.changes:
        raise UserError(
            f"fail_above={settings.fail_above} compared nothing: no row of {settings.compare} was "
            "measured now; measure with the same only, threads, batches and device"
        )
    if comparison is not None and settings.fail_above and comparison.worst > settings.fail_above:
        sys.exit(1)


def _show(report: "Report", comparison: "Comparison | None", form: str) -> None:
    import sys

    from rich.console import Console

    if form == "json":
        print(report.json(**({} if comparison is None else {"comparison": comparison.plain()})))
        return
    tables = [report.table()] + ([] if comparison is None else [comparison.table()])
    if form == "markdown":
        print("\n".join(table.markdown() for table in tables))
        return
    console = Console(width=None if sys.stdout.isatty() else WIDE)
    for table in tables:
        console.print(table.rich())


def main() -> None:
    """Measure from the command line."""
    launch(
        _bench,
        "bench",
        "Measure how fast landmarks, normals, training and rendering are on this machine, the "
        "candidates in turn, beside other programs (where they are installed) and the papers' "
        "figures: one table. Keep the results with out=, and see with compare= what became slower.",
        [
            "facegeo-bench",
            "facegeo-bench only=[casfne] batches=[1] threads=[1]",
            "facegeo-bench out=bench.json",
            "facegeo-bench compare=bench.json fail_above=1.2",
            "facegeo-bench device=cuda only=[ccnn,casfne] format=markdown",
        ],
    )
