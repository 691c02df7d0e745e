"""Tests of schedulers against the formulas of the released samplers, with a formula in place of the UNet."""

import numpy as np
import pytest
import torch

from bench.generation.schedulers import ddim, plms

pytestmark = pytest.mark.reference

STEPS = 10
CONFIG = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}


def noise(x: torch.Tensor, time: int) -> torch.Tensor:
    """Stand in for a UNet with a formula that depends on all arguments."""
    return torch.tanh(x + time / 500 - 1)


def released(x: torch.Tensor, *, linear_multistep: bool) -> torch.Tensor:
    """Sample by the formulas of `ddim.py` at eta 0 and `plms.py` of CompVis/stable-diffusion (ldm/models/diffusion)."""
    cumulative = np.cumprod(1 - np.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2)
    times = np.arange(0, 1000, 1000 // STEPS) + 1
    alphas = cumulative[times]
    previous = np.append(cumulative[0], cumulative[times[:-1]])

    def step(x: torch.Tensor, e: torch.Tensor, index: int) -> torch.Tensor:
        clean = (x - (1 - alphas[index]) ** 0.5 * e) / alphas[index] ** 0.5
        return previous[index] ** 0.5 * clean + (1 - previous[index]) ** 0.5 * e  # type: ignore[no-any-return]

    old: list[torch.Tensor] = []
    for index in reversed(range(len(times))):
        e = noise(x, times[index])
        if not linear_multistep:
            x = step(x, e, index)
            continue
        if len(old) == 0:
            following = noise(step(x, e, index), times[max(index - 1, 0)])
            mixed = (e + following) / 2
        elif len(old) == 1:
            mixed = (3 * e - old[-1]) / 2
        elif len(old) == 2:
            mixed = (23 * e - 16 * old[-1] + 5 * old[-2]) / 12
        else:
            mixed = (55 * e - 59 * old[-1] + 37 * old[-2] - 9 * old[-3]) / 24
        old = [*old[-2:], e]
        x = step(x, mixed, index)
    return x


@pytest.mark.parametrize("name", ["ddim", "plms"])
def test_a_scheduler_samples_as_the_released_script_does(name: str) -> None:
    start = torch.randn(3, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    scheduler = {"ddim": ddim, "plms": plms}[name](CONFIG)
    scheduler.set_timesteps(STEPS)
    x = start
    assert scheduler.init_noise_sigma == 1
    for time in scheduler.timesteps:
        x = scheduler.step(noise(x, int(time)), time, x).prev_sample
    torch.testing.assert_close(x, released(start, linear_multistep=name == "plms"), rtol=0, atol=1e-5)
