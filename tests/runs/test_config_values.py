"""Which values fit which annotations; what is not known does."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import lightning  # noqa: F401  # its first import changes the environment
import pytest
import torch
from omegaconf import DictConfig
from torch import nn

from facegeo.errors import UserError
from facegeo.files.shipped import conf_dir
from facegeo.runs.folder import plain
from facegeo.runs.jobs import check_values

if TYPE_CHECKING:
    from facegeo.landmarks.views import StageBatch as Something

EXPERIMENTS = sorted(
    file.relative_to(conf_dir() / "experiment").with_suffix("").as_posix()
    for file in (conf_dir() / "experiment").rglob("*.yaml")
)


class Toy:
    """Takes all sorts of arguments."""

    def __init__(  # type: ignore[no-untyped-def]
        self,
        width: int = 1,
        *rest: int,
        rate: float | None = 1,
        kind: Literal["a", 3] = 3,
        names: Sequence[str] = (),
        steps: int | Mapping[str, int] = 1,
        pair: tuple[int, str] = (1, "a"),
        place: Path = Path(),
        on: torch.device = torch.device("cpu"),  # noqa: B008
        make: Callable[[int], int] = abs,
        net: nn.Module = nn.Identity(),  # noqa: B008
        loose: int = None,  # type: ignore[assignment]  # noqa: RUF013
        bare=1,  # noqa: ANN001
        inner: object = None,
        **more: int,
    ) -> None: ...


class Odd:
    """Says with a function what it takes."""

    def __init__(self, width: int, reduce: callable = None) -> None: ...  # type: ignore  # noqa: RUF013


class Hidden:
    """Has a type that only type checkers know."""

    def __init__(self, width: int, odd: Something) -> None: ...


@pytest.fixture(autouse=True)
def _toy_can_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "toy_values", sys.modules[__name__])


@pytest.mark.parametrize(
    ("key", "good", "bad"),
    [
        ("width", [3, -1, {"_target_": "x"}], [3.5, "3", None, True, [3]]),
        ("rate", [3, 3.5, float("inf"), None], ["3", True, [3]]),
        ("kind", ["a", 3], ["b", 4, None]),
        ("names", [[], ["a"]], ["a", [1], None]),
        ("steps", [5, {"a": 1}], ["a", {"a": "b"}]),
        ("pair", [[1, "a"]], [[1], ["a", "a"]]),
        ("place", ["a"], [5, None]),
        ("on", ["cuda"], [None, 0.5]),
        ("make", [{"_target_": "x"}], ["a", 5, None]),
        ("net", [{"_target_": "x"}, "a"], [5, None, [1]]),
        ("loose", [3, None], ["a"]),
        ("bare", ["a", 5, None, [1]], []),
        ("inner", ["a", 5, None, [1]], []),
    ],
)
def test_check_values_accepts_and_refuses_by_type(
    key: str, good: list[object], bad: list[object]
) -> None:
    for value in good:
        check_values({"_target_": "toy_values.Toy", key: value})
    for value in bad:
        with pytest.raises(UserError, match=rf"^{key} must be .*, got "):
            check_values({"_target_": "toy_values.Toy", key: value})


def toy(**values: object) -> dict[str, object]:
    return {"a": [{"toy": {"_target_": "toy_values.Toy", **values}}]}


def test_check_values_names_every_key() -> None:
    inner = toy(width=None)["a"]
    with pytest.raises(UserError) as error:
        check_values(toy(width="wide", names="abc", inner=inner))
    assert str(error.value) == (
        "a[0].toy.width must be a whole number, got 'wide'; "
        "a[0].toy.names must be a list, got 'abc'; "
        "a[0].toy.inner[0].toy.width must be a whole number, got None"
    )


def test_check_values_ignores_unknown_arguments() -> None:
    check_values(toy(bare="x", rest="x", more="x", other="x"))
    check_values({"_target_": "toy_values.Hidden", "width": "x"})
    check_values({"_target_": "toy_values.Odd", "width": "x"})
    check_values({"_target_": "toy_values.Gone", "width": "x"})
    check_values({"_target_": None, "width": "x"})
    check_values({"width": "x"})


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_shipped_experiment_is_valid(
    name: str, plain_config: Callable[..., DictConfig]
) -> None:
    data = "data=fixture" if name.startswith("ccnn") else "data=fixture_sessions"
    if name.startswith("casfne/ingredients/"):  # they say what each part of the data gives
        data = "data.root=DIR"
    check_values(plain(plain_config(f"experiment={name}", data, "logger=wandb")))


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("+data.augment.shake=1", r"no key data\.augment\.shake, perhaps shake_sigma is meant"),
        ("+task.optimizer.lrr=1", r"no key task\.optimizer\.lrr, perhaps lr is meant"),
        ("data.augment.rotations_deg=[]", r"rotations_deg must have at least 1 item.*got \[\]"),
    ],
)
def test_check_values_refuses_unknown_and_empty_settings(
    word: str, message: str, plain_config: Callable[..., DictConfig]
) -> None:
    with pytest.raises(UserError, match=message):
        check_values(plain(plain_config("experiment=ccnn/tuned", "data=fixture", word)))
