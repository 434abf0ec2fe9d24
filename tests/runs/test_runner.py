import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig
from torch import Tensor

from facegeo.errors import UserError
from facegeo.files.shipped import conf_dir
from facegeo.geometry.light import to_linear
from facegeo.normals.generator import CasFNE
from facegeo.normals.photos import PhotoFolder
from facegeo.papers import paper_values
from facegeo.runs.evaluate import evaluate
from facegeo.runs.folder import config_hash, run_folder
from facegeo.runs.train import run
from facegeo.training.model_file import load_model, save_model

Compose = Callable[..., DictConfig]
SHORT = "procedure.steps={stage1:4,stage2:3,stage3:2}"
SESSIONS = Path(__file__).parents[1] / "fixtures" / "sessions"

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),
    pytest.mark.filterwarnings("ignore:Checkpoint directory .* exists and is not empty"),
]


@pytest.fixture(scope="module")
def trained(tiny_config: Compose, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a whole run."""
    out = tmp_path_factory.mktemp("runs")
    run(tiny_config(SHORT, f"out={out}", "name=run"))
    return out / "run"


def test_a_run_leaves_numbers_tables_pictures_and_a_model(trained: Path) -> None:
    names = {path.name for path in trained.iterdir()}
    assert names >= {"config.json", "split.json", "metrics.json", "model.safetensors"}
    for split in ("val", "test"):
        assert names >= {f"{split}.md", f"{split}.csv", f"{split}_ced.png", f"{split}_points.png"}
    metrics = json.loads((trained / "metrics.json").read_text())
    for split in ("val", "test"):
        for stage in ("stage1", "stage2", "stage3", "mean_shape"):
            assert 0 < metrics[f"{split}/{stage}/error_pct"] < 1000
    _, notes = load_model(trained)
    assert notes["results"] == metrics


def test_training_logs_its_expected_time_first(
    tiny_config: Compose,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    config = tiny_config(SHORT, f"out={tmp_path}", "name=run", "splits=[val]")
    run(config)
    assert "this takes about" not in caplog.text  # shorter than SHORT_S
    monkeypatch.setattr("facegeo.landmarks.fit.SHORT_S", 0.0)
    config.name = "another"
    run(config)
    assert "this takes about 0.5 minutes on this machine" in caplog.text


def test_the_same_command_again_gives_the_same_numbers(
    trained: Path, tiny_config: Compose, tmp_path: Path
) -> None:
    wanted = json.loads((trained / "metrics.json").read_text())
    assert run(tiny_config(SHORT, f"out={trained.parent}", "name=run")) == wanted
    assert run(tiny_config(SHORT, f"out={tmp_path}", "name=other")) == wanted


def test_a_model_is_measured_on_other_data_too(
    trained: Path, tiny_config: Compose, tmp_path: Path
) -> None:
    config = tiny_config(SHORT, f"out={tmp_path}", "name=run", "+data@also_on.others=fixture")
    config.also_on.others = config.data
    found = run(config)
    own = {name: value for name, value in found.items() if name.startswith("test/")}
    assert own
    assert {f"others/{name[5:]}": value for name, value in own.items()} == {
        name: value for name, value in found.items() if name.startswith("others/")
    }
    assert json.loads((tmp_path / "run" / "metrics.json").read_text()) == found
    assert (tmp_path / "run" / "others" / "test_points.png").is_file()


@pytest.mark.parametrize("name", ["test", "a.b"])
def test_also_on_refuses_names_of_splits(name: str, tiny_config: Compose, tmp_path: Path) -> None:
    config = tiny_config(SHORT, f"out={tmp_path}", "name=run")
    config.also_on = {name: config.data}
    with pytest.raises(UserError, match=f"also_on.{name}: wanted a name"):
        run(config)


def test_also_on_refuses_data_of_another_kind(tiny_config: Compose, tmp_path: Path) -> None:
    words = ["+data@also_on.others=fixture_sessions", f"also_on.others.root={SESSIONS}"]
    with pytest.raises(
        UserError, match=r"also_on.others is a Photoface.*: wanted faces with points"
    ):
        run(tiny_config(SHORT, f"out={tmp_path}", "name=run", *words))


def test_the_mean_shape_is_that_of_the_training_faces(trained: Path, tiny_faces: Path) -> None:
    """Worked out from the lists alone."""
    held_out = set(json.loads((trained / "split.json").read_text())["val"])

    def faces(name: str) -> tuple[list[str], torch.Tensor, torch.Tensor]:
        lines = [line.split() for line in (tiny_faces / name).read_text().splitlines()]
        numbers = torch.tensor([[float(v) for v in line[1:]] for line in lines])
        low, high = numbers[:, 0:4:2], numbers[:, 1:4:2]
        return [line[0] for line in lines], numbers[:, 4:].view(-1, 5, 2) - low[:, None], high - low

    names, points, sides = faces("trainImageList.txt")
    train = torch.tensor([name not in held_out for name in names])
    mean = (points[train] / sides[train][:, None]).mean(dim=0)
    assert train.sum() == 18
    _, points, sides = faces("testImageList.txt")
    errors = (mean * sides[:, None] - points).norm(dim=2) / sides[:, :1]
    got = json.loads((trained / "metrics.json").read_text())["test/mean_shape/error_pct"]
    assert got == pytest.approx(100 * errors.mean().item(), rel=1e-4)


@pytest.mark.parametrize(
    ("words", "changed"),
    [
        (
            ["task.optimizer.lr=0.5", "data.batch_size=7"],
            "data.batch_size: 5 there, 7 now; task.optimizer.lr: 0.001 there, 0.5 now",
        ),
        (
            ["~data.fit_val", "+task.optimizer.eps=0.1"],
            "data.fit_val: False there, none now; task.optimizer.eps: none there, 0.1 now",
        ),
    ],
    ids=["changed", "added-and-removed"],
)
def test_a_folder_of_another_configuration_is_refused(
    trained: Path, tiny_config: Compose, words: list[str], changed: str
) -> None:
    message = f"{trained} holds a run with another configuration ({changed}); choose another name="
    with pytest.raises(UserError, match=re.escape(message)):
        run(tiny_config(SHORT, f"out={trained.parent}", "name=run", *words))


WITHOUT_EFFECT = [
    *("out=elsewhere", "name=other", "splits=[val]", "trainer.enable_progress_bar=true"),
    *("trainer.accelerator=gpu", "logger=wandb", "data.cache_dir=x", "data.num_workers=2"),
]
WITH_EFFECT = [
    *("seed=1", "data.batch_size=6", "data.val_fraction=0.26", "data.augment.shake_sigma=0.02"),
    *("model.stages.stage3.sizes=[0.08,0.1]", "model.stages.stage2.mode=full"),
    *("task.optimizer.lr=0.002", "task.loss._target_=facegeo.landmarks.losses.WingLoss"),
    *("procedure.steps.stage3=9", "+trainer.gradient_clip_val=1"),
]


@pytest.mark.parametrize("override", [*WITHOUT_EFFECT, *WITH_EFFECT])
def test_hash_changes_with_every_number_of_the_result(tiny_config: Compose, override: str) -> None:
    changed = config_hash(tiny_config(override)) != config_hash(tiny_config())
    assert changed == (override in WITH_EFFECT)


def test_a_run_without_a_name_is_called_after_seed_and_hash(tiny_config: Compose) -> None:
    cfg = tiny_config("out=there", "seed=3")
    assert run_folder(cfg) == Path("there") / f"train-seed3-{config_hash(cfg)}"
    assert run_folder(tiny_config("out=there", "name=mine")) == Path("there/mine")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("procedure.steps=5", r"procedure\.steps must be \{KEY: VALUE\}, got 5"),
        ("data.batch_size=abc", r"data\.batch_size must be a whole number, got 'abc'"),
        ("task.scheduler=null", r"task\.scheduler must be an object, got None"),
        ("trainer.precision=foo", r"trainer\.precision must be 64, 32 or 16 or .*, got 'foo'"),
        ("splits=null", r"splits must be a list of val and test, such as \[val\], got None"),
        ("splits=[5]", r"splits must be a list .*, got \[5\]"),
        ("splits=[]", r"splits=\[\] measures nothing: name val, test or both"),
        ("also_on=foo", r"also_on must be data by name, .* got foo"),
        ("+also_on.x=5", r"also_on must be data by name, .* got \{'x': 5\}"),
    ],
)
def test_values_of_wrong_types_fail_before_a_folder_is_made(
    tiny_config: Compose, tmp_path: Path, override: str, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        run(tiny_config(f"out={tmp_path}", "name=run", override))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("splits=[tests]", "splits must be among train, val and test, got tests"),
        ("data.val_fraction=0", "there is no val face to measure: set data.val_fraction above 0"),
        ("data.test_list=none.txt", r"none\.txt: wanted a list of faces"),
        ("task.optimizer.lr=-1.0", r"task\.optimizer: Invalid learning rate: -1\.0; change its"),
        ("+task.optimizer.foo=1", r"there is no key task\.optimizer\.foo"),
        ("+trainer.strategy=foo", r"trainer: .*strategy='foo'.*; change trainer="),
    ],
)
def test_data_and_values_that_cannot_be_used_fail_before_a_batch(
    tiny_config: Compose, tmp_path: Path, override: str, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        run(tiny_config(f"out={tmp_path}", "name=run", override))
    assert not list(tmp_path.rglob("last.ckpt"))


def eval_config(trained: Path, *overrides: str) -> DictConfig:
    return composed("eval", f"checkpoint={trained}", "accelerator=cpu", *overrides)


def composed(command: str, *overrides: str) -> DictConfig:
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        return compose(command, list(overrides))


@pytest.fixture
def points(trained: Path, tiny_overrides: list[str]) -> list[str]:
    """The data of ``trained`` and its folder, for an evaluation."""
    data = [override for override in tiny_overrides if override.startswith("data")]
    return [*data, f"out={trained.parent}"]


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("data.eval_batch_size=abc", "data.eval_batch_size must be a whole number, got 'abc'"),
        ("splits=null", "splits must be a list of val and test"),
        ("name=../x", "name must be that of a new folder"),
    ],
)
def test_evaluate_checks_values(trained: Path, points: list[str], word: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        evaluate(eval_config(trained, *points, word))


def test_evaluation_of_a_run_gives_its_numbers(trained: Path, points: list[str]) -> None:
    wanted = json.loads((trained / "metrics.json").read_text())
    assert evaluate(eval_config(trained, *points, "splits=[val,test]", "name=again")) == wanted


@pytest.mark.parametrize("older", [False, True], ids=["", "notes-without-content"])
def test_held_out_faces_of_another_split_are_not_measured(
    trained: Path, points: list[str], tmp_path: Path, older: bool
) -> None:
    model, notes = load_model(trained)
    if older:
        del notes["split"]["content"]
    settings = json.loads((trained / "config.json").read_text())["model"]
    save_model(tmp_path / "model.safetensors", model, settings, notes)
    cfg = eval_config(tmp_path, *points, "splits=[val]", "data.split_seed=3")
    with pytest.raises(UserError, match=r"held out other faces .*may have seen these val faces"):
        evaluate(cfg)


def test_unknown_section_of_the_paper_raises() -> None:
    with pytest.raises(
        UserError, match=r"no section ccnn\.fig99 in experiments/paper_values\.yaml"
    ):
        paper_values("ccnn.fig99")


@pytest.fixture(scope="module")
def normals(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What makes any config one of tiny faces with normals, for both commands."""
    out = tmp_path_factory.mktemp("normals")
    return ["data=fixture_sessions", f"data.root={SESSIONS}", f"data.cache_dir={out}", f"out={out}"]


@pytest.fixture(scope="module")
def trained_normals(normals: list[str]) -> Path:
    """Folder of a run of one batch without a cascaded block."""
    out = Path(normals[-1].removeprefix("out="))
    options = ["experiment=casfne/paper", "trainer=smoke", "procedure.max_steps=1", "model.t=0"]
    options += ["data.batch_size=2", "trainer.log_every_n_steps=1", "name=run"]
    run(composed("train", *normals, *options))
    return out / "run"


def test_a_run_of_normals_leaves_its_numbers_and_evaluation_gives_them_again(
    trained_normals: Path, normals: list[str]
) -> None:
    names = {path.name for path in trained_normals.iterdir()}
    assert names >= {"config.json", "split.json", "metrics.json", "model.safetensors", "panels"}
    for split in ("val", "test"):
        assert names >= {f"{split}.md", f"{split}.csv", f"{split}_panels.png"}
    wanted = json.loads((trained_normals / "metrics.json").read_text())
    assert 0 < wanted["test/t0/mean_deg"] < 180
    cfg = eval_config(trained_normals, *normals, "splits=[val,test]", "name=again", "panels=true")
    assert evaluate(cfg) == wanted
    assert len(list((trained_normals.parent / "again" / "panels").glob("*.png"))) == 4
    _, notes = load_model(trained_normals)
    assert notes["results"] == wanted
    assert notes["weights"] == "none"
    assert notes["coding"] == "linear"


def test_an_evaluation_goes_to_a_logger(trained_normals: Path, normals: list[str]) -> None:
    cfg = eval_config(trained_normals, *normals, "name=logged", "logger=csv")
    evaluate(cfg)
    curves = trained_normals.parent / "logged" / "curves"
    header, values = next(curves.rglob("metrics.csv")).read_text().splitlines()
    assert "test/t0/mean_deg" in header.split(",")
    assert len(values.split(",")) == len(header.split(","))


def test_photos_need_no_ground_truth_and_are_shown_as_in_training(
    trained_normals: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[Tensor] = []
    monkeypatch.setattr(CasFNE, "forward", lambda net, image, t=0: (shown.append(image) or image,))
    photos = SESSIONS / "200000"
    given = ["data=photos", f"data.root={photos}", "data.size=32", f"out={tmp_path}", "name=seen"]
    assert evaluate(eval_config(trained_normals, *given)) == {}
    assert (tmp_path / "seen" / "photos_0000.png").is_file()
    stored = torch.stack([PhotoFolder(photos, 32)[row]["image"] for row in range(6)])
    torch.testing.assert_close(shown[0], to_linear(stored))


def test_evaluate_warns_about_faces_of_another_coding(
    trained_normals: Path, normals: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    for coding, doubted in (("linear", False), ("null", False), ("srgb", True)):
        evaluate(eval_config(trained_normals, *normals, f"data.coding={coding}", "name=doubted"))
        assert ("of the other coding" in caplog.text) == doubted


def test_a_cascade_measures_no_normals_and_a_generator_no_points(
    trained: Path, trained_normals: Path, normals: list[str], points: list[str]
) -> None:
    cfg = eval_config(trained, *normals, "name=cascade")
    with pytest.raises(UserError, match=r"finds points: wanted data=lfpw or generated, got data="):
        evaluate(cfg)
    with pytest.raises(
        UserError, match=r"finds normals: wanted data=sessions, photoface or photos, got"
    ):
        evaluate(eval_config(trained_normals, *points, "name=generator"))


def test_a_held_out_split_of_normals_must_be_the_trainings(
    trained_normals: Path, normals: list[str]
) -> None:
    cfg = eval_config(trained_normals, *normals, "splits=[val]", "data.split_seed=3")
    with pytest.raises(UserError, match=r"held out other faces .*may have seen these val faces"):
        evaluate(cfg)


def test_test_faces_that_were_trained_on_are_not_measured(
    normals: list[str], tmp_path: Path
) -> None:
    """Without a test list, the split says which faces were trained on."""
    one = [*normals[:3], f"out={tmp_path}", "data.test_list=null", "data.test_fraction=0.4"]
    options = ["experiment=casfne/paper", "trainer=smoke", "procedure.max_steps=1", "model.t=0"]
    run(composed("train", *one, *options, "splits=[val]", "name=run"))
    evaluate(eval_config(tmp_path / "run", *one, "name=same"))
    other = eval_config(tmp_path / "run", *one, "data.split_seed=5")
    with pytest.raises(UserError, match=r"split_seed: 0 there, 5 here.*have seen these test faces"):
        evaluate(other)


def test_training_refuses_photos_and_wrong_sizes(normals: list[str], tmp_path: Path) -> None:
    photos = ["experiment=casfne/paper", "data=photos", f"data.root={SESSIONS}", f"out={tmp_path}"]
    with pytest.raises(UserError, match=r"no ground truth to train on"):
        run(composed("train", *photos))
    odd = [*normals[:3], f"out={tmp_path}", "experiment=casfne/paper", "data.size=50"]
    with pytest.raises(UserError, match=r"data.size must be a multiple of 32, got 50; .*size=64"):
        run(composed("train", *odd))
