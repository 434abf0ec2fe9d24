"""Training, validation and test people, listed by name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from facegeo.errors import UserError


@dataclass(frozen=True)
class PeopleSplit:
    """Who is in which split; nobody is in two.

    Attributes:
        train: Names of the people to train on; None takes all that are in no other split.
        val: Names of the people for every choice.
        test: Names of the people to test on.
    """

    train: Sequence[str] | None
    val: Sequence[str]
    test: Sequence[str]

    def __post_init__(self) -> None:
        seen: dict[str, str] = {}
        faults = []
        for split, names in self._listed.items():
            for name in names:
                if name in seen:
                    faults.append(f"{name} in {seen[name]} and {split}")
                seen[name] = split
        if faults:
            raise UserError(
                f"data.train, val and test must not share people, got {'; '.join(faults)}: a "
                "person in two splits would be tested on what was trained on"
            )

    @property
    def _listed(self) -> dict[str, Sequence[str]]:
        return {"train": self.train or (), "val": self.val, "test": self.test}

    def rows(self, names: Sequence[str]) -> dict[str, list[int]]:
        """Rows of the people of each split.

        Args:
            names: Of all people.

        Raises:
            UserError: If a listed person is not among them.
        """
        place = {name: row for row, name in enumerate(names)}
        unknown = [name for own in self._listed.values() for name in own if name not in place]
        if unknown:
            raise UserError(
                f"data.train, val or test name people that are not in data.root: "
                f"{', '.join(unknown)}; it holds {', '.join(names)}"
            )
        rows = {split: [place[name] for name in own] for split, own in self._listed.items()}
        if self.train is None:
            held_out = {*rows["val"], *rows["test"]}
            rows["train"] = [row for row in range(len(names)) if row not in held_out]
        return rows
