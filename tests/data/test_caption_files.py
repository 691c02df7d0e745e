"""Tests of caption files: three forms give the same captions, and every defect has one message that names it."""

from pathlib import Path

import pytest

from bench.data.caption_files import Caption, read_captions
from bench.errors import BadInputError

pytestmark = pytest.mark.blackbox

CAPTIONS = [Caption("deep/a.png", "a cat, sitting"), Caption("b", 'two "lines"\nof a caption'), Caption("c.jpg", "ü")]


def written(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize("header", ["picture,caption", "file,prompt", " picture , caption ", "id,picture,caption,note"])
def test_a_table_gives_its_captions_in_order(tmp_path: Path, header: str) -> None:
    lines = ['./deep/a.png,"a cat, sitting"', 'b,"two ""lines""\nof a caption"', "", "c.jpg, ü "]
    if "note" in header:
        lines = [f"7,{line},x" if line else "" for line in lines]
    assert read_captions(written(tmp_path, "captions.csv", "\n".join([header, *lines]))) == CAPTIONS


@pytest.mark.parametrize("keys", [("picture", "caption"), ("file", "prompt")])
def test_objects_give_their_captions_in_order(tmp_path: Path, keys: tuple[str, str]) -> None:
    lines = [
        f'{{"{keys[0]}": "deep/a.png", "{keys[1]}": "a cat, sitting", "more": [1]}}',
        "",
        f'{{"{keys[1]}": "two \\"lines\\"\\nof a caption", "{keys[0]}": "b"}}',
        f'{{"{keys[0]}": "c.jpg", "{keys[1]}": " ü "}}',
    ]
    assert read_captions(written(tmp_path, "captions.JSONL", "\n".join(lines) + "\n")) == CAPTIONS


def test_a_caption_may_contain_unicode_line_separators(tmp_path: Path) -> None:
    path = written(tmp_path, "a.jsonl", '{"picture": "a", "caption": "one\u2028two"}\r\n')
    assert read_captions(path) == [Caption("a", "one\u2028two")]


def test_a_folder_gives_a_caption_for_each_text_file(tmp_path: Path) -> None:
    for name, text in (("b.txt", " two \n"), ("deep/a.txt", "one"), ("c.png", "no text file")):
        written(tmp_path, name, text)
    assert read_captions(tmp_path) == [Caption("b", "two"), Caption("deep/a", "one")]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_byte_order_mark_is_no_part_of_the_header(tmp_path: Path, encoding: str) -> None:
    path = written(tmp_path, "captions.csv", "picture,caption\na.png,ü\n".encode(encoding))
    assert read_captions(path) == [Caption("a.png", "ü")]


def test_captions_without_pictures_need_no_names(tmp_path: Path) -> None:
    assert read_captions(written(tmp_path, "a.csv", "prompt\none\n"), named=False) == [Caption("", "one")]
    assert read_captions(written(tmp_path, "a.jsonl", '{"prompt": "one"}'), named=False) == [Caption("", "one")]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "picture,text\na,b\n", "expected exactly one column or JSON key named picture or file, and exactly "
         "one named caption or prompt, found these names: picture, text"),
        ("a.csv", "caption\na\n", "exactly one column or JSON key named picture or file, .* these names: caption"),
        ("a.csv", "picture;caption\na;b\n", "found these names: picture;caption"),
        ("a.csv", "picture,file,caption\na,a,b\n", "found these names: picture, file, caption"),
        ("a.csv", "picture,caption,prompt\na,b,b\n", "found these names: picture, caption, prompt"),
        ("a.csv", "", r"found these names: \(none\)$"),
        ("a.csv", "picture,caption\n", "expected captions, found none"),
        ("a.csv", "picture,caption\na,a cat, sitting\n", "expected 2 values .* found 3 in line 2; a caption with"),
        ("a.csv", "picture,caption\na\n", "found 1 in line 2"),
        ("a.csv", 'picture,caption\na,"open\n', "expected a CSV file, found an error in line 2"),
        ("a.csv", "picture,caption\na,\nb,x\nc,  \n", "no empty caption, found 2 of 3 captions empty: line 2, line 4"),
        ("a.csv", b"picture,caption\na,\xe9t\xe9\n", "expected text in UTF-8"),
        ("a.jsonl", "[1]\n", r"a\.jsonl:1: expected a JSON object, found another value"),
        ("a.jsonl", '{"picture": "a", "caption": "b"}\n{"picture": "a"\n', r"a\.jsonl:2: expected JSON"),
        ("a.jsonl", '{"picture": "a"}\n', "found these names: picture"),
        ("a.jsonl", '{"picture": 1, "caption": "b"}\n', r"a\.jsonl:1: expected a text for the key picture"),
        ("a.jsonl", b'{"picture": "a", "caption": "\xe9"}\n', "expected text in UTF-8"),
        ("a.json", "[]", r"expected a CSV file \(.csv\), a JSONL file .*a\.json, which has another ending"),
    ],
)  # fmt: skip
def test_a_defect_of_a_file_is_named(tmp_path: Path, name: str, content: str | bytes, message: str) -> None:
    with pytest.raises(BadInputError, match=message) as caught:
        read_captions(written(tmp_path, name, content))
    assert str(tmp_path / name) in str(caught.value)


def test_a_missing_file_and_an_empty_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"dataset\.captions: expected a CSV file .* found nothing at"):
        read_captions(tmp_path / "none.csv")
    with pytest.raises(BadInputError, match="expected captions, found none"):
        read_captions(tmp_path)
    written(tmp_path, "a.txt", " \n")
    with pytest.raises(BadInputError, match=r"found 1 of 1 captions empty: a\.txt"):
        read_captions(tmp_path)
