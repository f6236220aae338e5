"""Offsets of spans: checks, and conversion to characters."""

import json
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tune_ner.data.corpus import Sentence, Span
from tune_ner.data.formats.offsets import UTF16, check_characters, checked_span, to_characters, trimmed
from tune_ner.data.loaders import load_corpus
from tune_ner.errors import DataError

TEXTS = st.text(st.sampled_from("aå 😀"), min_size=1, max_size=9)


@given(TEXTS, st.integers(0, 9))
def test_utf16_offsets_become_characters(text: str, place: int) -> None:
    place = min(place, len(text))
    assert UTF16.characters(text, len(text[:place].encode("utf-16-le")) // 2) == place
    assert UTF16.characters(text, 1000) == 1000
    assert UTF16.characters(text, -1) == -1


def written(folder: Path, kind: str, encoding: str, size: int) -> Path:
    """Write a document of two parts in a format, with offsets in units of an encoding."""
    title, abstract = "Å 😀 Anna log.", "Det 😀 i Rom."

    def units(text: str) -> int:
        return len(text.encode(encoding)) // size

    start = units(title) + 1
    spans = [("PER", units("Å 😀 "), "Anna"), ("LOC", start + units("Det 😀 i "), "Rom")]
    if kind == "brat":
        (folder / "a.txt").write_text(f"{title}\n{abstract}\n", encoding="utf-8")
        lines = [f"T{i}\t{label} {at} {at + units(word)}\t{word}\n" for i, (label, at, word) in enumerate(spans)]
        (folder / "a.ann").write_text("".join(lines), encoding="utf-8")
        return folder
    if kind == "pubtator":
        lines = [f"1\t{at}\t{at + units(word)}\t{word}\t{label}\n" for label, at, word in spans]
        (folder / "a.pubtator").write_text("".join([f"1|t|{title}\n1|a|{abstract}\n", *lines]), encoding="utf-8")
        return folder / "a.pubtator"
    found = [
        {"text": word, "infons": {"type": label}, "locations": [{"offset": at, "length": units(word)}]}
        for label, at, word in spans
    ]
    passages = [
        {"offset": at, "text": text, "annotations": [each]}
        for at, text, each in zip((0, start), (title, abstract), found, strict=True)
    ]
    (folder / "a.json").write_text(json.dumps({"id": "1", "passages": passages}))
    return folder / "a.json"


@pytest.mark.parametrize("kind", ["brat", "pubtator", "bioc"])
@pytest.mark.parametrize(
    ("encoding", "size", "note"), [("utf-32-le", 4, ""), ("utf-16-le", 2, "UTF-16 units"), ("utf-8", 1, "bytes")]
)
def test_offsets_of_documents_are_converted_to_characters(
    tmp_path: Path, kind: str, encoding: str, size: int, note: str
) -> None:
    corpus = load_corpus(written(tmp_path, kind, encoding, size))
    found = [(span.text_in(s.text), span.label) for s in corpus.sentences for span in s.spans]
    assert found == [("Anna", "PER"), ("Rom", "LOC")]
    notes = [each for each in corpus.notes if "converted to characters" in each]
    assert notes == ([f"documents whose offsets count {note}, converted to characters: 1"] if note else [])


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le"])
@given(TEXTS, TEXTS)
def test_the_text_of_a_span_shows_how_its_offsets_count(encoding: str, before: str, word: str) -> None:
    size = 2 if encoding == "utf-16-le" else 1
    start, end = (len(part.encode(encoding)) // size for part in (before, before + word))
    text = f"{before}{word} slut"
    sentence = Sentence("1", text, (Span(start, end, "A"),), "a:1")
    found = to_characters([sentence], [("a:1", word, Span(start, end, "A"))], Counter(), {"a:1"})
    assert [span.text_in(text) for span in found[0].spans] == ([word.strip()] if word.strip() else [])


def test_offsets_are_not_converted_without_a_text_that_shows_it(tmp_path: Path) -> None:
    annotation = {"infons": {"type": "A"}, "locations": [{"offset": 3, "length": 2}]}  # within the bytes, not the text
    passages = [{"offset": 0, "text": "Åå 😀"[:4], "annotations": [annotation]}]
    (tmp_path / "a.json").write_text(json.dumps({"id": "1", "passages": passages}))
    with pytest.raises(DataError, match="not within one passage"):
        load_corpus(tmp_path / "a.json")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.pubtator", "1|t|Anna log\n1\t0\t{}\tAnna\tPER\n"),
        ("a.tsv", "#FORMAT=WebAnno TSV 3.3\n#T_SP=x.NamedEntity|value\n\n#Text=Anna\n1-1\t0-{}\tAnna\tPER\n"),
        ("a.ann", "T1\tPER 0 {}\tAnna\n"),
        ("a.jsonl", '{{"text": "Anna", "spans": [[0, {}, "PER"]]}}'),
        ("a.csv", "text,spans\nAnna log,\"[(0, {}, 'PER')]\"\n"),
    ],
)
def test_offsets_with_thousands_of_digits_are_refused(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content.format("9" * 5000))
    if name == "a.ann":
        (tmp_path / "a.txt").write_text("Anna log\n")
    with pytest.raises(DataError, match=r"a\.\w+:\d"):
        load_corpus(tmp_path if name == "a.ann" else tmp_path / name)


def test_white_space_is_cut_off_with_a_count() -> None:
    counts: Counter[str] = Counter()
    assert trimmed(Span(0, 4, "A"), " ab c", counts) == Span(1, 3, "A")
    assert trimmed(Span(0, 1, "A"), " ab", counts) is None
    assert trimmed(Span(1, 1, "A"), " ab", counts) is None
    assert trimmed(Span(1, 3, "A"), " ab", counts) == Span(1, 3, "A")
    assert sorted(counts.values()) == [1, 1, 1]


@pytest.mark.parametrize(
    ("start", "end", "label"), [(True, 1, "A"), (0, 9, "A"), (-1, 1, "A"), (2, 1, "A"), (0, 1, ""), (0, 1, " A")]
)
def test_invalid_spans_are_refused(start: int, end: int, label: str) -> None:
    with pytest.raises(DataError, match="a:1"):
        checked_span(start, end, label, "abc", "a:1")


def test_half_a_character_is_refused() -> None:
    with pytest.raises(DataError, match="a:1: half a surrogate pair"):
        check_characters("\ud800", (), "a:1")
