"""Tests that a run decodes and encodes only once what several rows use, and encodes nothing that no row uses."""

from collections import Counter
from dataclasses import replace
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
import torch
from torch import Tensor

import bench
from bench.evaluation.sampling import forget_if_fresh
from bench.generation.decoding import Decoded
from bench.generation.generator import LatentDiffusion
from bench.generation.method import Batch
from bench.models import build_decoder, checkpoints
from bench.models.decoder import Decoder
from bench.models.tensor_files import read_tensors
from bench.runtime.distributed import World
from bench.store import Store, content_key

ITEMS = 8
FEW = [f"limit={ITEMS}", "batch_size=4", "generator.steps=1", "device=cpu", "stage=score"]
TABLE1 = ["experiment=table1_inpaint_places", "profile.datasets.places.pictures=20"]


def counted(monkeypatch: pytest.MonkeyPatch, owner: type, name: str) -> Counter[int]:
    """Count the calls of a method by the identity of its object."""
    calls: Counter[int] = Counter()
    original = getattr(owner, name)

    def call(self: object, *arguments: object) -> object:
        calls[id(self)] += 1
        return original(self, *arguments)

    monkeypatch.setattr(owner, name, call)
    return calls


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Return the folders of a run whose store records that the rows of Table 1 have the right interface."""
    folder = tmp_path_factory.mktemp("shared")
    return [f"paths.store={folder / 'store'}", f"paths.data={folder / 'data'}", f"out={folder / 'out'}"]


@pytest.mark.blackbox
def test_each_decoder_decodes_a_batch_once_for_all_rows(places: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    words = [*TABLE1, *FEW, *places, "row=[stablediffusion,paste_back,poisson,laplacian,large_mask,base_mask]"]
    bench.run(words)  # it also tries every row on one item, which later runs with this store do not repeat
    read: list[Path] = []
    monkeypatch.setattr(checkpoints, "read_tensors", lambda path: (read.append(path), read_tensors(path))[1])
    calls = counted(monkeypatch, Decoder, "forward")
    bench.run([*words, "seed=1", "overwrite=true"])
    assert len(read) == len(set(read)) == 4  # the three decoders, and the network of the metrics
    assert sorted(calls.values()) == [ITEMS // 4] * 3  # the vanilla decoder, large and base


@pytest.mark.blackbox
@pytest.mark.parametrize(
    ("table", "extra", "times"),
    [
        (TABLE1, ["controls=[]"], 0),
        (TABLE1, ["controls=[budget]"], 2),
        (["experiment=table2_inpaint_imagenet"], ["controls=[]"], 0),
        pytest.param(["experiment=table6_text2image_coco"], ["controls=[]"], 0, marks=pytest.mark.slow),
        (["experiment=table6_text2image_coco"], [], 1),
    ],
)
def test_only_what_rows_and_claims_use_is_encoded(
    table: list[str], extra: list[str], times: int, places: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    words = [*table, *FEW, *places, "row=[stablediffusion]", *extra, "overwrite=true"]
    bench.run([*words, "stage=check"])
    calls = counted(monkeypatch, LatentDiffusion, "encode")
    bench.run([*words, "seed=2"])
    assert sum(calls.values()) == times * ITEMS // 4


def method() -> Decoded:
    torch.manual_seed(0)
    shared = Decoded(build_decoder("base", channels=(8, 16, 16, 16), groups=4), conditioned=True)
    shared.shared = True
    return shared


def batch() -> Batch:
    draw = torch.Generator().manual_seed(0)
    z, image = torch.randn(2, 4, 8, 8, generator=draw), torch.rand(2, 3, 64, 64, generator=draw) * 2 - 1
    return Batch(("a", "b"), z, image, (torch.rand(2, 1, 64, 64, generator=draw) > 0.5).float())


@pytest.mark.property
def test_a_caller_that_changes_shared_images_changes_nothing_for_the_next() -> None:
    shared, given = method(), batch()
    expected = shared(given).clone()
    for _ in range(2):
        image: Tensor = shared(given)
        assert torch.equal(image, expected)
        image.zero_()


@pytest.mark.property
@pytest.mark.parametrize("name", ["z", "image", "mask"])
def test_a_changed_batch_is_decoded_again(name: str) -> None:
    shared, given = method(), batch()
    shared(given)
    changed = replace(given, **{name: getattr(given, name) * 0.5})
    assert torch.equal(shared(changed), shared(changed.again()))
    assert not torch.equal(shared(changed), shared(given))


@pytest.mark.blackbox
def test_only_the_other_processes_wait_until_a_fresh_run_has_removed_the_old_arrays(tmp_path: Path) -> None:
    key = content_key({"block": 0})
    main, other = (World(rank, 2, session="one start") for rank in (0, 1))
    store = Store(tmp_path, fresh=True)
    store.put("latents", key, {"latents": np.zeros(2, np.float32)})
    seen = list[object]()

    def second_process() -> None:
        forget_if_fresh(store, other, "latents", [key])
        seen.append(store.get("latents", key))

    waiting = Thread(target=second_process, daemon=True)
    waiting.start()
    waiting.join(0.5)
    assert waiting.is_alive()
    forget_if_fresh(store, main, "latents", [key])  # it waits for nobody
    waiting.join(60)
    assert seen == [None]
    store.put("latents", key, {"latents": np.zeros(2, np.float32)})
    forget_if_fresh(store, replace(main, session="another start"), "latents", [key])
    assert store.get("latents", key) is None
    store.put("latents", key, {"latents": np.zeros(2, np.float32)})
    forget_if_fresh(replace(store, fresh=False), main, "latents", [key])
    assert store.get("latents", key) is not None
