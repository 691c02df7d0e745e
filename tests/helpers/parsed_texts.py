"""Parse equal texts of configurations only once in a session, since the tests compose hundreds of configurations."""

from functools import cache, lru_cache
from typing import Any

import omegaconf._utils
import omegaconf.base
import pytest
import yaml
from omegaconf import DictConfig, ListConfig, OmegaConf

__all__ = ["parse_equal_texts_once"]


def parse_equal_texts_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let OmegaConf remember the values of YAML texts and the parse trees of interpolations.

    The text alone determines both. A text that does not parse is parsed again, so that its error is always raised anew.
    """
    parsed = lru_cache(maxsize=None)(omegaconf.base.parse)
    monkeypatch.setattr(omegaconf.base, "parse", parsed)
    monkeypatch.setattr(omegaconf._utils, "parse", parsed)
    load = OmegaConf.load

    @cache
    def value_of(text: str) -> Any:
        return yaml.load(text, Loader=omegaconf._utils.get_yaml_loader())

    def load_text_once(file: Any) -> DictConfig | ListConfig:
        if not hasattr(file, "read"):
            return load(file)
        place = file.tell()
        text = file.read()
        try:
            value = value_of(text)
        except yaml.YAMLError:
            file.seek(place)  # the message names the file
            return load(file)
        if not isinstance(value, dict | list):
            file.seek(place)
            return load(file)
        return OmegaConf.create(value)

    monkeypatch.setattr(OmegaConf, "load", staticmethod(load_text_once))
