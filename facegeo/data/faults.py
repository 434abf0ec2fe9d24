"""Faults of a data set: collected one by one, reported in one message."""

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from facegeo.errors import UserError

OnError = Literal["raise", "skip"]
SPELLED_OUT = 100

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Fault:
    """What is wrong with one line of a list, or with the image that it names.

    Attributes:
        list_name: File name of the list.
        line: Line number in the list, from 1.
        image: Image path as the list has it, empty if the line shows none.
        wanted: What the line or image should hold.
        got: What it holds.
    """

    list_name: str
    line: int
    image: str
    wanted: str
    got: str

    def __str__(self) -> str:
        """One line: list, line number, image, wanted, got."""
        image = f", {self.image}" if self.image else ""
        text = f"{self.list_name} line {self.line}{image}: wanted {self.wanted}, got {self.got}"
        return text.encode("utf-8", "backslashreplace").decode()  # names need not be UTF-8


def faults_error(faults: Iterable[Fault], remedy: str) -> UserError:
    """Make the one error that reports all ``faults`` of a list.

    Args:
        faults: At least one fault; reported by line number, the first 20 in full.
        remedy: What the user can do, one sentence without a full stop.

    Returns:
        The error, to be raised by the caller.
    """
    ordered = sorted(faults, key=lambda fault: (fault.list_name, fault.line))
    shown = [f"  {fault}" for fault in ordered[:SPELLED_OUT]]
    if len(ordered) > SPELLED_OUT:
        shown.append(f"  ... and {len(ordered) - SPELLED_OUT} more")
    count = "1 fault" if len(ordered) == 1 else f"{len(ordered)} faults"
    return UserError("\n".join([f"{count} in the face data:", *shown, f"{remedy}."]))


def log_skipped(list_name: str, kept: int, skipped: Iterable[Fault]) -> None:
    """Count and list the faces that were left out, if any.

    Args:
        list_name: File name of the list.
        kept: Number of faces that are left.
        skipped: Faults of the others.
    """
    faults = sorted(skipped, key=lambda fault: fault.line)
    if faults:
        lines = "".join(f"\n  {fault}" for fault in faults)
        total = kept + len(faults)
        log.warning("%s: skipped %d of %d faces:%s", list_name, len(faults), total, lines)
