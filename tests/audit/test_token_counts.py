"""Counts of words and entities, and of the entities that tags can represent."""

from typing import Any

import pytest

from tests.audit.corpora import corpus_of, make_corpus, plain_corpus
from tune_ner.audit.token_counts import Encoding, count_tokens
from tune_ner.data.corpus import Sentence, Span
from tune_ner.training.encoders import load_tokenizer, resolve_encoder

NESTED = Sentence("n", "a b c d", (Span(0, 7, "X"), Span(0, 1, "X"), Span(2, 5, "X")), "n:1")


def test_entities_off_word_boundaries_are_not_representable() -> None:
    corpus = make_corpus("Ta <DRUG salva>, eller <DRUG gel> nu.")
    split = Encoding(corpus.entity_types, "punctuation")
    assert count_tokens(corpus.sentences, None, Encoding(corpus.entity_types)).representable == 1
    assert count_tokens(corpus.sentences, None, split).representable == 2


@pytest.mark.parametrize(("overlaps", "kept"), [("longest", 1), ("innermost", 2)])
def test_overlaps_decide_what_is_representable(overlaps: Any, kept: int) -> None:
    corpus = corpus_of(NESTED)
    counts = count_tokens(corpus.sentences, None, Encoding(corpus.entity_types, overlaps=overlaps))
    assert (counts.entities, counts.representable) == (3, kept)


def test_words_are_the_least_that_is_truncated() -> None:
    corpus = make_corpus("en två <DRUG tre> fyra <DRUG fem sex>")
    counts = count_tokens(corpus.sentences, None, Encoding(corpus.entity_types, max_length=7, truncates=True))
    assert (counts.words, counts.truncated, counts.representable) == (5, 1, 1)


def test_windows_lose_nothing() -> None:
    corpus = make_corpus("en två <DRUG tre> fyra <DRUG fem sex>", "en")
    counts = count_tokens(corpus.sentences, None, Encoding(corpus.entity_types, max_length=7))
    assert (counts.words, counts.truncated, counts.representable, counts.long) == (7, 0, 2, 1)


def test_a_tokenizer_truncates_at_least_as_much() -> None:
    corpus = plain_corpus()
    tokenizer = load_tokenizer(resolve_encoder("tiny:1x32"), [sentence.text for sentence in corpus.sentences])
    encoding = Encoding(corpus.entity_types, "punctuation", max_length=8, truncates=True)
    least, found = (count_tokens(corpus.sentences, each, encoding) for each in (None, tokenizer))
    assert found.entities == least.entities
    assert found.truncated >= least.truncated > 0
    assert found.representable == found.entities - found.truncated
