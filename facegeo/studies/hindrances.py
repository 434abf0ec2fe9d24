"""What hinders the comparison of runs: other data, other code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from facegeo.studies.runs import StudyRun


def hindrances(done: Sequence[StudyRun], split: str) -> list[str]:
    """What is not the same among runs that are compared, and should be; a sentence each.

    Args:
        done: Finished runs.
        split: That is compared: "val", "test", or the name of other data.
    """
    notes = []
    for place in ("trained", "measured"):
        kinds = [_used_data(run.record, split).get(place) or {} for run in done]
        data = {str(d["hash"]): str(d.get("title", "")) for d in kinds if d.get("hash")}
        if len(data) > 1:
            named = ", ".join(f"{title} {key[:12]}" for key, title in data.items())
            notes.append(
                f"The runs were {place} on different data ({named}): their numbers do not compare."
            )
    commits = sorted({commit[:10] for run in done for commit in _commits(run.record)})
    if len(commits) > 1:
        notes.append(f"The runs are of different commits: {', '.join(commits)}.")
    return notes


def _used_data(record: Mapping[str, Any], split: str) -> dict[str, Mapping[str, Any]]:
    """What a run was ``trained`` on and, if it is known, ``measured`` on: title, hash, kind."""
    trained = record.get("data") or {}
    other = (record.get("also_on") or {}).get(split)
    if other is None and split == "test" and trained.get("test_hash"):
        other = {"hash": trained["test_hash"], "title": trained.get("title")}
    return {"trained": trained} | ({"measured": other} if other else {})


def _commits(record: Mapping[str, Any]) -> list[str]:
    last = (record.get("git") or {}).get("commit")
    return [str(commit) for commit in record.get("commits") or ([last] if last else [])]
