"""``facegeo-report``."""

from pathlib import Path

from facegeo.cli.app import DictConfig, launch


def _report(cfg: DictConfig) -> None:
    from facegeo.errors import UserError
    from facegeo.runs.folder import plain
    from facegeo.studies.report import beside, report_on
    from facegeo.studies.sources import find_studies

    given = plain(cfg)
    folders, runs = (
        [given[key]] if isinstance(given[key], str) else given[key] or []
        for key in ("studies", "runs")
    )
    wandb, split = given["wandb"], given["split"]
    if not isinstance(split, str | None):
        raise UserError(f"split must be val, test or the name of other data, got {split!r}")
    if not isinstance(given["push"], bool):
        raise UserError(f"push must be true or false, got {given['push']!r}")
    if given["push"] and runs:
        raise UserError("push=true with runs=: these runs share no group in W&B; name studies")
    studies = find_studies(folders, runs, wandb)
    known = [Path(place) for place in [*folders, *runs] if Path(place).is_dir()] or [Path()]
    out = Path(cfg.out) if cfg.out else beside(known)
    named = out.suffix in (".html", ".md", ".csv", ".tex")  # each file adds its own
    report_on(studies, out.with_suffix("") if named else out, split)
    if given["push"]:
        from facegeo.studies.workspace import push

        print("\n".join(push(studies, given["project"], given["entity"])))


def main() -> None:
    """Report on studies from the command line."""
    launch(
        _report,
        "report",
        "Compare the runs of studies: mean and spread over seeds, difference to the baseline with "
        "a paired test, the paper's number, the paper's kinds of plots. Writes one HTML page that "
        "opens offline, Markdown, CSV and a LaTeX table, and prints the table.",
        [
            "facegeo-report runs/ccnn/shake",
            "facegeo-report runs/ccnn/shake runs/ccnn/windows out=both",
            "facegeo-report runs=[runs/ccnn-tuned-seed0-1a2b3c4d,runs/ccnn-tuned-seed1-5e6f7a8b]",
        ],
        bare="studies",
    )
