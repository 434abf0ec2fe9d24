"""Which values fit which annotations; in doubt a value does."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Optional, Protocol, TypedDict

import lightning  # noqa: F401  # its first import changes the environment
import pytest
import torch
from omegaconf import DictConfig
from torch import Tensor, nn

from facegeo.config_values import check_values, described, fits
from facegeo.errors import UserError
from facegeo.paths import conf_dir
from facegeo.run_folder import plain

if TYPE_CHECKING:
    from facegeo.types import StageBatch as Something

EXPERIMENTS = sorted(
    file.relative_to(conf_dir() / "experiment").with_suffix("").as_posix()
    for file in (conf_dir() / "experiment").rglob("*.yaml")
)


class Maker(Protocol):
    """Makes something."""

    def __call__(self) -> object:
        """Make it."""


class Pair(TypedDict):
    """Two numbers."""

    a: int
    b: int


class Toy:
    """Takes all sorts of arguments."""

    def __init__(  # type: ignore[no-untyped-def]
        self,
        width: int,
        *rest: int,
        inner: object = None,
        odd: Something = 3,  # type: ignore[assignment]
        loose: int = None,  # type: ignore[assignment]  # noqa: RUF013
        bare=1,  # noqa: ANN001
        names: Sequence[str] = (),
        **more: int,
    ) -> None: ...


@pytest.fixture(autouse=True)
def _toy_can_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "toy_values", sys.modules[__name__])


@pytest.mark.parametrize(
    ("hint", "good", "bad"),
    [
        (int, [3, -1], [3.5, "3", None, True, [3], {}]),
        (float, [3, 3.5, float("inf")], ["3", None, True, [3]]),
        (bool, [True, 0, 1], ["yes", 2, None, 0.5]),
        (str, ["a", ""], [3, None, True, ["a"]]),
        (None, [None], [0, "", []]),
        (int | None, [3, None], ["null"]),
        (Optional[float], [3, None], ["a"]),  # noqa: UP045
        (Literal["a", 3], ["a", 3], ["b", 4, None]),
        (Annotated[int, "px"], [3], ["a"]),
        (Sequence[float], [[], [1, 2.5]], [["a"], "a", 5, None, {"a": 1}]),
        (Sequence[str], [["a"]], ["a", [1]]),
        (tuple[float, str], [[1, "a"]], [[1], [1, 2], ["a", "a"]]),
        (tuple[int, ...], [[], [1, 2, 3]], [[1, "a"]]),
        (Iterable[Mapping[str, int]], [[{"a": 1}]], [[{"a": "b"}], "a"]),
        (Mapping[str, int], [{}, {"a": 1}], [{"a": "b"}, 5, [1], None, "a"]),
        (dict, [{"a": "b"}], [[1], 5]),
        (Path, ["a"], [5, None, ["a"]]),
        (torch.device, ["cuda"], [None, 0.5]),
        (float | Tensor, [1], ["a", [1.0]]),
        (Callable[[int], int], [{"_target_": "x"}], ["a", 5, None, {}]),
        (Maker, [{"_target_": "x"}], ["a", 5, None, {}]),
        (nn.Module, [{"_target_": "x"}], ["a", 5, None, [1]]),
        (Pair, [{"a": 1}], [5, "a"]),
        (Any, ["a", 5, None, [1], True], []),
        (object, ["a", 5, None, [1], True], []),
    ],
    ids=lambda value: None if isinstance(value, list) else str(value),
)
def test_values_fit_or_do_not(hint: object, good: list[object], bad: list[object]) -> None:
    assert [value for value in good if not fits(value, hint)] == []
    assert [value for value in bad if fits(value, hint)] == []


def toy(**values: object) -> dict[str, object]:
    return {"a": [{"toy": {"_target_": "toy_values.Toy", **values}}]}


def test_every_mistake_is_named_by_its_key() -> None:
    inner = toy(width=None)["a"]
    with pytest.raises(UserError) as error:
        check_values(toy(width="wide", names="abc", inner=inner))
    assert str(error.value) == (
        "a[0].toy.width must be a whole number, got 'wide'; "
        "a[0].toy.names must be a list, each text, got 'abc'; "
        "a[0].toy.inner[0].toy.width must be a whole number, got None"
    )


def test_what_is_not_known_is_left_to_the_object() -> None:
    check_values(toy(width=3, odd="x", loose=None, bare="x", rest="x", more="x", other="x"))
    check_values({"_target_": "toy_values.Gone", "width": "x"})
    check_values({"_target_": None, "width": "x"})
    check_values({"width": "x"})


@pytest.mark.parametrize(
    ("hint", "words"),
    [
        (float | None, "a number or null"),
        (Literal["raise", "skip"], "raise or skip"),
        (Mapping[str, Sequence[int]], "keys {KEY: VALUE}, each a list, each a whole number"),
        (list, "a list"),
        (Maker | bool, "an object (Maker) or true or false"),
        (Callable[..., int], "an object (Callable)"),
    ],
    ids=str,
)
def test_a_type_is_told_in_words(hint: object, words: str) -> None:
    assert described(hint) == words


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_shipped_experiment_is_free_of_mistakes(
    name: str, plain_config: Callable[..., DictConfig]
) -> None:
    check_values(plain(plain_config(f"experiment={name}", "data=fixture", "logger=wandb")))
