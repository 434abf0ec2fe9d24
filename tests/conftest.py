"""What every test may rely on: no window, no tracking server, an environment left as it was."""

import os
from collections.abc import Iterator

import pytest

os.environ["MPLBACKEND"] = "Agg"
os.environ["WANDB_MODE"] = "disabled"

# pytest counts tests in it; Lightning keeps the seed there for the workers it starts; torch
# chooses a folder when an optimizer first steps.
OFTEN_CHANGED = {
    "PYTEST_CURRENT_TEST",
    "PL_GLOBAL_SEED",
    "PL_SEED_WORKERS",
    "TORCHINDUCTOR_CACHE_DIR",
}


@pytest.fixture(autouse=True)
def _environment_left_as_it_was() -> Iterator[None]:
    before = dict(os.environ)
    yield
    after = dict(os.environ)
    os.environ.clear()
    os.environ.update(before)
    names = {name for name in before | after if before.get(name) != after.get(name)}
    changed = sorted(names - OFTEN_CHANGED)
    assert not changed, f"the test left environment variables changed: {changed}"
