"""Tests that an override sets a value that the run uses or is refused, for every key of every experiment."""

from typing import Any

import pytest
from omegaconf import DictConfig, OmegaConf

from bench.config.compose import checked, compose_config, experiments, for_each, typed, usage_of
from bench.config.kinds import RUN, kind_of
from bench.config.used_keys import Usage
from bench.errors import BadInputError

pytestmark = pytest.mark.blackbox

TABLE = "experiment=table2_inpaint_imagenet"


def leaves(node: Any, way: tuple[Any, ...] = ()) -> dict[tuple[Any, ...], Any]:
    """Return every value of a tree by its path."""
    below = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    if not isinstance(node, dict | list):
        return {way: node}
    return {key: value for name, child in below for key, value in leaves(child, (*way, name)).items()}


def placed(tree: Any, way: tuple[Any, ...], value: Any) -> None:
    for name in way[:-1]:
        tree = tree[name]
    tree[way[-1]] = value


def seen_by_the_run(config: DictConfig, tree: Any) -> str:
    """Return the resolved values of the keys that the run's class reads."""
    resolved = OmegaConf.to_container(OmegaConf.create(tree), resolve=True)
    return repr([at(resolved, key) for key in [*RUN, *kind_of(str(config._target_)).reads(config)]])


def at(tree: Any, key: str) -> Any:
    for part in key.split("."):
        tree = next((value for name, value in tree.items() if str(name) == part), None) if tree else None
    return tree


@pytest.mark.parametrize("name", experiments())
def test_a_key_is_used_exactly_where_its_value_reaches_the_run(name: str) -> None:
    """Each value is replaced by a unique mark, and the marks are searched in the values that the class reads."""
    config = compose_config([f"experiment={name}"])
    tree = OmegaConf.to_container(config, resolve=False)
    plain = {way: value for way, value in leaves(tree).items() if not (isinstance(value, str) and "${" in value)}
    settled = {way: f"<{number}>" for number, way in enumerate(plain) if plain[way] != "???"}
    for way, mark in settled.items():
        placed(tree, way, mark)
    seen = seen_by_the_run(config, tree)
    usage = usage_of(config, [])
    wrong = {
        ".".join(map(str, way))
        for way, mark in settled.items()
        if (mark in seen) != (".".join(map(str, way)) in usage.leaves)
    }
    assert wrong == set()
    assert any(mark in seen for mark in settled.values())
    assert not all(mark in seen for mark in settled.values())


@pytest.mark.parametrize(
    "words",
    [
        [TABLE, "dataset.root=pictures"],
        ["experiment=table1_inpaint_places", "baseline=native"],
        ["experiment=table4_edit_cocoee", "baseline=external"],
        ["experiment=sweep_decoder_size", "training.steps=3"],
        [TABLE, "keep_features=true", "features_dtype=float16"],
        [TABLE, "baseline=predictions", "baseline.root=x", "baseline.label=Mine"],
        [TABLE, "decoder=large", "decoder.checkpoint=x"],
    ],
    ids=" ".join,
)
def test_a_key_that_is_used_can_be_set(words: list[str]) -> None:
    checked(words)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([TABLE, "baseline=native"], "baseline: expected a key that table2_inpaint_imagenet uses"),
        ([TABLE, "baseline.root=x"], "baseline.root: expected a key"),
        (["experiment=table4_edit_cocoee", "baseline=native"], "baseline: expected a key"),
        ([TABLE, "training=mini"], "training: expected a key"),
        ([TABLE, "training.steps=3"], "training.steps: .*generator.steps"),
        ([TABLE, "decoder=large"], "decoder: expected a key"),
        ([TABLE, "decoder.checkpoint=x", "decoder.width=2"], "decoder.width: .*decoder.name"),
        ([TABLE, "features_dtype=float16"], "features_dtype: expected a key"),
        ([TABLE, "paths.places=x"], "paths.places: .*paths.store"),
        ([TABLE, "hydra.run.dir=x"], "hydra.run.dir: .*out=DIR"),
        ([TABLE, "rows.base_mask.published={3: x}"], "rows.base_mask.published.3: expected a key"),
        ([TABLE, "rows.encoded.label=x", "controls=[]"], "rows.encoded.label: expected a key"),
        ([TABLE, "metrics.choices.saved_jpeg.label=x"], "metrics.choices"),
        (["experiment=table7_architecture_base", "limit=8"], "limit: expected a key"),
        (["experiment=table7_architecture_base", "generator=inpainting"], "generator: expected a key"),
        (["experiment=train_decoder", "batch_size=8"], "batch_size: .*training.batch_size"),
        (["experiment=all_tables", "dataset.root=x"], "dataset.root: expected a key"),
        (["experiment=train_mini", "mini_models.extras.vq_first_stage.layers=3"], "mini_models.extras.vq_first_stage"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_key_that_nothing_reads_is_refused_by_name(words: list[str], says: str) -> None:
    with pytest.raises(BadInputError, match=rf"^{says}"):
        checked(words)


def test_a_collection_hands_each_experiment_what_it_uses() -> None:
    words = ["experiment=all_tables", "experiments=[table2_inpaint_imagenet,table7_architecture_base]", "limit=8"]
    config = typed(compose_config(words))[0]
    assert kind_of(config._target_).collects
    each = for_each(config, words)
    assert each["table2_inpaint_imagenet"] == ["experiment=table2_inpaint_imagenet", "limit=8"]
    assert each["table7_architecture_base"] == ["experiment=table7_architecture_base"]


def test_references_are_followed_when_relative_nested_or_in_a_resolver() -> None:
    config = OmegaConf.create(
        {
            "name": "x",
            "_target_": "bench.experiments.train_mini.TrainMini",
            "part": None,
            "mini_models": {"one": "${.two}", "three": "${a.${b}}", "two": "${oc.select:c,${d}}", "extras": {}},
            "a": {"one": 1},
            "b": "one",
            "c": 1,
            "d": 2,
            "e": 3,
        }
    )
    usage = Usage(config)
    assert {"a.one", "b", "c", "d", "mini_models.two"} <= usage.leaves
    assert not usage.uses("e")
