"""Tests of the comparison of two encoders by their weights."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from bench.models.autoencoders import same_encoder
from tests.models.tiny_autoencoders import tiny_autoencoder

WEIGHTS = "diffusion_pytorch_model.safetensors"


def saved(folder: Path, name: str = "kl4", seed: int = 0) -> Path:
    tiny_autoencoder(name, seed).save_pretrained(folder)
    return folder


@pytest.mark.property
@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16])
def test_a_rounded_copy_and_another_decoder_leave_the_encoder_the_same(tmp_path: Path, kind: torch.dtype) -> None:
    one, other = saved(tmp_path / "one"), saved(tmp_path / "other")
    tensors = {name: values.to(kind) for name, values in load_file(other / WEIGHTS).items()}
    save_file({name: values + name.startswith("decoder") for name, values in tensors.items()}, other / WEIGHTS)
    assert same_encoder(one, other)


@pytest.mark.property
def test_names_of_old_files_and_shards_do_not_matter(tmp_path: Path) -> None:
    one, other = saved(tmp_path / "one"), saved(tmp_path / "other")
    old = {name.replace(".to_q.", ".query."): values for name, values in load_file(other / WEIGHTS).items()}
    assert old.keys() != load_file(one / WEIGHTS).keys()
    save_file(old, other / WEIGHTS)
    assert same_encoder(one, other)
    tiny_autoencoder("kl4").save_pretrained(tmp_path / "shards", max_shard_size="20KB")
    assert (tmp_path / "shards" / f"{WEIGHTS}.index.json").is_file()
    assert same_encoder(one, tmp_path / "shards")


@pytest.mark.property
def test_other_weights_and_other_sizes_are_another_encoder(tmp_path: Path) -> None:
    one = saved(tmp_path / "one")
    assert not same_encoder(one, saved(tmp_path / "seed", seed=1))
    assert not same_encoder(one, saved(tmp_path / "sizes", "kl32"))
