"""Tests of the decoder's trainer: resumed and distributed training, and refusals."""

import json
import os
import signal
import subprocess
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch

from bench.errors import BadInputError, TerminatedError
from bench.runtime.device import choose_device
from bench.runtime.distributed import World
from bench.training.objective import DecoderStep, Objective
from bench.training.recipe import WarmupCosine
from bench.training.trainer import DecoderTraining, default_workers, device_ids, posterior_noise
from tests.helpers import torchrun
from tests.training.small import recipe, training, write_pictures
from tests.training.two_processes import losses_of

TWO_PROCESSES = Path(__file__).parent / "two_processes.py"
UPDATES = 8
"""Number of updates of a training that one and two processes repeat."""


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pictures(tmp_path_factory.mktemp("pictures"))


def losses(run: DecoderTraining, *, stop: int | None = None) -> list[dict[str, float]]:
    found = []
    for update in run.updates():
        found.append(update.losses)
        if update.step == stop:
            break
    return found


def equal(first: torch.nn.Module, second: torch.nn.Module) -> bool:
    pairs = zip(first.state_dict().values(), second.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


def assert_equal_networks(first: DecoderTraining, second: DecoderTraining) -> None:
    assert equal(first.decoder, second.decoder)
    assert first.discriminator is not None
    assert second.discriminator is not None
    assert equal(first.discriminator, second.discriminator)


@pytest.mark.property
@pytest.mark.parametrize("stop", [2, 3, 5])
def test_a_resumed_training_equals_an_uninterrupted_one(pictures: Path, tmp_path: Path, stop: int) -> None:
    whole = training(pictures, tmp_path / "whole")
    expected = losses(whole)
    losses(training(pictures, tmp_path / "broken"), stop=stop)
    resumed = training(pictures, tmp_path / "broken")
    done = stop - 1  # an update is saved when the next is asked for, and only every second one
    assert resumed.step == done - done % 2
    assert expected[resumed.step :] == losses(resumed)
    assert_equal_networks(resumed, whole)


@pytest.mark.blackbox
def test_the_newest_checkpoints_are_kept_and_nothing_partial(pictures: Path, tmp_path: Path) -> None:
    losses(training(pictures, tmp_path, keep=2))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step_00000004.pt", "step_00000006.pt"]


@pytest.mark.blackbox
def test_a_request_to_end_saves_the_current_step(pictures: Path, tmp_path: Path) -> None:
    updates = training(pictures, tmp_path, save_every=100).updates()
    assert [next(updates).step, next(updates).step] == [1, 2]
    os.kill(os.getpid(), signal.SIGTERM)
    with pytest.raises(TerminatedError):
        next(updates)
    assert [path.name for path in tmp_path.iterdir()] == ["step_00000002.pt"]
    whole = training(pictures, tmp_path / "whole", save_every=100)
    assert losses(training(pictures, tmp_path, save_every=100)) == losses(whole)[2:]


@pytest.mark.blackbox
def test_a_request_to_end_gives_up_the_update_that_has_begun(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step, finished = DecoderStep.__call__, list[int]()

    def interrupted(self: DecoderStep, *arguments: Any, **options: Any) -> dict[str, torch.Tensor]:
        found = step(self, *arguments, **options)
        if options["step"] == 3:
            os.kill(os.getpid(), signal.SIGTERM)
        finished.append(options["step"])
        return found

    monkeypatch.setattr(DecoderStep, "__call__", interrupted)
    with pytest.raises(TerminatedError):
        losses(training(pictures, tmp_path, save_every=100))
    assert finished == [0, 1, 2]
    assert [path.name for path in tmp_path.iterdir()] == ["step_00000003.pt"]
    monkeypatch.setattr(DecoderStep, "__call__", step)
    whole = training(pictures, tmp_path / "whole", save_every=100)
    expected = losses(whole)
    resumed = training(pictures, tmp_path, save_every=100)
    assert losses(resumed) == expected[3:]
    assert_equal_networks(resumed, whole)


@pytest.mark.blackbox
def test_an_interrupted_validation_is_repeated_and_no_update_is_lost(pictures: Path, tmp_path: Path) -> None:
    run, seen = training(pictures, tmp_path, save_every=100), list[int]()

    def interrupted() -> None:
        for update in run.updates():
            seen.append(update.step)
            if update.step == 3:
                with run.interruptible():
                    os.kill(os.getpid(), signal.SIGTERM)
                    seen.append(-1)  # the block has ended before

    with pytest.raises(TerminatedError):
        interrupted()
    assert seen == [1, 2, 3]
    assert [path.name for path in tmp_path.iterdir()] == ["step_00000003.pt"]
    whole = training(pictures, tmp_path / "whole", save_every=100)
    resumed = training(pictures, tmp_path, save_every=100)
    assert (resumed.step, resumed.told) == (3, 2)
    assert losses(resumed) == losses(whole)[2:]
    assert equal(resumed.decoder, whole.decoder)


@pytest.mark.blackbox
def test_a_request_to_end_in_the_last_update_is_not_lost(pictures: Path, tmp_path: Path) -> None:
    updates = training(pictures, tmp_path, steps=2, save_every=100).updates()
    assert [next(updates).step, next(updates).step] == [1, 2]
    os.kill(os.getpid(), signal.SIGTERM)
    with pytest.raises(TerminatedError):
        next(updates)
    assert [path.name for path in tmp_path.iterdir()] == ["step_00000002.pt"]


@pytest.mark.blackbox
def test_other_settings_are_refused(pictures: Path, tmp_path: Path) -> None:
    losses(training(pictures, tmp_path))
    with pytest.raises(
        BadInputError,
        match=r"step_00000006\.pt: expected a checkpoint of a training with the same settings, found other",
    ):
        training(pictures, tmp_path, settings="other")


@pytest.mark.blackbox
def test_a_loss_that_is_not_finite_names_the_last_good_checkpoint(pictures: Path, tmp_path: Path) -> None:
    run = training(pictures, tmp_path)
    updates = run.updates()
    assert [next(updates).step for _ in range(3)] == [1, 2, 3]
    torch.nn.init.constant_(run.decoder.conv_out.bias, float("nan"))
    with pytest.raises(FloatingPointError, match=r"step 3 is not finite.*step_00000002\.pt"):
        next(updates)


@pytest.mark.property
@pytest.mark.slow
@pytest.mark.parametrize(("adversary", "rate"), [("none", 1e-3), ("hinge", 5e-6)])
def test_two_processes_give_the_losses_of_one(pictures: Path, tmp_path: Path, adversary: str, rate: float) -> None:
    """Rounding differs between them, and adversarial training amplifies differences, hence the small rate."""
    one = losses_of(pictures, tmp_path / "1", UPDATES, adversary, rate)
    words = [str(TWO_PROCESSES), str(pictures), str(tmp_path / "2"), str(UPDATES), adversary, str(rate)]
    torchrun.run([*torchrun.launcher(2), *words], seconds=300)
    two = json.loads((tmp_path / "2" / "losses.json").read_text())
    assert len(one) == len(two) == UPDATES
    assert ("discriminator" in one[-1]) == (adversary == "hinge")
    for first, second in zip(one, two, strict=True):
        assert first.keys() == second.keys()
        for name in first.keys() & {"l1", "perceptual", "discriminator"}:
            assert first[name] == pytest.approx(second[name], abs=1e-5)


@pytest.mark.blackbox
@pytest.mark.slow
def test_sigterm_to_one_of_two_processes_ends_both_and_keeps_the_finished_updates(
    pictures: Path, tmp_path: Path
) -> None:
    words = [str(TWO_PROCESSES), str(pictures), str(tmp_path / "stopped"), str(UPDATES), "hinge", "5e-6"]
    command = [*torchrun.launcher(2), *words, "4"]
    done = subprocess.run(command, env=torchrun.environment(), capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode != 0
    assert done.stderr.count("TerminatedError") >= 2  # one in each process
    (saved,) = (tmp_path / "stopped" / "checkpoints").rglob("step_*.pt")
    assert saved.stem == "step_00000004"  # an update of one pass is finished before the processes ask each other
    torchrun.run([*torchrun.launcher(2), *words], seconds=300)
    whole = [*words[:2], str(tmp_path / "whole"), *words[3:]]
    torchrun.run([*torchrun.launcher(2), *whole], seconds=300)
    rest, expected = (json.loads((tmp_path / name / "losses.json").read_text()) for name in ("stopped", "whole"))
    assert rest == expected[4:]


@pytest.mark.property
def test_accumulated_passes_equal_one_update(pictures: Path, tmp_path: Path) -> None:
    """Without batch statistics, four items at once equal two passes of two items."""
    plain = recipe().objective.__class__(reduction="mean", adversary="none")
    at_once = losses(training(pictures, tmp_path / "a", objective=plain))
    in_two = losses(training(pictures, tmp_path / "b", objective=plain, at_once=2))
    for first, second in zip(at_once, in_two, strict=True):
        assert first == pytest.approx(second, rel=1e-4)


@pytest.mark.property
@pytest.mark.parametrize("fits", [1, 2, 4])
def test_the_largest_pass_that_fits_is_found_and_gives_the_whole_update(
    fits: int, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without batch statistics, the losses equal those of passes of the size that was found."""
    plain = recipe().objective.__class__(reduction="mean", adversary="none")
    expected = losses(training(pictures, tmp_path / "given", objective=plain, at_once=fits))
    seen: list[int] = []
    step = DecoderStep.__call__

    def limited(self: DecoderStep, z: torch.Tensor, *arguments: Any, **options: Any) -> dict[str, torch.Tensor]:
        seen.append(len(z))
        # Memory runs out in the last update only, as it does when a discriminator joins.
        if len(z) > fits and options["step"] == 5:
            raise torch.OutOfMemoryError
        return step(self, z, *arguments, **options)

    monkeypatch.setattr(DecoderStep, "__call__", limited)
    run = training(pictures, tmp_path / "auto", objective=plain, at_once="auto")
    found = losses(run)
    assert run.at_once == fits
    assert seen[-4 // fits :] == [fits] * (4 // fits)
    for first, second in zip(expected, found, strict=True):
        assert first == pytest.approx(second, rel=1e-4)


@pytest.mark.blackbox
@pytest.mark.parametrize("precision", ["float32", "tf32"])
def test_tf32_is_used_in_the_passes_alone(
    precision: str, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    choose_device("cpu")  # it turns TF32 off
    seen: list[bool] = []
    step = DecoderStep.__call__

    def noted(self: DecoderStep, *arguments: Any, **options: Any) -> dict[str, torch.Tensor]:
        seen.append(torch.backends.cudnn.allow_tf32 and torch.backends.cuda.matmul.allow_tf32)
        return step(self, *arguments, **options)

    monkeypatch.setattr(DecoderStep, "__call__", noted)
    for _ in training(pictures, tmp_path, precision=precision).updates():
        assert not torch.backends.cudnn.allow_tf32
        assert not torch.backends.cuda.matmul.allow_tf32
    assert set(seen) == {precision == "tf32"}


@pytest.mark.blackbox
def test_a_single_item_that_does_not_fit_ends_the_training(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*arguments: Any, **options: Any) -> None:
        raise torch.OutOfMemoryError

    monkeypatch.setattr(DecoderStep, "__call__", never)
    run = training(pictures, tmp_path, at_once="auto")
    with pytest.raises(torch.OutOfMemoryError):
        losses(run)
    assert run.at_once == 1


@pytest.mark.blackbox
def test_several_processes_need_a_number_of_items_at_once(pictures: Path, tmp_path: Path) -> None:
    with pytest.raises(
        BadInputError, match=r"training\.at_once: expected a number, because 2 processes train, found auto"
    ):
        training(pictures, tmp_path, world=World(rank=0, size=2), at_once="auto")


@pytest.mark.blackbox
@pytest.mark.parametrize(("device", "processes", "expected"), [("cpu", 1, 0), ("cuda", 1, 8), ("cuda", 4, 4)])
def test_reading_processes_share_the_cores_of_a_gpu_node(
    device: str, processes: int, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bench.training.trainer.os.cpu_count", lambda: 16)
    assert default_workers(torch.device(device), processes) == expected


@pytest.mark.blackbox
def test_a_world_that_does_not_divide_the_items_is_refused(pictures: Path, tmp_path: Path) -> None:
    with pytest.raises(
        BadInputError, match=r"training\.at_once: expected a multiple of 3, the number of processes, found 4$"
    ):
        training(pictures, tmp_path, world=World(rank=0, size=3))


@pytest.mark.blackbox
@pytest.mark.parametrize(("device", "ids"), [("cpu", None), ("cpu:0", None), ("cuda", None), ("cuda:1", [1])])
def test_only_a_numbered_gpu_is_named_to_distributed_training(device: str, ids: list[int] | None) -> None:
    assert device_ids(torch.device(device)) == ids


@pytest.mark.property
def test_noise_is_drawn_for_each_item() -> None:
    alone, together = posterior_noise((4, 8, 8), 0, [7]), posterior_noise((4, 8, 8), 0, [3, 7])
    assert alone is not None
    assert together is not None
    assert torch.equal(alone[0], together[1])
    assert not torch.equal(together[0], together[1])
    assert posterior_noise((), 0, [1]) is None


@pytest.mark.reference
def test_the_schedule_equals_that_of_the_released_code() -> None:
    rate = WarmupCosine(3.6e-4, steps=172_824)
    assert rate(0) == pytest.approx(3.6e-6)
    assert rate(2500) == pytest.approx(3.6e-4 * 0.505)
    assert rate(5000) == pytest.approx(3.6e-4)
    assert rate(5000 + 83_912) == pytest.approx((3.6e-4 + 1e-6) / 2)
    assert rate(172_824) == rate(200_000) == pytest.approx(1e-6)
    assert all(earlier > later for earlier, later in pairwise(rate(step) for step in range(5000, 172_824, 10_000)))


@pytest.mark.reference
def test_the_discriminators_schedule_equals_the_released_code_at_every_step() -> None:
    """The discriminator joins at step 50,001 with rate zero; from 50,002 its rate follows its own warm-up."""
    released = recipe(steps=172_824, warmup=5000, learning_rate=3.6e-4, objective=Objective())
    rate = released.discriminator_rate()
    joins = {step: released.objective.adversarial(step) for step in range(49_999, 50_003)}
    assert joins == {49_999: False, 50_000: False, 50_001: True, 50_002: True}
    assert [rate(step) for step in (0, 49_999, 50_000, 50_001)] == [0, 0, 0, 0]
    for step in range(50_002, 50_012):
        assert rate(step) == pytest.approx(3.6e-4 * (0.01 + 0.99 * (step - 50_001) / 5000), rel=1e-12)
    assert rate(55_000) < rate(55_001) == pytest.approx(3.6e-4)
    halfway = 55_001 + (172_824 - 55_001) / 2
    assert (rate(int(halfway)) + rate(int(halfway) + 1)) / 2 == pytest.approx((3.6e-4 + 1e-6) / 2)
    assert rate(172_824) == pytest.approx(1e-6)


@pytest.mark.blackbox
def test_a_discriminator_present_from_the_start_has_rate_zero_in_step_0() -> None:
    rate = recipe(warmup=100, learning_rate=1e-3, objective=Objective(adversary_from=0)).discriminator_rate()
    assert rate(0) == 0
    assert rate(1) == pytest.approx(1e-3 * (0.01 + 0.99 / 100))


@pytest.mark.blackbox
def test_a_discriminator_changes_from_the_step_after_it_joins(pictures: Path, tmp_path: Path) -> None:
    run = training(pictures, tmp_path)  # it joins at step 2
    assert run.discriminator is not None
    weights = [parameter.detach().clone() for parameter in run.discriminator.parameters()]
    rates, same = [], []
    for progressed in run.updates():
        now = [parameter.detach().clone() for parameter in run.discriminator.parameters()]
        rates.append(progressed.rates.get("discriminator"))
        same.append(all(torch.equal(one, other) for one, other in zip(now, weights, strict=True)))
        weights = now
        if progressed.step == 4:
            break
    assert rates == [None, None, 0.0, pytest.approx(1e-3 * (0.01 + 0.99 / 2))]
    assert same == [True, True, True, False]


@pytest.mark.blackbox
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": 0}, "steps: expected 1 or more"),
        ({"at_once": 3}, "at_once: expected a divisor of batch_size .4."),
        ({"at_once": "most"}, "at_once: expected a whole number of 1 or more, or auto, found most"),
        ({"full_share": 1.5}, "full_share: expected a number from 0 to 1"),
        ({"full_share": 0.2, "full_masks": "alternating"}, "makes every second mask full, found 0.2"),
        ({"precision": "float16"}, "precision: expected one of float32, tf32, bfloat16"),
    ],
)
def test_impossible_recipes_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        recipe(**changes)
