"""What a job is called among the others of its study."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from facegeo.paths import PLAN
from facegeo.study_plan import read_parts

LONGEST_TAG, LONGEST_NAME = 64, 128  # what W&B's server takes


def what_differs(job: Sequence[str], jobs: Sequence[Sequence[str]]) -> list[str]:
    """Overrides of a job that not all jobs have."""
    return [word for word in job if not all(word in other for other in jobs)]


def set_apart(folder: Path, config: Mapping[str, Any]) -> list[str]:
    """Overrides that set a job apart in its study, by the plan that stands beside its folder.

    Args:
        folder: The job's folder.
        config: Its settings, with its record under ``record``.
    """
    plan = folder.parent / PLAN
    if not (config.get("study") and plan.is_file()):
        return []
    own = tuple((config.get("record") or {}).get("overrides") or ())
    parts = [[job.words for job in part.jobs] for part in read_parts(json.loads(plan.read_text()))]
    return what_differs(own, next((jobs for jobs in parts if own in jobs), []))


def title(folder: Path, config: Mapping[str, Any]) -> str:
    """What sets the job apart, else its folder's name."""
    return (" ".join(set_apart(folder, config)) or folder.name)[:LONGEST_NAME]


def tags(config: Mapping[str, Any]) -> list[str]:
    """Paper and table, from ``about.source``: "CCNN, Fig. 6" gives two."""
    source = (config.get("about") or {}).get("source") or ""
    words = [word.strip()[:LONGEST_TAG] for word in str(source).split(",")]
    return [word for word in words if word]
