"""Where things lie: the part of the schema that changes no result."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from omegaconf import MISSING

__all__ = ["Paths"]


@dataclass
class Paths:
    """Where things lie; none of it changes a result."""

    store: str = MISSING
    """Latents, scores and prepared items (environment: BENCH_STORE)."""
    data: str = MISSING
    """Data sets (environment: BENCH_DATA)."""
    weights: str = MISSING
    """Weights of the paper profile (environment: BENCH_WEIGHTS)."""
    places: str = MISSING
    """The folder of Places' `test_256` (BENCH_PLACES; so for the others below)."""
    places_list: str = MISSING
    """Names of its pictures to take; a relative path is meant from `places`."""
    imagenet_val: str = MISSING
    """ImageNet's validation set in synset folders."""
    imagenet_archive: str = MISSING
    """The authors' archive of Table 2's pictures and masks."""
    imagenet_train: str = MISSING
    """Its training set in synset folders."""
    cocoee: str = MISSING
    """The folder `test_bench` of Paint-by-Example."""
    coco: str = MISSING
    """MSCOCO's `val2014` beside Karpathy's `dataset_coco.json`."""
    sd_inpainting: str = MISSING
    """Stable Diffusion 1.5 inpainting, with the first stage of all decoders."""
    sd_text2image: str = MISSING
    """Stable Diffusion 1.5."""
    paint_by_example: str = MISSING
    """Paint-by-Example."""
    decoder_base: str = MISSING
    """The asymmetric decoder of the vanilla one's size."""
    decoder_large: str = MISSING
    """That of 1.5 times the size."""
    decoder_large_x2: str = MISSING
    """That of twice the width and 2.5 times the depth."""
    decoder_vanilla_finetuned: str = MISSING
    """The vanilla decoder, trained on."""
    decoder_base_concat: str = MISSING
    """The base decoder that concatenates."""
    decoder_large_concat: str = MISSING
    """The large decoder that concatenates."""
    lama: str = MISSING
    """LaMa."""
    comodgan: str = MISSING
    """CoModGAN, of the PyTorch port."""
    deepfill_v2: str = MISSING
    """DeepFill v2, of the PyTorch port."""
    edgeconnect: str = MISSING
    """The folder of EdgeConnect's two generators."""
    repositories: str = MISSING
    """The folder of other methods' repositories, where their own programs are run."""
    inception_lama: str = MISSING
    """Inception as pytorch-fid ports it."""
    inception_fidelity: str = MISSING
    """Inception as torch-fidelity ports it."""
    inception_clean: str = MISSING
    """Inception as NVIDIA exported it."""
    vgg16: str = MISSING
    """LPIPS's backbone."""
    alexnet: str = MISSING
    """Its other one."""
    clip: str = MISSING
    """CLIP ViT-B/32."""
    assets: str = str(Path(__file__).parent / "assets")
    """What travels with the package."""
