"""Shapes, ranges and configured values: what passes, and what messages say."""

from typing import Annotated

import pytest
import torch
from pydantic import Field, PositiveInt

from facegeo.checks import check_range, check_shape, checked
from facegeo.errors import UserError


def test_letters_are_remembered_across_arguments() -> None:
    sizes: dict[str, int] = {}
    check_shape("pred", torch.zeros(4, 3, 6, 8), "B", 3, "H", "W", sizes=sizes)
    check_shape("mask", torch.zeros(4, 1, 6, 8), "B", 1, "H", "W", sizes=sizes)
    assert sizes == {"B": 4, "H": 6, "W": 8}


def test_message_shows_the_tied_size_and_the_shape_that_came() -> None:
    sizes = {"B": 4, "H": 256, "W": 256}
    wanted = r"^target must have shape \(4, 3, 256, 256\), got \(4, 256, 256, 3\)$"
    with pytest.raises(ValueError, match=wanted):
        check_shape("target", torch.zeros(4, 256, 256, 3), "B", 3, "H", "W", sizes=sizes)


def test_unknown_letters_stay_letters_in_the_message() -> None:
    with pytest.raises(ValueError, match=r"pred must have shape \(B, 5, 2\), got \(5, 2\)"):
        check_shape("pred", torch.zeros(5, 2), "B", 5, 2)


@pytest.mark.parametrize(
    "shape", [(), (2,), (2, 3), (2, 2, 2)], ids=["no-dims", "too-few", "not-square", "too-many"]
)
def test_a_repeated_letter_is_one_size(shape: tuple[int, ...]) -> None:
    check_shape("matrix", torch.zeros(2, 2), "N", "N")
    with pytest.raises(ValueError, match=r"matrix must have shape \(N, N\), got"):
        check_shape("matrix", torch.zeros(shape), "N", "N")


def test_a_failed_check_leaves_the_sizes_unchanged() -> None:
    sizes: dict[str, int] = {}
    with pytest.raises(ValueError, match=r"a must have shape \(B, 5\), got \(2, 4\)"):
        check_shape("a", torch.zeros(2, 4), "B", 5, sizes=sizes)
    assert sizes == {}


def test_one_dimension_is_written_as_a_tuple() -> None:
    with pytest.raises(ValueError, match=r"width must have shape \(3,\), got \(2,\)"):
        check_shape("width", torch.zeros(2), 3)


@pytest.mark.parametrize("value", [-0.1, 1.1, float("nan")])
def test_range_rejects_values_outside(value: float) -> None:
    with pytest.raises(ValueError, match=rf"^dropout must be in \[0, 1\], got {value:g}$"):
        check_range("dropout", value, 0, 1)


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_range_includes_its_ends(value: float) -> None:
    check_range("dropout", value, 0, 1)


@checked(prefix="thing.", strict=True)
class Thing:
    def __init__(
        self, model: str, share: Annotated[float, Field(ge=0, le=1)] = 0.5, count: PositiveInt = 1
    ) -> None:
        self.values = (model, share, count)


def test_configured_values_of_the_right_types_pass() -> None:
    assert Thing("a").values == ("a", 0.5, 1)
    assert Thing("a", 1, count=7).values == ("a", 1, 7)


@pytest.mark.parametrize(
    ("args", "kwargs", "message"),
    [
        (("a", "x"), {}, "thing.share must be a number, got 'x'"),
        (("a", float("nan")), {}, "thing.share must be .*, got nan"),
        (("a",), {"share": True}, "thing.share must be a number, got True"),
        (
            ("a",),
            {"count": 1.5, "share": 2},
            r"thing.share .* 1, got 2; thing.count .*1\.5",
        ),
        ((), {}, "thing.model is missing"),
        (("a",), {"cuont": 2}, "there is no key thing.cuont"),
    ],
    ids=["text", "nan", "flag", "all-at-once", "missing", "unknown"],
)
def test_wrong_configured_values_are_named_all_at_once(
    args: tuple[object, ...], kwargs: dict[str, object], message: str
) -> None:
    with pytest.raises(UserError, match=f"^{message}$"):
        Thing(*args, **kwargs)  # type: ignore[arg-type]
