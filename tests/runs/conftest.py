"""A module in place of W&B's."""

import sys
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest


@dataclass
class FakeRun:
    """What a job asked of W&B; the call named ``broken`` raises."""

    dir: str
    offline: bool
    broken: str | None
    url: str = "https://wandb.example/run"
    logged: list[dict[str, Any]] = field(default_factory=list)
    defined: dict[str, dict[str, Any]] = field(default_factory=dict)
    config: Any = None
    summary: Any = None
    exits: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.config, self.summary = FakeValues(self, "config"), FakeValues(self, "summary")

    def may(self, call: str) -> None:
        if call == self.broken:
            raise RuntimeError(f"no {call} today")

    def log(self, point: dict[str, Any]) -> None:
        self.may("log")
        self.logged.append(point)

    def define_metric(self, name: str, **options: Any) -> None:
        self.defined[name] = options

    def finish(self, exit_code: int) -> None:
        self.exits.append(exit_code)
        self.may("finish")


class FakeValues(dict[str, Any]):
    def __init__(self, run: FakeRun, name: str) -> None:
        self.run, self.name = run, name

    def update(self, values: dict[str, Any], allow_val_change: bool = False) -> None:  # type: ignore[override]
        self.run.may(self.name)
        super().update(values)


class FakeWandb(SimpleNamespace):
    """Takes the place of the module."""

    def __init__(self) -> None:
        super().__init__(broken=None, logged_in=True, runs=[], asked=[], torn_down=0)

    def login(self, prompt: bool, verify: bool) -> bool:
        assert not prompt
        assert not verify
        return bool(self.logged_in)

    def Settings(self, **settings: Any) -> dict[str, Any]:  # noqa: N802
        return settings

    def Image(self, path: str) -> str:  # noqa: N802
        return f"picture {path}"

    def init(self, **asked: Any) -> FakeRun:
        self.asked.append(asked)
        if self.broken in ("init", f"{asked['mode']} init"):
            raise RuntimeError("no init today\nbecause")
        folder = f"{asked['dir']}/wandb/run-1/files"
        self.runs.append(FakeRun(folder, asked["mode"] == "offline", self.broken))
        return self.runs[-1]  # type: ignore[no-any-return]

    def teardown(self) -> None:
        self.torn_down += 1


@pytest.fixture
def wandb(monkeypatch: pytest.MonkeyPatch) -> FakeWandb:
    fake = FakeWandb()
    monkeypatch.setitem(sys.modules, "wandb", fake)  # type: ignore[arg-type]
    return fake
