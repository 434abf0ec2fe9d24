import json
import math

from facegeo.runs.wandb import from_config, from_summary, to_config, to_summary


def test_settings_survive_wandb_which_drops_empty_mappings() -> None:
    settings = {"task": {"weights": {}}, "seed": 0, "rate": math.inf, "none": None, "list": []}
    config = to_config(settings)
    assert config["seed"] == 0  # to group and filter by
    del config["task"]
    assert from_config(config) == settings


def test_a_run_of_something_else_has_no_settings() -> None:
    assert from_config({"lr": 0.1}) == {}


def test_numbers_that_json_does_not_have_come_back() -> None:
    metrics = {"a": 0.1 + 0.2, "b": math.inf, "c": -math.inf, "d": 3.0}
    summary = to_summary(metrics | {"e": math.nan})
    text = json.dumps(summary, allow_nan=False).replace("3.0", "3")  # as W&B writes it
    found = from_summary(json.loads(text))
    assert math.isnan(found.pop("e"))
    assert found == metrics
    assert isinstance(found["d"], float)  # a table shows it with decimals


def test_pictures_and_entries_of_wandb_are_no_metrics() -> None:
    summary = {"_step": 3, "panels/faces": {"_type": "images"}, "note": "x", "test/error": 1.5}
    assert from_summary(summary) == {"test/error": 1.5}
