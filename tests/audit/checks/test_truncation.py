"""What tokenizers lose."""

from typing import Any

import pytest

from tests.audit.corpora import part_of, plain_corpus, plain_split
from tune_ner.audit.checks.truncation import encoding_findings
from tune_ner.data.corpus import Corpus, Sentence, Span
from tune_ner.training.encoders import load_tokenizer, resolve_encoder


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    texts = [sentence.text for sentence in part_of(plain_corpus(), plain_split().train)]
    return load_tokenizer(resolve_encoder("tiny:1x32"), texts)


def test_text_that_fits_is_only_good_to_know(tokenizer: Any) -> None:
    (finding,) = encoding_findings(plain_corpus(), plain_split(), {"tiny": tokenizer}, 256, "whitespace")
    assert (finding.severity, finding.count) == ("info", 0)
    assert finding.figures["test_cut"] == finding.figures["train_unknown"] == 0.0
    words = sum(len(s.text.split()) for s in part_of(plain_corpus(), plain_split().train))
    pieces = tokenizer([s.text for s in part_of(plain_corpus(), plain_split().train)], add_special_tokens=False)
    subwords = sum(map(len, pieces["input_ids"]))
    assert finding.figures["train_subwords_per_word"] == pytest.approx(subwords / words)


def test_entities_beyond_the_length_are_a_warning(tokenizer: Any) -> None:
    (finding,) = encoding_findings(plain_corpus(), plain_split(), {"tiny": tokenizer}, 8, "whitespace")
    assert finding.severity == "warning"
    assert finding.count > finding.of / 10
    assert finding.figures["test_cut"] == finding.count / finding.of
    assert "above 8" in finding.remedy


def test_unknown_characters_are_a_warning(tokenizer: Any) -> None:
    sentences = tuple(Sentence(str(i), "Ta 薬 mot 熱.", (Span(3, 4, "DRUG"),)) for i in range(400))
    corpus = Corpus("kanji", sentences, ("DRUG",))
    (finding,) = encoding_findings(corpus, plain_split(), {"tiny": tokenizer}, 256, "whitespace")
    assert (finding.severity, finding.count) == ("warning", 0)
    assert finding.figures["test_unknown"] > 0.2
    assert "unknown" in finding.effect


def test_no_tokenizer_no_finding() -> None:
    assert encoding_findings(plain_corpus(), plain_split(), {}, 256, "whitespace") == []
