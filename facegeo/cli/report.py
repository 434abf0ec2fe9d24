"""``facegeo-report``."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from facegeo.cli.app import launch
from facegeo.errors import UserError

if TYPE_CHECKING:
    from omegaconf import DictConfig


VALUED = (
    *("--cfg", "-c", "--config-dir", "-cd", "--config-name", "-cn", "--config-path", "-cp"),
    *("--package", "-p"),
)
"""Hydra's options that a value follows."""


def _report(cfg: "DictConfig") -> None:
    from facegeo.cli.typed import word, words
    from facegeo.runs.folder import plain
    from facegeo.studies.report import beside, report_on
    from facegeo.studies.sources import find_studies

    given = plain(cfg)
    folders = words("studies", given["studies"] or [], "a study's folder")
    runs = words("runs", given["runs"] or [], "the folder of a finished run")
    wandb = given["wandb"] and word("wandb", given["wandb"], "ENTITY/PROJECT")
    split = given["split"] and word("split", given["split"], "val, test or other data, or null")
    project = word("project", given["project"], "the name of a W&B project")
    entity = given["entity"] and word("entity", given["entity"], "a user or team of W&B, or null")
    if not isinstance(given["push"], bool):
        raise UserError(f"push must be true or false, got {given['push']!r}")
    if given["push"] and runs:
        raise UserError("push=true with runs=: these runs share no group in W&B; name studies")
    studies = find_studies(folders, runs, wandb)
    known = [Path(place) for place in [*folders, *runs] if Path(place).is_dir()] or [Path()]
    report_on(studies, _without_ending(str(cfg.out)) if cfg.out else beside(known), split)
    if given["push"]:
        from facegeo.studies.workspace import push

        print("\n".join(push(studies, project, entity)))


def _without_ending(out: str) -> Path:
    """What to write, without the ending that every one of the files adds."""
    path = Path(out)
    return path.with_suffix("") if path.suffix in (".html", ".md", ".csv", ".tex") else path


def folders_as_override(words: Sequence[str]) -> list[str]:
    """Gather words that are no ``key=value`` and no option as Hydra's ``studies=[...]``.

    >>> folders_as_override(["runs/a study", "split=val"])
    ["studies=['runs/a study']", 'split=val']
    >>> folders_as_override(["--cfg", "job"])
    ['--cfg', 'job']
    """
    folders, others = list[str](), list[str]()
    for before, word in zip(["", *words], words, strict=False):
        option = word.startswith("-") or before in VALUED
        (others if option or "=" in word else folders).append(word)
    quoted = ("'" + word.replace("'", "\\'") + "'" for word in folders)
    return [f"studies=[{','.join(quoted)}]", *others] if folders else others


def main() -> None:
    """Report on studies from the command line."""
    sys.argv[1:] = folders_as_override(sys.argv[1:])
    launch(
        _report,
        "report",
        "Compare the runs of studies: mean and spread over seeds, difference to the baseline with "
        "a paired test, the paper's number, the paper's kinds of plots. Writes one HTML page that "
        "opens offline, Markdown, CSV and a LaTeX table, and prints the table. push=true also "
        "saves a W&B workspace of each study.",
        [
            "facegeo-report runs/ccnn/shake",
            "facegeo-report runs/ccnn/shake runs/ccnn/windows out=both",
            "facegeo-report runs/ccnn/shake push=true entity=my-team",
            "facegeo-report runs=[runs/ccnn-tuned-seed0-1a2b3c4d,runs/ccnn-tuned-seed1-5e6f7a8b]",
        ],
    )
