"""Tests of the fit: a resumed fit equals an uninterrupted one, and wrong settings are refused."""

from itertools import pairwise
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from bench.errors import BadInputError
from bench.training.mini.fit import Schedule, fit, torch_generator

SCHEDULE = Schedule(steps=12, batch_size=4, learning_rate=0.05, warmup=3, save_every=5)


def train(checkpoint: Path, *, stop: int | None = None, settings: str = "a") -> nn.Linear:
    torch.manual_seed(3)
    model = nn.Linear(3, 1)

    def loss(step: int) -> dict[str, Tensor]:
        if step == stop:
            raise KeyboardInterrupt
        x = torch.randn(SCHEDULE.batch_size, 3, generator=torch_generator(0, "x", step))
        return {"square": (model(x) - x.sum(1, keepdim=True)).square().mean()}

    fit(model, loss, SCHEDULE, checkpoint=checkpoint, settings=settings)
    return model


@pytest.mark.property
@pytest.mark.parametrize("stop", [3, 8, 11])
def test_a_resumed_training_equals_an_uninterrupted_one(tmp_path: Path, stop: int) -> None:
    whole = train(tmp_path / "whole.pt")
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "broken.pt", stop=stop)
    assert (tmp_path / "broken.pt").exists() == (stop >= SCHEDULE.save_every)
    resumed = train(tmp_path / "broken.pt")
    assert torch.equal(whole.weight, resumed.weight)
    assert torch.equal(whole.bias, resumed.bias)
    assert not torch.allclose(whole.weight, nn.Linear(3, 1).weight)


@pytest.mark.blackbox
def test_a_finished_fit_trains_no_further(tmp_path: Path) -> None:
    whole = train(tmp_path / "c.pt")
    assert torch.equal(train(tmp_path / "c.pt", stop=0).weight, whole.weight)


@pytest.mark.blackbox
def test_a_checkpoint_of_other_settings_is_refused(tmp_path: Path) -> None:
    train(tmp_path / "c.pt")
    with pytest.raises(
        BadInputError, match=r"c\.pt: expected a checkpoint of a training with the same settings, found other"
    ):
        train(tmp_path / "c.pt", settings="b")


@pytest.mark.blackbox
def test_a_loss_that_is_not_finite_ends_the_fit(tmp_path: Path) -> None:
    model = nn.Linear(1, 1)
    with pytest.raises(FloatingPointError, match="step 0 is not finite"):
        fit(
            model,
            lambda step: {"bad": model.weight.sum() * float("nan")},
            SCHEDULE,
            checkpoint=tmp_path / "c.pt",
            settings="",
        )


@pytest.mark.blackbox
def test_frozen_parameters_do_not_change(tmp_path: Path) -> None:
    model = nn.ParameterDict({name: nn.Parameter(torch.zeros(1)) for name in ("frozen", "plain")})
    model["frozen"].requires_grad_(False)
    schedule = Schedule(steps=1, batch_size=1, learning_rate=0.01, warmup=0, weight_decay=0)

    def loss(step: int) -> dict[str, Tensor]:
        return {"sum": model["frozen"].sum() + model["plain"].sum()}

    fit(model, loss, schedule, checkpoint=tmp_path / "c.pt", settings="")
    assert model["frozen"].item() == 0
    assert model["plain"].item() == pytest.approx(-0.01, rel=1e-3)


@pytest.mark.blackbox
def test_the_rate_warms_up_and_falls_to_a_hundredth() -> None:
    factors = [SCHEDULE.factor(step) for step in range(SCHEDULE.steps)]
    assert factors[:3] == pytest.approx([1 / 3, 2 / 3, 1])
    assert all(earlier > later for earlier, later in pairwise(factors[3:]))
    assert SCHEDULE.factor(SCHEDULE.steps) == pytest.approx(0.01)


@pytest.mark.blackbox
@pytest.mark.parametrize("field", ["steps", "batch_size", "learning_rate", "save_every"])
def test_sizes_must_be_positive(field: str) -> None:
    with pytest.raises(ValueError, match="expected 1 or more for the first three"):
        Schedule(**{"steps": 1, "batch_size": 1, "learning_rate": 1.0, field: 0})  # type: ignore[arg-type]
