"""Prepares other reference sets: the true pictures of a run made square in another way, or other pictures.

The sensitivity study compares the images of a run with these sets, as publications did by mistake.
"""

from __future__ import annotations

from bench.checking.dataset_listing import adapter_of
from bench.config.schema import ReferenceChange
from bench.data.adjusted import same_or_first
from bench.data.masks import preset
from bench.data.prepared import Items, prepare_items
from bench.evaluation.measure import ITEMS
from bench.evaluation.setup import Setup

__all__ = ["reference_items"]


def reference_items(setup: Setup, change: ReferenceChange, items: Items) -> Items:
    """Return the items whose true pictures are the changed reference set of a run.

    If the changed data set has pictures with the ids of the run's items, only these pictures are used. Otherwise its
    first pictures are used, at most as many as the run has items.

    Args:
        setup: objects of the run.
        change: changes of the reference set.
        items: items of the run.

    Raises:
        BadInputError: the pictures cannot be read, or the change does not suit the data set.
    """
    config, dataset = setup.config, setup.resolved["dataset"]
    squaring = {name: value for name, value in vars(change).items() if name != "split" and value is not None}
    root = {} if change.split is None else {"root": change.split}
    prepared = prepare_items(
        setup.store.root / ITEMS,
        same_or_first(adapter_of({**dataset, **squaring}, **root), items.ids),
        resolution=config.profile.resolution,
        masks=preset(config.profile.masks),
        seed=config.seed,
        limit=None,
    )
    setup.store.uses.add(ITEMS, [prepared.folder.name])
    return prepared
