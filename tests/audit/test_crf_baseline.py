"""The CRF baseline."""

import sys
from pathlib import Path

import numpy as np
import pycrfsuite
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.audit.corpora import corpus_of, make_corpus, make_split, plain_corpus, plain_split, sentences_at
from tune_ner.audit import crf_baseline
from tune_ner.audit.audit import audit
from tune_ner.audit.check import AuditInput
from tune_ner.audit.crf_baseline import C1, C2, CrfBaseline, learn_crf, word_features
from tune_ner.data.corpus import Sentence, Span
from tune_ner.evaluation.span_metrics import score_spans
from tune_ner.tagging.alignment import label_words
from tune_ner.tagging.schemes import SCHEMES
from tune_ner.tagging.tokenization import split_texts, split_words


@pytest.fixture(scope="module")
def crf() -> CrfBaseline:
    found = learn_crf(sentences_at(plain_corpus(), plain_split().train), plain_corpus().entity_types, "punctuation")
    assert found
    return found


def test_it_finds_entities_that_train_lacks(crf: CrfBaseline) -> None:
    corpus = plain_corpus()
    known = {span.text_in(s.text).lower() for s in sentences_at(corpus, plain_split().train) for span in s.spans}
    test = sentences_at(corpus, plain_split().test)
    predicted = [crf.predict(sentence.text) for sentence in test]
    assert score_spans([sentence.spans for sentence in test], predicted, corpus.entity_types).f1 > 0.65
    found = [(s, span) for s, spans in zip(test, predicted, strict=True) for span in spans if span in s.spans]
    assert any(span.text_in(s.text).lower() not in known for s, span in found)


def test_it_is_deterministic(crf: CrfBaseline) -> None:
    corpus = plain_corpus()
    again = learn_crf(sentences_at(corpus, plain_split().train), corpus.entity_types, "punctuation")
    assert again
    texts = [sentence.text for sentence in corpus.sentences]
    assert [again.predict(text) for text in texts] == [crf.predict(text) for text in texts]


@given(st.text(st.sampled_from("aÅ 1.\n\t=:\\\u00ad\u200b\x00\ud800😀薬"), max_size=15))
def test_any_text_has_valid_spans(crf: CrfBaseline, text: str) -> None:
    assert all(0 <= span.start < span.end <= len(text) for span in crf.predict(text))


@given(st.lists(st.text(st.sampled_from("aÅ =:\\\x00\ud800😀薬"), min_size=1, max_size=6), min_size=1, max_size=5))
def test_any_text_can_be_learned(texts: list[str]) -> None:
    sentences = [
        Sentence(str(i), text, (Span(0, len(text), "A b"),) if text.strip() else ()) for i, text in enumerate(texts)
    ]
    found = learn_crf(sentences, ("A b",), "whitespace")
    assert (found is not None) == any(sentence.spans for sentence in sentences)
    if found:
        found.predict(texts[0])


@pytest.mark.parametrize("word_tokenizer", ["whitespace", "punctuation", "character", "subword"])
def test_spans_end_with_words(word_tokenizer: str) -> None:
    corpus = make_corpus(*["Ta <DRUG Alvedon> nu", "Ta <DRUG Ipren> nu"] * 4)
    found = learn_crf(corpus.sentences, corpus.entity_types, word_tokenizer)  # type: ignore[arg-type]
    assert found
    assert found.predict("Ta Alvedon nu") == (Span(3, 10, "DRUG"),)


def test_a_large_train_split_is_sampled_with_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not any("CRF" in note for note in audit(plain_corpus(), plain_split()).notes)
    monkeypatch.setattr(crf_baseline, "MOST_TAG_SCORES", 10_000)
    report = audit(plain_corpus(), plain_split())
    assert any(note.startswith("the CRF baseline learned from 1 of ") for note in report.notes)
    assert report.baselines["crf"]["test"].f1 > 0.3


def test_a_large_test_split_has_no_crf(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules[AuditInput.__module__], "MOST_WORDS", 10)
    report = audit(plain_corpus(), plain_split())
    assert "crf" not in report.baselines
    assert "no CRF baseline: it would take minutes on this corpus" in report.notes


def test_no_entity_in_train_no_crf() -> None:
    data = AuditInput(
        corpus_of(Sentence("a", "Ta Alvedon"), Sentence("b", "Ont", (Span(0, 3, "A"),))), make_split(1, 0, 1)
    )
    assert data.crf is None
    assert set(data.baselines) == {"gazetteer"}


def test_tags_and_probabilities_are_those_of_crfsuite(crf: CrfBaseline, tmp_path: Path) -> None:
    corpus, split = plain_corpus(), plain_split()
    train, test = (sentences_at(corpus, part) for part in (split.train, split.test))
    labels = SCHEMES["BIO"].labels(corpus.entity_types)
    words, _, _ = split_texts([sentence.text for sentence in train], "punctuation")
    ids = label_words(train, words, SCHEMES["BIO"], labels).label_ids
    trainer = pycrfsuite.Trainer(verbose=False)
    trainer.set_params({"c1": C1, "c2": C2, "max_iterations": 100, "feature.possible_transitions": True})
    for index, sentence in enumerate(train):
        tags = [labels[label] for label in ids[words.firsts[index] : words.firsts[index + 1]]]
        trainer.append(word_features(sentence.text, words.of(index)), tags)
    trainer.train(str(tmp_path / "model"))
    tagger = pycrfsuite.Tagger()
    tagger.open(str(tmp_path / "model"))
    assert set(crf.labels) == set(tagger.labels())
    for sentence in test:
        parts = split_words(sentence.text, "punctuation")
        expected = tagger.tag(word_features(sentence.text, parts))
        scores = crf.scores(sentence.text, parts)
        assert [crf.labels[label] for label in crf.decoder(scores)] == expected
        marginals = [[tagger.marginal(label, place) for label in crf.labels] for place in range(len(parts))]
        assert crf.decoder.marginals(scores) == pytest.approx(np.array(marginals), abs=1e-3)
