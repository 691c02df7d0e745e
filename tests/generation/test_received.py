"""Tests of the latents that rows decode, which are observed at the decoder to find substituted ones."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from baselines.paste_back import PasteBack
from bench.generation.decoding import Decoded
from bench.generation.method import Batch, Method, as_method
from bench.generation.received import received_latents
from bench.models import build_decoder
from bench.tables.judging import DecodedLatents, judge
from tests.tables.runs import judged_run, summary_of

pytestmark = pytest.mark.blackbox

TINY = {"channels": (8, 16, 16, 16), "groups": 4}


def decoded(**settings: str) -> Decoded:
    torch.manual_seed(0)
    return Decoded(build_decoder("base", **TINY), conditioned=True, **settings)


def batches(count: int = 2) -> list[Batch]:
    generator = torch.Generator().manual_seed(1)
    made = []
    for index in range(count):
        z = torch.randn(1, 4, 8, 8, generator=generator)
        image = torch.rand(1, 3, 64, 64, generator=generator) * 2 - 1
        mask = (torch.rand(1, 1, 64, 64, generator=generator) > 0.5).float()
        made.append(Batch((f"item {index}",), z, image, mask, encoded=z + 1))
    return made


class Tampering:
    """Call another method with slightly changed latents of one item."""

    training = ""

    def __init__(self, of: Method) -> None:
        self.of = of

    def __call__(self, batch: Batch) -> Tensor:
        changed = batch.ids == ("item 1",)
        return self.of(replace(batch, z=batch.z + 1e-3) if changed else batch)


def verdict(methods: dict[str, Method]) -> str:
    latents = {
        row: DecodedLatents(one.kind, one.sha256, one.items)
        for row, one in received_latents(methods, batches()).items()
    }
    run = judged_run(2, summary_of({"base_mask": {"fid": 1.0}}), "mini")
    return {found.id: found for found in judge(run, latents=latents)}["T2.i"].verdict


def test_a_row_that_receives_other_latents_makes_the_statement_fail() -> None:
    honest: dict[str, Method] = {"base_mask": decoded(), "pasted": PasteBack(decoded())}
    assert verdict(honest) == "holds"
    assert verdict({**honest, "large_mask": Tampering(decoded())}) == "does not hold"  # type: ignore[dict-item]
    assert verdict({**honest, "encoded": decoded(latents="encoded")}) == "holds"


def test_strips_receive_the_same_latents() -> None:
    strips = decoded()
    strips.strip_rows = 32
    found = received_latents({"whole": decoded(), "strips": strips}, batches())
    assert found["whole"] == found["strips"]


def test_rows_without_a_decoder_have_no_entry_and_hooks_are_removed() -> None:
    method = decoded()
    found = received_latents({"base_mask": method, "telea": as_method(lambda batch: batch.image)}, batches())
    assert list(found) == ["base_mask"]
    assert method.observer is None
