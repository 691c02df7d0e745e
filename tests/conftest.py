"""A small run that several tests read: it is made once for all of them."""

from pathlib import Path

import pytest

import bench


@pytest.fixture(scope="session")
def small_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run of Table 2 on eight items, too few for an FID, with all the files that a run can leave."""
    folder = tmp_path_factory.mktemp("small_run")
    bench.run(
        [
            "experiment=table2_inpaint_imagenet",
            "limit=8",
            "generator.steps=2",
            "device=cpu",
            "controls=[hole_only]",
            "row=[stablediffusion,base_mask,large_mask,paste_back]",
            "save_images=true",
            f"paths.store={folder / 'store'}",
            f"paths.data={folder / 'data'}",
            f"out={folder / 'run'}",
        ]
    )
    return folder / "run"
