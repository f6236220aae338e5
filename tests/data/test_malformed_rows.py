"""Malformed rows and oversized sentences: read, or refused with their place."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.damages import MANY, ODD_TEXTS, ODD_VALUES, refusal
from tune_ner.data import loaders
from tune_ner.data.corpus import Sentence, Span, SplitName
from tune_ner.data.formats.rows import sentences_from_rows
from tune_ner.data.loaders import load_corpus
from tune_ner.data.markup import published_spans
from tune_ner.errors import DataError

KEYS = ("sentence", "entities", "text", "spans", "tokens", "ner_tags", "start", "end", "type", "label", "id", "sid")
VALUES = st.sampled_from(ODD_VALUES) | st.sampled_from(ODD_TEXTS) | st.integers(-2, 12)
ANYTHING = st.recursive(
    VALUES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=6),
    max_leaves=12,
)
ROWS = st.one_of(
    st.fixed_dictionaries({"sentence": ANYTHING, "entities": ANYTHING}),
    st.fixed_dictionaries({"text": st.just("Ta Alvedon nu.") | ANYTHING, "spans": ANYTHING | st.lists(ANYTHING)}),
    st.fixed_dictionaries({"tokens": st.just(["Ta", "Alvedon"]) | ANYTHING, "ner_tags": ANYTHING}),
    st.dictionaries(st.sampled_from(KEYS), ANYTHING),
)


@MANY
@given(row=ROWS, class_names=st.sampled_from([(), ("O", "B-DRUG", "I-DRUG"), ("", "x")]))
def test_any_row_is_read_or_refused_with_its_place(row: dict[str, Any], class_names: tuple[str, ...]) -> None:
    read: list[Sentence] = []
    message = refusal(DataError, lambda: read.extend(sentences_from_rows([("here:7", row)], "x", class_names)[0]))
    assert bool(message) != bool(read)
    assert message.startswith("here:7: " if message else "")
    assert len(message) < 2_000
    assert all(0 <= span.start <= span.end <= len(s.text) for s in read for span in s.spans)


@pytest.mark.parametrize(
    ("sentence", "expected"),
    [
        (Sentence("a", "x" * 1_000_001, (Span(0, 1, "DRUG"),), "f:3"), "f:3: a sentence of 1,000,001 characters and 1"),
        (Sentence("a", "x" * 9, (Span(0, 1, "DRUG"),) * 10_001, "f:3"), "f:3: a sentence of 9 characters and 10,001"),
        (Sentence("a", "x" * 1001, (Span(0, 1001, "DRUG"),) * 1000, "f:3"), "and 1,000 spans, 1,001,000 long in total"),
    ],
)
def test_oversized_sentences_are_refused(monkeypatch: pytest.MonkeyPatch, sentence: Sentence, expected: str) -> None:
    found: list[tuple[SplitName | None, Sentence]] = [(None, sentence)]
    monkeypatch.setattr(loaders, "read_hub", lambda *_: (found, ()))
    with pytest.raises(DataError, match=expected):
        load_corpus("hub:any")


def test_markup_with_too_many_spans_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "{a}" * 10_001
    found: list[tuple[SplitName | None, Sentence]] = [(None, Sentence("a", text, published_spans(text), "f:3"))]
    monkeypatch.setattr(loaders, "read_hub", lambda *_: (found, ()))
    assert len(load_corpus("hub:any").sentences[0].spans) == 1
    with pytest.raises(DataError, match="10,001 spans"):
        load_corpus("hub:any", markup="strip")


@given(st.text(alphabet="([{}])a ", max_size=30))
def test_published_spans_equal_the_pattern_of_the_hub(text: str) -> None:
    """Match with the pattern of the data set's script, which takes quadratic time on a run of opening brackets."""
    import re

    own = re.finditer(r"\[[^\[\]()]+\]|\([^\[\]()]+\)|\{[^\[\]()]+\}", text)
    assert [(span.start, span.end) for span in published_spans(text)] == [match.span() for match in own]
