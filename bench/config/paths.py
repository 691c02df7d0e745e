"""Paths of files and folders in the configuration. If a file is moved and its path is updated, no result changes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from omegaconf import MISSING

__all__ = ["Paths"]


@dataclass
class Paths:
    """The paths of files and folders. If a file is moved and its path is updated, no result changes.

    If the description of a path contains `environment: NAME`, the environment variable NAME sets the path's default
    value.
    """

    store: str = MISSING
    """The store: folder of latents, scores and prepared items (environment: BENCH_STORE)."""
    data: str = MISSING
    """Folder of data sets (environment: BENCH_DATA)."""
    weights: str = MISSING
    """Folder of the paper profile's weights (environment: BENCH_WEIGHTS)."""
    places: str = MISSING
    """Folder of Places' `test_256` (environment: BENCH_PLACES).

    Each of the following paths has a variable as well: BENCH_ and the name of the path in capital letters.
    """
    places_list: str = MISSING
    """File with the names of the Places pictures that are used. A relative path starts at the folder `places`."""
    imagenet_val: str = MISSING
    """Folder of ImageNet's validation set. It has one subfolder for each class (synset)."""
    imagenet_archive: str = MISSING
    """Archive in which the paper's authors published the pictures and masks of Table 2."""
    imagenet_train: str = MISSING
    """Folder of ImageNet's training set. It has one subfolder for each class (synset)."""
    cocoee: str = MISSING
    """Folder `test_bench`, the COCOEE data set of Paint-by-Example."""
    coco: str = MISSING
    """Folder with MSCOCO's `val2014` and Karpathy's `dataset_coco.json`."""
    coco2017: str = MISSING
    """Folder with the folder `val2017` of COCO 2017."""
    sd_inpainting: str = MISSING
    """Weights of Stable Diffusion 1.5 for inpainting.

    Its autoencoder is the first stage for which all decoders are trained.
    """
    sd_text2image: str = MISSING
    """Weights of Stable Diffusion 1.5 for making images from text."""
    paint_by_example: str = MISSING
    """Weights of Paint-by-Example."""
    sdxl_inpainting: str = MISSING
    """Weights of SDXL for inpainting, for `generator=sdxl_inpainting`."""
    flux_fill: str = MISSING
    """Weights of FLUX.1 Fill, for `generator=flux_fill`."""
    decoder_base: str = MISSING
    """Weights of the asymmetric decoder that has the size of the vanilla decoder (`base`)."""
    decoder_large: str = MISSING
    """Weights of the asymmetric decoder that is 1.5 times as large as the vanilla decoder (`large`)."""
    decoder_large_x2: str = MISSING
    """Weights of the asymmetric decoder with 2 times the width and 2.5 times the depth of the vanilla decoder."""
    decoder_vanilla_finetuned: str = MISSING
    """Weights of the vanilla decoder after more training."""
    decoder_base_concat: str = MISSING
    """Weights of the `base` decoder that concatenates the known features with its own features."""
    decoder_large_concat: str = MISSING
    """Weights of the `large` decoder that concatenates the known features with its own features."""
    lama: str = MISSING
    """Weights of LaMa."""
    comodgan: str = MISSING
    """Weights of CoModGAN in the format of its PyTorch version."""
    deepfill_v2: str = MISSING
    """Weights of DeepFill v2 in the format of its PyTorch version."""
    edgeconnect: str = MISSING
    """Folder with the weights of EdgeConnect's two generators."""
    repositories: str = MISSING
    """Folder with the code repositories of other methods. The programs of these methods are run there."""
    inception_lama: str = MISSING
    """Weights of the Inception network as the package pytorch-fid has them."""
    inception_fidelity: str = MISSING
    """Weights of the Inception network as the package torch-fidelity has them."""
    inception_clean: str = MISSING
    """Inception network in the file that NVIDIA exported."""
    vgg16: str = MISSING
    """Weights of VGG-16, one of the two networks on which LPIPS can be computed."""
    alexnet: str = MISSING
    """Weights of AlexNet, one of the two networks on which LPIPS can be computed."""
    clip: str = MISSING
    """Weights of CLIP ViT-B/32."""
    clip_336: str = MISSING
    """Weights of CLIP ViT-L/14 for images of 336×336 pixels, for CMMD."""
    dinov2: str = MISSING
    """Weights of DINOv2 ViT-L/14, for FD-DINOv2."""
    assets: str = str(Path(__file__).parents[1] / "assets")
    """Folder of the files that are part of this project's package, such as the mini profile's weights."""
