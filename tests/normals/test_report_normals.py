import json
from pathlib import Path

import cv2
import pytest
import torch
from torch import Tensor, nn

from facegeo.errors import UserError
from facegeo.geometry.normals import angle_map, normalise
from facegeo.landmarks.nets import Cascade
from facegeo.normals.augment import FaceView, NormalAugment
from facegeo.normals.evaluate import noise, report_normals
from facegeo.normals.generator import CasFNE
from facegeo.normals.light_mixtures import LightMixturesDataModule
from facegeo.normals.mixtures import MixtureLight
from facegeo.normals.photo_effects import PhotoEffects
from facegeo.normals.photoface import PhotofaceDataModule
from facegeo.papers import paper_values

FIXTURE = Path(__file__).parents[1] / "fixtures" / "sessions"
FACE_PX = 128 + 4 + 18  # of a picture: tile, gap, note


class Oracle(nn.Module):
    """Knows the normals of all faces, and returns them rotated by 0, 90 or 180 degrees a stage."""

    def __init__(self, data: PhotofaceDataModule, *turns: int) -> None:
        super().__init__()
        self.turns, self.batches = turns, list[int]()
        (stored,) = data.in_order("test")
        faces = data.on_after_batch_transfer(stored, 0)
        self.images, self.normals = faces["image"], faces["normal"]

    def forward(self, image: Tensor, t: int | None = None) -> tuple[Tensor, ...]:
        assert torch.is_inference_mode_enabled()
        assert not self.training
        self.batches.append(len(image))
        rows = (self.images[None] - image[:, None]).abs().sum(dim=(2, 3, 4)).argmin(dim=1)
        truth = self.normals[rows]
        x, y, z = truth.unbind(dim=1)
        across = torch.stack([y, -x, torch.zeros_like(z)], dim=1)
        by_angle = {0: truth, 90: across, 180: -truth}
        turns = self.turns if t is None else self.turns[: t + 1]
        return tuple(by_angle[turn] for turn in turns)


class Flat(nn.Module):
    """A block that finds every face flat, whatever the normals given."""

    def prepare(self, structure: tuple[Tensor, ...]) -> None:
        """Nothing."""

    def forward(self, normals: Tensor, known: None) -> Tensor:
        return self.camera(normals)

    def camera(self, normals: Tensor) -> Tensor:
        return normals.new_tensor([0.0, 0, 1])[:, None, None].expand_as(normals)


class Halfway(Flat):
    """A block that turns normals half way towards the camera."""

    def forward(self, normals: Tensor, known: None) -> Tensor:
        return normalise(normals + self.camera(normals))


class Colours(nn.Module):
    """Takes colours for normals."""

    def forward(self, image: Tensor) -> tuple[Tensor]:
        return (2 * image - 1,)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tmp_path_factory.mktemp("cache"))


@pytest.fixture
def data(cache: str) -> PhotofaceDataModule:
    """Eight test faces."""
    return PhotofaceDataModule(str(FIXTURE), cache, NormalAugment(), size=32, val_fraction=0.25)


def test_every_t_is_measured_in_degrees(data: PhotofaceDataModule, tmp_path: Path) -> None:
    oracle = Oracle(data, 180, 90, 0).train()
    results = report_normals(oracle, data, tmp_path, ["test"])
    for t, degrees in enumerate((180, 90, 0)):
        below = 100 if degrees == 0 else 0
        for prefix in (f"test/t{t}/", f"test/t{t}/author_compat/"):
            assert results[f"{prefix}mean_deg"] == pytest.approx(degrees, abs=1e-3)
            assert results[f"{prefix}std_deg"] == pytest.approx(0, abs=0.1)  # a root of roundings
            assert results[f"{prefix}lt20_pct"] == below
    assert json.loads((tmp_path / "metrics.json").read_text()) == results
    assert not any("/t3/" in name for name in results)


def test_all_faces_of_the_splits_count_however_batched(cache: str, tmp_path: Path) -> None:
    def measured(batch: int) -> dict[str, float]:
        data = PhotofaceDataModule(
            str(FIXTURE), cache, NormalAugment(), size=32, eval_batch_size=batch, val_fraction=0.25
        )
        return report_normals(Colours(), data, tmp_path, ["val", "test"])

    one, other = measured(3), measured(32)
    assert one == pytest.approx(other, rel=1e-5)
    assert {name.split("/")[0] for name in one} == {"val", "test"}


def test_tables_name_the_data_the_split_and_the_papers_numbers(
    data: PhotofaceDataModule, tmp_path: Path
) -> None:
    paper = paper_values("casfne.table1_cascade_depth")
    report_normals(Oracle(data, 90, 0), data, tmp_path, ["test"], paper)
    text = (tmp_path / "test.md").read_text()
    title, rows = text.splitlines()[0], [line.split("|") for line in text.splitlines()[4:8]]
    assert title == f"**Photoface: 8 test images, 32 px, {data.split_kind}**"
    assert [row[1].strip() for row in rows] == ["t0", "t1", "t1 comp.", "paper t0"]
    assert [row[2].strip() for row in rows] == ["90.00", "0.00", "0.00", "10.21"]
    assert "paper t1" in text
    assert "paper t2" not in text  # we have no number to compare with it
    assert (tmp_path / "test.csv").read_text().startswith(",mean,std,")


@pytest.mark.parametrize(
    ("every", "pages"),
    [
        (False, {"test_panels.png": 6}),
        (True, {"panels/test_0000.png": 6, "panels/test_0001.png": 2}),
    ],
    ids=["a-few", "all"],
)
def test_panels_show_a_few_faces_or_all(
    data: PhotofaceDataModule, tmp_path: Path, every: bool, pages: dict[str, int]
) -> None:
    report_normals(Oracle(data, 0), data, tmp_path, ["test"], panels=every)
    pictures = {
        str(path.relative_to(tmp_path)): (cv2.imread(str(path)).shape[0] - 52 - 58) / FACE_PX
        for path in tmp_path.rglob("*.png")
    }
    assert pictures == pages


def test_a_refinement_is_compared_with_its_input_and_with_noise(
    data: PhotofaceDataModule, tmp_path: Path
) -> None:
    """A block of which both are known: halfway between the normals given and the camera."""
    torch.manual_seed(0)
    model = CasFNE(t=2)
    model.block = Halfway()
    results = report_normals(model, data, tmp_path, ["test"])
    flat = CasFNE(t=2)
    flat.block = Flat()
    ignoring = report_normals(flat, data, tmp_path, ["test"])
    assert ignoring["test/t1/normals_used_deg"] == pytest.approx(0, abs=1e-3)
    assert ignoring["test/t2/moved_deg"] == pytest.approx(0, abs=1e-3)
    assert ignoring["test/t1/moved_deg"] > 1
    (stored,) = data.in_order("test")
    batch = data.on_after_batch_transfer(stored, 0)
    with torch.no_grad():
        stages = model.eval()(batch["image"])
        refined = model.refine(batch["image"], noise(batch["sample"], data.size))
    for t in (1, 2):
        for name, other in (("moved", stages[t - 1]), ("normals_used", refined)):
            wanted = angle_map(other, stages[t])[batch["mask"]].mean()
            found = results[f"test/t{t}/{name}_deg"]
            assert found == pytest.approx(float(wanted), rel=1e-3)
            assert found > 0.1
    assert "test/t0/moved_deg" not in results
    rows = (tmp_path / "test_refinements.csv").read_text().splitlines()
    assert rows[0] == ",error,moved,used"
    assert [row.split(",")[0] for row in rows[1:]] == ["t0", "t1", "t2"]


def test_noise_is_that_of_the_face_and_looks_at_the_camera() -> None:
    found = noise(torch.tensor([3, 7]), 8)
    assert torch.equal(noise(torch.tensor([7]), 8)[0], found[1])
    assert not torch.equal(found[0], found[1])
    torch.testing.assert_close(found.norm(dim=1), torch.ones(2, 8, 8))
    assert found[:, 2].min() >= 0


def test_more_refinements_than_were_trained(data: PhotofaceDataModule, tmp_path: Path) -> None:
    results = report_normals(CasFNE(t=2), data, tmp_path, ["test"], t=4)
    assert sum(name.endswith("/median_deg") for name in results) == 5
    assert "test/t4/author_compat/mean_deg" in results


def test_refinements_of_a_model_without_a_block_are_refused(
    data: PhotofaceDataModule, tmp_path: Path
) -> None:
    message = r"refuses t or data.size: t must be .* built with t=0 it has no cascaded block"
    with pytest.raises(UserError, match=message):
        report_normals(CasFNE(t=0), data, tmp_path, ["test"], t=1)


def test_a_side_that_the_model_cannot_halve_is_refused(cache: str, tmp_path: Path) -> None:
    data = PhotofaceDataModule(str(FIXTURE), cache, NormalAugment(), size=24, val_fraction=0)
    with pytest.raises(UserError, match=r"refuses t or data\.size: .*multiples of 32"):
        report_normals(CasFNE(t=0), data, tmp_path, ["test"])


def test_a_model_of_points_is_refused(data: PhotofaceDataModule, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"ask for normals and the model finds points; give data="):
        report_normals(Cascade({}), data, tmp_path, ["test"])


def test_views_and_people_have_tables_of_their_own(prepared: Path, tmp_path: Path) -> None:
    """Three photographs of each of two people, and one mixture of each."""
    data = LightMixturesDataModule(
        "root",
        "cache",
        lambda root, cache_dir: prepared,
        light=MixtureLight(),
        view=FaceView(),
        effects=PhotoEffects(),
        val=[],
        test=["yaleB02", "yaleB05"],
        mixtures={"soft": {"A+035E+20": 0.5, "A-035E+20": 0.5}},
        max_azimuth_deg=15,
        max_elevation_deg=10,
        eval_batch_size=4,
        size=32,
    )
    results = report_normals(Colours(), data, tmp_path, ["test"])
    singles = [data.on_after_batch_transfer(raw, 0) for raw in data.in_order("test")]
    assert [len(batch["sample"]) for batch in singles] == [4, 2]
    angles = torch.cat(
        [angle_map(2 * batch["image"] - 1, batch["normal"])[:, 0] for batch in singles]
    )
    masks = torch.cat([batch["mask"][:, 0] for batch in singles])
    for person, rows in (("yaleB02", slice(0, 3)), ("yaleB05", slice(3, 6))):
        wanted = float(angles[rows][masks[rows]].mean())
        assert results[f"test/{person}/mean_deg"] == pytest.approx(wanted, rel=1e-4)
    assert results["test/t0/mean_deg"] == pytest.approx(float(angles[masks].mean()), rel=1e-4)
    (mixed,) = [data.on_after_batch_transfer(raw, 0) for raw in data.in_order("test", "mixtures")]
    angle = angle_map(2 * mixed["image"] - 1, mixed["normal"])[mixed["mask"]]
    assert results["test/mixtures/t0/mean_deg"] == pytest.approx(float(angle.mean()), rel=1e-4)
    average = data.average_face()
    assert average is not None
    truth = torch.cat([batch["normal"] for batch in singles])
    floor = angle_map(average.expand_as(truth), truth)[:, 0][masks].mean()
    assert results["test/average_face/mean_deg"] == pytest.approx(float(floor), rel=1e-4)
    assert (tmp_path / "test.csv").read_text().splitlines()[1].startswith("average face,")
    rows = (tmp_path / "test_people.csv").read_text().splitlines()
    assert rows[0] == ",mean,med.,<11.25,<20,<22.5,<25,<30"
    assert [row.split(",")[0] for row in rows[1:]] == ["all", "yaleB02", "yaleB05"]
    title = "**Extended Yale B (truth: our prepared normals): 2 test/mixtures images, 32 px, "
    assert (tmp_path / "test_mixtures.md").read_text().startswith(title)
    assert (tmp_path / "test_mixtures_people.md").is_file()
