"""Paths of files and folders in the configuration; they change no result."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from omegaconf import MISSING

__all__ = ["Paths"]


@dataclass
class Paths:
    """The paths of files and folders; none of them changes a result."""

    store: str = MISSING
    """Folder of latents, scores and prepared items (environment: BENCH_STORE)."""
    data: str = MISSING
    """Folder of data sets (environment: BENCH_DATA)."""
    weights: str = MISSING
    """Folder of the paper profile's weights (environment: BENCH_WEIGHTS)."""
    places: str = MISSING
    """Folder of Places' `test_256` (environment: BENCH_PLACES; the paths below have such variables as well)."""
    places_list: str = MISSING
    """File with the names of the Places pictures to use; a relative path starts at `places`."""
    imagenet_val: str = MISSING
    """Folder of ImageNet's validation set, in synset folders."""
    imagenet_archive: str = MISSING
    """The authors' archive of the pictures and masks of Table 2."""
    imagenet_train: str = MISSING
    """Folder of ImageNet's training set, in synset folders."""
    cocoee: str = MISSING
    """Folder `test_bench` of Paint-by-Example."""
    coco: str = MISSING
    """Folder with MSCOCO's `val2014` and Karpathy's `dataset_coco.json`."""
    sd_inpainting: str = MISSING
    """Stable Diffusion 1.5 for inpainting, which also has the first stage of all decoders."""
    sd_text2image: str = MISSING
    """Stable Diffusion 1.5 for text to image."""
    paint_by_example: str = MISSING
    """Weights of Paint-by-Example."""
    decoder_base: str = MISSING
    """Weights of the asymmetric decoder that is as large as the vanilla one."""
    decoder_large: str = MISSING
    """Weights of the decoder that is 1.5 times as large."""
    decoder_large_x2: str = MISSING
    """Weights of the decoder of twice the width and 2.5 times the depth."""
    decoder_vanilla_finetuned: str = MISSING
    """Weights of the vanilla decoder after more training."""
    decoder_base_concat: str = MISSING
    """Weights of the base decoder that blends by concatenation."""
    decoder_large_concat: str = MISSING
    """Weights of the large decoder that blends by concatenation."""
    lama: str = MISSING
    """Weights of LaMa."""
    comodgan: str = MISSING
    """Weights of CoModGAN for the PyTorch port."""
    deepfill_v2: str = MISSING
    """Weights of DeepFill v2 for the PyTorch port."""
    edgeconnect: str = MISSING
    """Folder of EdgeConnect's two generators."""
    repositories: str = MISSING
    """Folder of the repositories of other methods, whose own programs are run there."""
    inception_lama: str = MISSING
    """Inception network in pytorch-fid's port."""
    inception_fidelity: str = MISSING
    """Inception network in torch-fidelity's port."""
    inception_clean: str = MISSING
    """Inception network as NVIDIA exported it."""
    vgg16: str = MISSING
    """VGG-16, a backbone of LPIPS."""
    alexnet: str = MISSING
    """AlexNet, the other backbone of LPIPS."""
    clip: str = MISSING
    """CLIP ViT-B/32."""
    assets: str = str(Path(__file__).parents[1] / "assets")
    """Folder of files that the package contains."""
