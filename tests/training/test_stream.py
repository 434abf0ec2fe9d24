import pytest
import torch
from torch.utils.data import Dataset

from facegeo.training.stream import BatchStream, Draw, ResumableLoader, seeded


class Rows(Dataset[list[Draw]]):
    def __getitems__(self, draws: list[Draw]) -> list[Draw]:
        return draws


def _same(batch: list[Draw]) -> list[Draw]:
    return batch


def loader(
    rows: int = 7, batch_size: int = 3, batches: int = 9, workers: int = 0
) -> ResumableLoader:
    stream = BatchStream(rows, batch_size, batches, seed=5)
    return ResumableLoader(
        Rows(),
        batch_sampler=stream,
        num_workers=workers,
        collate_fn=_same,
        generator=torch.Generator(),
    )


def test_every_row_comes_once_an_epoch_and_batches_are_full() -> None:
    batches = list(BatchStream(rows=7, batch_size=3, batches=14, seed=0))
    assert [len(batch) for batch in batches] == [3] * 14
    draws = [draw for batch in batches for draw in batch]
    for epoch in range(6):
        seen = draws[7 * epoch : 7 * (epoch + 1)]
        assert {number for number, _ in seen} == {epoch}
        assert sorted(row for _, row in seen) == list(range(7))


@pytest.mark.parametrize(("batches", "world", "epochs"), [(14, 1, 6), (15, 1, 7), (7, 2, 6)])
def test_epochs_are_those_that_batches_touch(batches: int, world: int, epochs: int) -> None:
    parts = [BatchStream(7, 3, batches, 0, rank, world) for rank in range(world)]
    assert [part.epochs for part in parts] == [epochs] * world
    assert 1 + max(epoch for part in parts for batch in part for epoch, _ in batch) == epochs


def test_a_batch_may_be_larger_than_the_data() -> None:
    (batch,) = BatchStream(rows=2, batch_size=5, batches=1, seed=0)
    assert [epoch for epoch, _ in batch] == [0, 0, 1, 1, 2]


def test_order_depends_on_seed_and_epoch() -> None:
    def order(seed: int) -> list[list[int]]:
        epochs = BatchStream(rows=50, batch_size=50, batches=2, seed=seed)
        return [[row for _, row in epoch] for epoch in epochs]

    assert order(0) == order(0)
    assert order(0)[0] != order(0)[1]
    assert order(0)[0] != order(1)[0]


def test_a_batch_does_not_depend_on_where_one_starts() -> None:
    stream = BatchStream(rows=7, batch_size=3, batches=9, seed=0)
    whole = list(stream)
    stream.start = 5
    assert list(stream) == whole[5:]
    assert list(BatchStream(rows=7, batch_size=3, batches=4, seed=0)) == whole[:4]


def test_processes_share_the_joint_batch() -> None:
    joint = list(BatchStream(rows=7, batch_size=6, batches=5, seed=0))
    parts = [list(BatchStream(7, 2, 5, seed=0, rank=rank, world=3)) for rank in range(3)]
    assert [a + b + c for a, b, c in zip(*parts, strict=True)] == joint


def test_seeded_generators_differ_by_each_number_and_their_order() -> None:
    numbers = [(0,), (1,), (0, 0), (0, 1), (1, 0), (0, 0, 1), (2**64 - 1,), (1, 2), (2, 1)]
    draws = [torch.rand(4, generator=seeded(*key)) for key in numbers]
    assert len({tuple(draw.tolist()) for draw in draws}) == len(numbers)
    torch.testing.assert_close(torch.rand(4, generator=seeded(2, 1)), draws[-1], rtol=0, atol=0)


def test_loader_resumes_from_its_state() -> None:
    first, second = loader(), loader()
    assert first.state_dict() == {"batches": 0}
    whole, some = list(loader()), []
    for batch in first:
        some.append(batch)
        if len(some) == 4:
            break
    assert first.state_dict() == {"batches": 4}
    second.load_state_dict({"batches": 4})
    assert some + list(second) == whole
    assert list(second) == whole  # the next pass starts over


def test_state_counts_batches_handed_out_not_those_fetched_ahead() -> None:
    first = loader(workers=1)
    next(iter(first))
    assert first.state_dict() == {"batches": 1}


def test_loading_draws_nothing_from_the_global_generator() -> None:
    torch.manual_seed(0)
    before = torch.get_rng_state()
    list(loader())
    assert torch.equal(torch.get_rng_state(), before)
