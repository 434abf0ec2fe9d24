"""facegeo-profile: what it prints, and what it says to a format it does not know."""

import json
from collections.abc import Callable

import pytest

from facegeo.cli.profile import main

Profile = Callable[..., str]


@pytest.fixture
def profile(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Profile:
    """Run the command in this process; return what it printed."""

    def run(*arguments: str) -> str:
        monkeypatch.setattr("sys.argv", ["facegeo-profile", *arguments])
        main()
        return capsys.readouterr().out

    return run


def test_json_has_the_papers_count(profile: Profile) -> None:
    totals = json.loads(profile("format=json"))
    assert totals["weights"] == 643_920
    assert totals["parameters"] == 647_102
    assert totals["nets"]["EN1"]["layers"][0]["weights"] == 960


def test_the_table_follows_the_config(profile: Profile) -> None:
    lines = profile("model.stages.stage1.net.hidden=60").splitlines()
    total = next(line.split() for line in lines if "all together" in line)
    # each of three nets loses 60 * 540 weights of fc1 and 60 * (10 | 6 | 6) of fc2
    assert total[3] == f"{643_920 - 3 * 60 * 540 - 60 * 22:,}"


def test_the_generator_as_json(profile: Profile) -> None:
    counts = json.loads(profile("model=casfne", "model.t=1", "format=json"))
    assert counts["parameters"] == 18_102_758
    assert counts["macs"] == counts["t"][1]["macs"] == 5_441_060_864


def test_the_generators_table_has_the_papers_figures_beside(profile: Profile) -> None:
    lines = profile("experiment=casfne/paper").splitlines()
    row = next(line.split() for line in lines if line.strip().startswith("t=0"))
    assert row == ["t=0", "11,767,683", "3.57", "t=1", "22.94", "14.17", "22.9", "14.2"]


def test_another_generator_is_counted_as_a_whole(profile: Profile) -> None:
    assert json.loads(profile("model=carn", "format=json"))["parameters"] == 816_451
    lines = profile("model=restormer", "model.dim=48").splitlines()
    row = next(line.split() for line in lines if line.strip().startswith("Restormer"))
    assert row == ["Restormer", "26,126,644", "154.88", "13.89"]


def test_an_unknown_format_is_the_users_mistake(
    profile: Profile,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit, match="2"):
        profile("format=xml")
    assert "format must be table or json, got xml" in capsys.readouterr().err


def test_another_network_is_the_users_mistake(
    profile: Profile,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit, match="2"):
        profile("model._target_=torch.nn.Identity")
    assert "got Identity from model._target_=torch.nn.Identity" in capsys.readouterr().err
