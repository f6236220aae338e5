"""Entities that tokenizers truncate, and unknown tokens."""

from typing import Any

import pytest

from tests.audit.corpora import make_corpus, make_split, plain_corpus, plain_split, run, sentences_at
from tune_ner.audit.checks.truncation import Ceiling, Truncation
from tune_ner.data.corpus import Corpus, Sentence, Span
from tune_ner.training.encoders import load_tokenizer, resolve_encoder


@pytest.fixture(scope="module")
def tokenizers() -> dict[str, Any]:
    texts = [sentence.text for sentence in sentences_at(plain_corpus(), plain_split().train)]
    return {"tiny": load_tokenizer(resolve_encoder("tiny:1x32"), texts)}


def test_text_that_fits_is_a_note(tokenizers: dict[str, Any]) -> None:
    (finding,) = run(Truncation(), plain_corpus(), plain_split(), tokenizers=tokenizers)
    assert (finding.severity, finding.count) == ("info", 0)
    assert finding.values["test_truncated"] == finding.values["train_unknown"] == 0.0
    train = [sentence.text for sentence in sentences_at(plain_corpus(), plain_split().train)]
    words = sum(len(text.split()) for text in train)
    subwords = sum(map(len, tokenizers["tiny"](train, add_special_tokens=False)["input_ids"]))
    assert finding.values["train_subwords_per_word"] == pytest.approx(subwords / words)


def test_truncated_entities_are_a_warning(tokenizers: dict[str, Any]) -> None:
    (finding,) = run(Truncation(), plain_corpus(), plain_split(), tokenizers=tokenizers, max_length=8, stride=0)
    assert finding.severity == "warning"
    assert finding.count > finding.total / 10
    assert finding.values["test_truncated"] == finding.count / finding.total
    assert "above 8" in finding.suggestion


def test_windows_of_long_sentences_are_a_note(tokenizers: dict[str, Any]) -> None:
    (finding,) = run(Truncation(), plain_corpus(), plain_split(), tokenizers=tokenizers, max_length=8)
    assert (finding.severity, finding.count) == ("info", 0)
    assert "sentences longer than max_length 8 read in overlapping windows" in finding.title


def test_unknown_characters_are_a_warning(tokenizers: dict[str, Any]) -> None:
    sentences = tuple(Sentence(str(i), "Ta 薬 mot 熱.", (Span(3, 4, "DRUG"),)) for i in range(400))
    (finding,) = run(Truncation(), Corpus("kanji", sentences, ("DRUG",)), plain_split(), tokenizers=tokenizers)
    assert (finding.severity, finding.count) == ("warning", 0)
    assert finding.values["test_unknown"] > 0.2


def test_no_tokenizers_no_findings() -> None:
    assert run(Truncation(), plain_corpus(), plain_split()) == []


def test_without_a_tokenizer_the_least_truncation_is_reported() -> None:
    late = "ord " * 300 + "<DRUG salva>"
    (finding,) = run(Truncation(), make_corpus("Ta <DRUG gel>", late), make_split(1, 0, 1), stride=0)
    assert (finding.severity, finding.count, finding.total) == ("warning", 1, 1)
    assert "stride" in finding.suggestion
    assert run(Truncation(), make_corpus("Ta <DRUG gel>", late), make_split(1, 0, 1)) == []


@pytest.mark.parametrize(("joined", "severity"), [(1, "info"), (10, "warning"), (60, "error")])
def test_ceiling_is_the_share_of_test_entities_that_tags_can_represent(joined: int, severity: str) -> None:
    test = ["Ta <DRUG salva>, nu."] * joined + ["Ta <DRUG salva> nu."] * (100 - joined)
    (finding,) = run(Ceiling(), make_corpus("Ta <DRUG gel> nu.", *test), make_split(1, 0, 100))
    recall = 1 - joined / 100
    assert (finding.severity, finding.count) == (severity, joined)
    assert finding.values["recall"] == pytest.approx(recall)
    assert finding.values["f1"] == pytest.approx(2 * recall / (1 + recall))


def test_text_that_tags_can_represent_has_no_ceiling() -> None:
    assert run(Ceiling(), plain_corpus(), plain_split(), word_tokenizer="punctuation") == []
