"""``facegeo-bench``."""

from typing import TYPE_CHECKING

from facegeo.cli.app import launch

if TYPE_CHECKING:
    from pathlib import Path

    from omegaconf import DictConfig

    from facegeo.bench.compare import Comparison
    from facegeo.bench.report import Report
    from facegeo.bench.run import Settings

WIDE = 200
"""Columns where the output is no terminal."""


def _bench(cfg: "DictConfig") -> None:
    import sys
    from pathlib import Path
    from typing import Annotated

    from pydantic import Field

    from facegeo.bench.compare import compare_reports
    from facegeo.bench.report import read_report
    from facegeo.bench.run import run_bench
    from facegeo.checks import check_value
    from facegeo.errors import UserError

    if cfg.format not in ("table", "json", "markdown"):
        raise UserError(f"format must be table, json or markdown, got {cfg.format}")
    if cfg.fail_above is not None and cfg.compare is None:
        raise UserError("fail_above needs something to compare with: set compare=OLD.json")
    if cfg.fail_above is not None:
        check_value("fail_above", cfg.fail_above, Annotated[float, Field(ge=1)])
    before = None if cfg.compare is None else read_report(Path(str(cfg.compare)))
    out = _file(cfg.out)
    report = run_bench(_settings(cfg))
    comparison = None if before is None else compare_reports(before, report)
    _show(report, comparison, cfg.format)
    if out is not None:
        report.write(out)
    if comparison is not None and cfg.fail_above and not comparison.changes:
        raise UserError(
            f"fail_above={cfg.fail_above} compared nothing: no row of {cfg.compare} was measured "
            "now; measure as it was, with the same only, threads, batches and device"
        )
    if comparison is not None and cfg.fail_above and comparison.worst > cfg.fail_above:
        sys.exit(1)


def _file(name: str | None) -> "Path | None":
    """The file to write, in a folder that is there: not found out after minutes of measuring."""
    from pathlib import Path

    from facegeo.errors import UserError

    if name is None:
        return None
    out = Path(str(name))
    if out.is_dir():
        raise UserError(f"out={out} is a folder, wanted a file's name, such as {out}/bench.json")
    out.parent.mkdir(parents=True, exist_ok=True)
    return out


def _show(report: "Report", comparison: "Comparison | None", form: str) -> None:
    import sys

    from rich.console import Console

    if form == "json":
        print(report.json({} if comparison is None else {"comparison": comparison.plain()}))
        return
    tables = [report.table()] + ([] if comparison is None else [comparison.table()])
    if form == "markdown":
        print("\n".join(table.markdown() for table in tables))
        return
    console = Console(width=None if sys.stdout.isatty() else WIDE)
    for table in tables:
        console.print(table.rich())


def _settings(cfg: "DictConfig") -> "Settings":
    from typing import Any, cast

    from omegaconf import OmegaConf

    from facegeo.bench.run import Settings
    from facegeo.bench.timing import Timing

    plain = cast("dict[str, Any]", OmegaConf.to_container(cfg, resolve=True))
    return Settings(
        only=plain["only"],
        device=plain["device"],
        threads=plain["threads"],
        batches=plain["batches"],
        timing=Timing(seconds=plain["seconds"], clock=plain["clock"]),
        groups={name: plain[name] for name in ("ccnn", "casfne", "training", "rendering")},
    )


def main() -> None:
    """Measure from the command line."""
    launch(
        _bench,
        "bench",
        "Measure how fast landmarks, normals, training and rendering are on this machine, the "
        "candidates in turn, beside what people use now (where it is installed) and the papers' "
        "figures: one table. Keep the results with out=, and see with compare= what became slower.",
        [
            "facegeo-bench",
            "facegeo-bench only=[casfne] batches=[1] threads=[1]",
            "facegeo-bench out=bench.json",
            "facegeo-bench compare=bench.json fail_above=1.2",
            "facegeo-bench device=cuda only=[ccnn,casfne] format=markdown",
        ],
    )
