"""Tests of overrides that this project writes for other commands of its own."""

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from bench.config.overrides import setting

pytestmark = pytest.mark.property

TEXTS = [
    "plain/path", "a b", "a,b", r"a\b", r"a\\b c", r"\ x", r"\, x", r"\[x", 'say "x"', r'a\"b', r'a\\" b', "a'b",
    "end\\",
    "end\\\\", "a$b", "a=b", "[1]", "{a:1}", "50%", "é", "a(b)", "#a", " a ", "~a", "a;b", "*?",
]  # fmt: skip


@pytest.mark.parametrize("text", TEXTS)
def test_hydra_reads_the_value_of_a_setting_back(text: str) -> None:
    parser = OverridesParser.create()
    assert parser.parse_override(setting("out", text)).value() == text
    swept = parser.parse_override(f"{setting('out', text)},other")
    assert [getattr(one, "text", one) for one in swept.value().list] == [text, "other"]
