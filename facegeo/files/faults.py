"""Faults of a data set: collected one by one, reported in one message."""

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from facegeo.errors import UserError

OnError = Literal["raise", "skip"]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Fault:
    """What is wrong with one line of a list, or with the image that it names.

    Attributes:
        list_name: File name of the list.
        line: Line number in the list, from 1.
        image: Image path as written in the list, empty if the line has none.
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


class WantedError(ValueError):
    """A file, or a part of one, that cannot be used.

    Attributes:
        wanted: What was wanted.
        got: What came.
        file: Name of the file in its list; empty where the caller knows it.
    """

    def __init__(self, wanted: str, got: str, file: str = "") -> None:
        super().__init__(wanted, got)
        self.wanted, self.got, self.file = wanted, got, file


class FaultsError(UserError):
    """The one error that reports all faults of a data set, each on its line.

    Args:
        faults: At least one; reported list by list, in the order of their lines.
        remedy: What the user can do, one sentence without a full stop.
    """

    def __init__(self, faults: Iterable[Fault], remedy: str) -> None:
        faults = tuple(faults)
        lists = list(dict.fromkeys(fault.list_name for fault in faults))
        ordered = sorted(faults, key=lambda fault: (lists.index(fault.list_name), fault.line))
        self.faults, self.remedy = tuple(ordered), remedy
        count = "1 fault" if len(ordered) == 1 else f"{len(ordered)} faults"
        shown = [f"  {fault}" for fault in ordered]
        super().__init__("\n".join([f"{count} in the face data:", *shown, f"{count}: {remedy}."]))


def read_all(readers: Iterable[Callable[[], object]]) -> None:
    """Call all readers, so that the faults of every list are reported together.

    Raises:
        FaultsError: With the faults of all readers, if there are any.
        UserError: As soon as a reader raises another one.
    """
    errors = []
    for reader in readers:
        try:
            reader()
        except FaultsError as error:
            errors.append(error)
    if errors:
        raise FaultsError([fault for error in errors for fault in error.faults], errors[0].remedy)


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
