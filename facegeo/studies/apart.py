"""One study for each base: runs on other data, or of other lengths, are no rows of one table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from facegeo.studies.runs import Study, StudyRun, identities

STRANGERS = "Runs that no command of this study asks for now: of older defaults, say."


def apart(studies: Sequence[Study]) -> list[Study]:
    """Divide studies by the parts of their plans; each has another name.

    A run that no part asks for stands with a search, whose jobs nobody can list, or with commands
    that have no axes of their own; else by itself.
    """
    found = [part for study in studies for part in _parts(study)]
    names = Counter(study.name for study in found)
    return [
        replace(study, name=f"{study.name} #{number}") if names[study.name] > 1 else study
        for number, study in enumerate(found, start=1)
    ]


def _parts(study: Study) -> list[Study]:
    homes: dict[str | frozenset[str], list[int | None]] = {}
    for place, part in enumerate(study.parts):
        for job in part.jobs:
            homes.setdefault(job.identity, []).append(place)
    open_to_all = [
        place for place, part in enumerate(study.parts) if part.trials is not None or not part.base
    ]
    guests = open_to_all[0] if open_to_all else None
    runs: dict[int | None, list[StudyRun]] = {}
    for run in study.runs:
        known = next((homes[key] for key in identities(run) if key in homes), [guests])
        for home in known:  # commands may have jobs in common
            runs.setdefault(home, []).append(run)
    several = len(study.parts) > 1
    found = [
        replace(
            study,
            name=f"{study.name}: {part.told or 'as configured'}" if several else study.name,
            runs=tuple(runs.get(place, ())),
            plan=part.jobs,
            about=study.about if part.about is None else part.about,
            command=part.command,
            trials=part.trials,
        )
        for place, part in enumerate(study.parts)
    ]
    if runs.get(None):
        named = f"{study.name}: others" if found else study.name
        notes = (*study.notes, STRANGERS) if found else study.notes
        found.append(replace(study, name=named, runs=tuple(runs[None]), plan=(), notes=notes))
    return found or [study]
