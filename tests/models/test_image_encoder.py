"""Tests of image encoders: their output, and that saving and loading keeps them."""

import json
from pathlib import Path

import pytest
import torch

from bench.errors import BadInputError
from bench.models.image_encoder import ImageEncoder, load_image_encoder, save_image_encoder

MEAN, STD = (0.1, 0.2, 0.3), (0.4, 0.5, 0.6)


def encoder() -> ImageEncoder:
    torch.manual_seed(0)
    return ImageEncoder([4, 8], dimension=6, resolution=16, mean=MEAN, std=STD).eval()


@pytest.mark.blackbox
def test_a_saved_encoder_is_loaded_unchanged(tmp_path: Path) -> None:
    net, x = encoder(), torch.randn(3, 3, 16, 16)
    save_image_encoder(net, tmp_path)
    loaded = load_image_encoder(tmp_path)
    assert (loaded.resolution, loaded.dimension, loaded.mean, loaded.std) == (16, 6, MEAN, STD)
    assert loaded(x).shape == (3, 6)
    assert torch.equal(loaded(x), net(x))


@pytest.mark.property
def test_an_embedding_does_not_depend_on_the_batch() -> None:
    net, x = encoder(), torch.randn(3, 3, 16, 16)
    # Convolutions of other batch sizes may round differently, by a few units in the last place of float32.
    assert torch.allclose(net(x)[1:2], net(x[1:2]), atol=1e-6)


@pytest.mark.blackbox
@pytest.mark.parametrize("settings", [{}, {"widths": [4, 8], "nonsense": 1}, {"widths": 3}])
def test_sizes_that_cannot_make_an_encoder_are_refused(tmp_path: Path, settings: dict[str, object]) -> None:
    save_image_encoder(encoder(), tmp_path)
    (tmp_path / "config.json").write_text(json.dumps(settings))
    with pytest.raises(
        BadInputError, match=r"config\.json: expected the sizes of an image encoder, found missing or wrong values"
    ):
        load_image_encoder(tmp_path)


@pytest.mark.blackbox
def test_weights_of_other_sizes_are_refused(tmp_path: Path) -> None:
    save_image_encoder(encoder(), tmp_path)
    config = tmp_path / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "dimension": 7}))
    with pytest.raises(BadInputError, match="expected weights that fit the network, found differences"):
        load_image_encoder(tmp_path)
