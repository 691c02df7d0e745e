"""The names under which the Hugging Face hub knows metrics, and the decision which numbers may have them.

A number gets a name of the hub only if the measure and the weights of its network are those that the name stands for.
For example, `fid` is the Fréchet distance between features of Inception 2015-12-05 (Heusel et al., 2017). The names are
those of https://hf.co/metrics and of the tasks at https://hf.co/tasks, in lower case.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from bench.metrics.names import MetricName
from bench.tables.build import style_of

__all__ = ["HUB_METRICS", "PINNED", "HubMetric", "MeasuredBy", "PublishedName", "published_name"]

PINNED: Mapping[str, str] = {
    "inception_lama": "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
    "inception_fidelity": "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
    "inception_clean": "f58cb9b6ec323ed63459aa4fb441fe750cfe39fafad6da5cb504a16f19e958f4",
    "vgg16": "397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0",
    "alexnet": "7be5be791159472b1fbf3c69796f7cb30dca7ad8466c2df70058c37116cdee02",
    "clip": "40d365715913c9da98579312b702a82c18be219cc2a73407c4526f58eba950af",
}
"""SHA-256 of the published weights of feature networks, by their name in `bench/checking/assets.yaml`."""
INCEPTION = ("bench.metrics.inception.InceptionMeasure", ("inception_lama", "inception_fidelity", "inception_clean"))


@dataclass(frozen=True)
class HubMetric:
    """The name of a metric on the hub, and the class and weights of the measure that computes this metric here."""

    type: str
    """Name of the metric on the hub."""
    measure: str
    """Full name of the measure's class."""
    networks: tuple[str, ...] = ()
    """Keys of `PINNED`: the weights that the network may have. Empty for a metric without a network."""


HUB_METRICS: Mapping[str, HubMetric] = {
    "fid": HubMetric("fid", *INCEPTION),
    "kid": HubMetric("kid", *INCEPTION),
    "inception_score": HubMetric("inception_score", *INCEPTION),
    "lpips": HubMetric("lpips", "bench.metrics.lpips.LPIPSMeasure", ("vgg16", "alexnet")),
    "clip_prompt": HubMetric("clip_score", "bench.metrics.prompt_score.PromptScore", ("clip",)),
    "psnr": HubMetric("psnr", "bench.metrics.known_region.KnownRegionMeasure"),
    "ssim": HubMetric("ssim", "bench.metrics.similarity.SimilarityMeasure"),
}
"""Metrics of the hub by the name of the same metric in this project."""
OWN_NAMES: Mapping[str, str] = {"clip_score": "clip_similarity_to_exemplar", "clip_prompt": "clip_similarity_to_prompt"}
"""Name under which a metric of this project is published if it does not get a name of the hub.

The hub's `clip_score` compares a picture with a text, but the `clip_score` of this project compares a picture with a
picture. Metrics that are not listed here keep their names. The class and the hash of the measure may follow the name;
see `published_name`.
"""


@dataclass(frozen=True)
class MeasuredBy:
    """The class and the hashes of the measure that computed a number."""

    measure: str
    """Full name of the measure's class."""
    weights: Sequence[str]
    """SHA-256 of each weight file of the measure."""
    digest: str
    """Hash of the whole measure and its weights, from the protocol of the number."""


@dataclass(frozen=True)
class PublishedName:
    """The identifier and the title under which a number is published."""

    type: str
    """Identifier of the metric."""
    title: str
    """Name that a page shows."""


def published_name(metric: str, by: MeasuredBy) -> PublishedName:
    """Return the identifier and the title under which a number is published.

    If the hub has the metric, and the measure and its network are those of the hub, the number gets the hub's name. If
    the hub has the metric, but another measure or network computed the number, the name also contains the class of the
    measure and the first 12 digits of the measure's hash, such as `fid_featuremeasure_01f47c768a4a`. A metric on
    features that the hub does not have gets such a name as well. Any other metric keeps its name from this project, or
    gets the name in `OWN_NAMES`. A variant or a bin of mask area stays at the end of every name, such as in
    `fid_40_50`.

    Args:
        metric: full name of the metric in this project.
        by: measure that computed the number.
    """
    name = MetricName.parse(metric)
    style = style_of(metric)
    title = metric if style is None else style.title
    plain = name.statistic or name.metric
    known = HUB_METRICS.get(plain)
    if known is not None and _is(known, by):
        return PublishedName(str(replace(name, metric=known.type)), title)
    own = OWN_NAMES.get(name.metric, name.metric)
    if known is None and not (style is not None and style.on_features):
        return PublishedName(str(replace(name, metric=own)), title)
    measure, digest = by.measure.rpartition(".")[2], by.digest[:12]
    other = f"{own}_{measure.lower()}_{digest}"
    return PublishedName(str(replace(name, metric=other)), f"{title} by {measure} {digest}")


def _is(known: HubMetric, by: MeasuredBy) -> bool:
    """Return True if a measure has the class and the weights that a metric of the hub requires."""
    allowed = {PINNED[network] for network in known.networks}
    return by.measure == known.measure and bool(by.weights) == bool(allowed) and set(by.weights) <= allowed
