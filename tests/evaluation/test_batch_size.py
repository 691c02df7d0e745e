"""Tests of the choice of batch sizes on a simulated device."""

import logging
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import pytest
import torch

from bench.evaluation import batch_size as batching
from bench.evaluation.batch_size import Batches, finished_one_later, probe_batch_size
from bench.store import Fact

pytestmark = pytest.mark.blackbox

CUDA = torch.device("cuda")


def fits(limit: int, calls: list[int]) -> Callable[[Sequence[int]], list[int]]:
    """Return work that accepts up to the given number of items at once and records the numbers that it receives."""

    def work(batch: Sequence[int]) -> list[int]:
        calls.append(len(batch))
        if len(batch) > limit:
            raise torch.OutOfMemoryError("pretended")
        return [10 * item for item in batch]

    return work


def test_all_items_are_processed_once_in_order() -> None:
    calls: list[int] = []
    made = list(Batches(4).over(range(10), fits(64, calls)))
    assert made == [[0, 10, 20, 30], [40, 50, 60, 70], [80, 90]]
    assert calls == [4, 4, 2]
    assert list(Batches(4).over([], fits(64, []))) == []


def test_a_batch_that_does_not_fit_is_halved_for_the_rest(caplog: pytest.LogCaptureFixture) -> None:
    calls: list[int] = []
    with caplog.at_level(logging.WARNING):
        made = list(Batches(8).over(range(11), fits(3, calls)))
    assert [result for batch in made for result in batch] == [10 * item for item in range(11)]
    assert calls == [8, 4, 2, 2, 2, 2, 2, 1]
    assert [record.getMessage() for record in caplog.records] == [
        "a batch of 8 items does not fit into the device's memory; the run continues with smaller batches"
    ]


def test_a_batch_size_that_fits_is_kept() -> None:
    calls: list[int] = []
    batches = Batches(8)
    for _ in range(2):
        list(batches.over(range(4), fits(2, calls)))
    assert calls == [4, 2, 2, 2, 2]


def test_an_item_that_does_not_fit_alone_ends_the_run() -> None:
    with pytest.raises(torch.OutOfMemoryError, match="pretended"):
        list(Batches(4).over(range(4), fits(0, [])))


def test_other_errors_are_raised_at_once() -> None:
    calls: list[int] = []

    def broken(batch: Sequence[int]) -> None:
        calls.append(len(batch))
        raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        list(Batches(4).over(range(4), broken))
    assert calls == [4]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Replace the clock by one that only tests advance."""
    now = [0.0]
    monkeypatch.setattr(batching.time, "perf_counter", lambda: now[0])
    return now


def work_of(clock: list[float], fixed: float, each: float, limit: int = 1000) -> Callable[[Sequence[int]], None]:
    def work(batch: Sequence[int]) -> None:
        if len(batch) > limit:
            raise torch.OutOfMemoryError("pretended")
        clock[0] += fixed + each * len(batch)

    return work


def test_the_batch_is_doubled_while_that_is_faster(clock: list[float]) -> None:
    assert probe_batch_size(work_of(clock, 1.0, 0.0), range(64), device=CUDA) == 64
    assert probe_batch_size(work_of(clock, 1.0, 0.0), range(64), 16, device=CUDA) == 16
    assert probe_batch_size(work_of(clock, 1.0, 0.0), range(20), device=CUDA) == 16
    assert probe_batch_size(work_of(clock, 0.0, 1.0), range(64), device=CUDA) == 1
    assert probe_batch_size(work_of(clock, 1.0, 1.0), range(64), device=CUDA) == 16  # 32 are 3 % faster


def test_a_batch_size_that_does_not_fit_is_not_chosen(clock: list[float]) -> None:
    assert probe_batch_size(work_of(clock, 1.0, 0.0, limit=11), range(64), device=CUDA) == 8
    with pytest.raises(torch.OutOfMemoryError):
        probe_batch_size(work_of(clock, 1.0, 0.0, limit=0), range(64), device=CUDA)


def test_no_batch_size_is_tried_on_the_cpu() -> None:
    def never(batch: Sequence[int]) -> None:
        raise AssertionError("tried")

    assert probe_batch_size(never, range(64), device=torch.device("cpu")) == 8
    assert probe_batch_size(never, range(64), 4, device=torch.device("cpu")) == 4


def known(root: Path, device: str = "a device") -> Fact:
    return Fact(root, {"device": device})


def test_a_batch_size_is_remembered_for_its_device(tmp_path: Path, clock: list[float]) -> None:
    work = work_of(clock, 1.0, 0.0)
    first = Batches(None, known=known(tmp_path), device=CUDA)
    assert len(list(first.over(range(128), work))) == 2
    assert first.size == 64
    calls: list[int] = []
    list(Batches(None, known=known(tmp_path), device=CUDA).over(range(128), fits(64, calls)))
    assert calls == [64, 64]  # nothing is tried again
    list(Batches(None, known=known(tmp_path, "another"), device=CUDA).over(range(64), fits(64, [])))
    assert known(tmp_path, "another").recall() is not None


def test_a_reduced_batch_size_is_remembered(tmp_path: Path) -> None:
    known(tmp_path).remember({"size": 32})
    list(Batches(None, known=known(tmp_path), device=CUDA).over(range(64), fits(8, [])))
    assert (known(tmp_path).recall() or {})["size"] == 8


def test_a_configured_batch_size_neither_reads_nor_writes_the_memory(tmp_path: Path) -> None:
    known(tmp_path).remember({"size": 32})
    calls: list[int] = []
    list(Batches(8, known=known(tmp_path), device=CUDA).over(range(8), fits(4, calls)))
    assert calls == [8, 4, 4]
    assert (known(tmp_path).recall() or {})["size"] == 32


def test_a_batch_size_is_not_chosen_from_few_items(tmp_path: Path, clock: list[float]) -> None:
    batches = Batches(None, known=known(tmp_path), device=CUDA)
    list(batches.over(range(5), work_of(clock, 1.0, 0.0)))
    assert batches.size is None
    assert known(tmp_path).recall() is None


@pytest.mark.parametrize("damage", ["{", "[]", '{"schema_version": 1, "found": {"size": "many"}}', '{"found": 3}'])
def test_a_damaged_note_is_ignored(tmp_path: Path, clock: list[float], damage: str) -> None:
    known(tmp_path).remember({"size": 2})
    (note,) = (tmp_path / "measured").iterdir()
    note.write_text(damage)
    batches = Batches(None, known=known(tmp_path), device=CUDA)
    list(batches.over(range(64), work_of(clock, 1.0, 0.0)))
    assert (known(tmp_path).recall() or {})["size"] == 64


def test_remembering_in_a_read_only_store_raises_no_error(tmp_path: Path) -> None:
    (tmp_path / "measured").mkdir(mode=0o500)
    known(tmp_path).remember({"size": 2})


def test_each_batch_is_finished_after_the_next_is_queued() -> None:
    events: list[str] = []

    def queued(count: int) -> Iterator[Callable[[], int]]:
        for number in range(count):
            events.append(f"queue {number}")
            yield partial(finish, number)

    def finish(number: int) -> int:
        events.append(f"finish {number}")
        return number

    assert list(finished_one_later(queued(3))) == [0, 1, 2]
    assert events == ["queue 0", "queue 1", "finish 0", "queue 2", "finish 1", "finish 2"]
    assert list(finished_one_later(queued(1))) == [0]
    assert list(finished_one_later(queued(0))) == []


def test_a_batch_that_does_not_fit_does_not_lose_the_batch_that_is_not_finished() -> None:
    def work(batch: Sequence[int]) -> Callable[[], list[int]]:
        if len(batch) > 2 and batch[0] >= 4:
            raise torch.OutOfMemoryError("pretended")
        return lambda: list(batch)

    assert list(finished_one_later(Batches(4).over(range(9), work))) == [[0, 1, 2, 3], [4, 5], [6, 7], [8]]
