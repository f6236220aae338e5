"""Spans predicted from boundary markers."""

import pytest

from tests.audit.corpora import (
    BRACKETS,
    make_corpus,
    plain_corpus,
    plain_split,
    same_markers,
    sentences_at,
    with_markers,
)
from tune_ner.audit.marker_baseline import MarkerBaseline, learn_marker_baseline, sample
from tune_ner.data.corpus import Corpus, Span
from tune_ner.evaluation.span_metrics import SpanMetrics, score_spans


def baseline_of(corpus: Corpus) -> MarkerBaseline:
    return learn_marker_baseline(sentences_at(corpus, plain_split().train))


def metrics_of(corpus: Corpus) -> SpanMetrics:
    sentences, baseline = sentences_at(corpus, plain_split().test), baseline_of(corpus)
    gold = [sentence.spans for sentence in sentences]
    return score_spans(gold, [baseline.predict(sentence.text) for sentence in sentences], corpus.entity_types)


@pytest.mark.parametrize("inside", [True, False])
def test_brackets_by_type_predict_every_span(inside: bool) -> None:
    assert metrics_of(with_markers(plain_corpus(), BRACKETS, inside=inside)).f1 == 1.0


@pytest.mark.parametrize(("opening", "closing"), [("<b>", "</b>"), ("**", "**"), ("_", "_"), ("<e> ", " </e>")])
def test_markers_without_types_predict_every_boundary(opening: str, closing: str) -> None:
    scores = metrics_of(with_markers(plain_corpus(), same_markers(opening, closing)))
    assert scores.matches["exact"].f1 == 1.0
    assert scores.f1 < 0.9


@pytest.mark.parametrize(("opening", "closing"), [("^", ""), ("", "^")])
def test_one_sided_marker_predicts_entities_of_the_usual_length(opening: str, closing: str) -> None:
    corpus = with_markers(plain_corpus(), {label: (opening + a if opening else "", a + closing if closing else "")
                                         for label, (a, _) in BRACKETS.items()})  # fmt: skip
    multiword = sum(" " in span.text_in(s.text) for s in sentences_at(corpus, plain_split().test) for span in s.spans)
    scores = metrics_of(corpus)
    assert scores.f1 == pytest.approx(1 - multiword / scores.support, abs=0.05)
    assert 0.5 < scores.f1 < 1.0


def test_one_sided_marker_predicts_entities_of_two_words() -> None:
    corpus = make_corpus(*(f"Han tar #<DRUG medel {i}> varje dag." for i in range(30)))
    baseline = learn_marker_baseline(corpus.sentences)
    assert baseline.predict("Hon tar #salva 7 i morgon.") == (Span(9, 16, "DRUG"),)


def test_merged_spans_reach_the_last_marker() -> None:
    merged = [f"Både <BODY {{näsa{i}}} och {{öga}}> svider." for i in range(20)]
    separate = [f"Få <DISORDER (hosta{i})> och <DISORDER (feber)> nu." for i in range(20)]
    corpus = make_corpus(*merged, *separate)
    baseline = learn_marker_baseline(corpus.sentences)
    assert [baseline.predict(s.text) for s in corpus.sentences[20:]] == [s.spans for s in corpus.sentences[20:]]
    assert all(sentence.spans[0] in baseline.predict(sentence.text) for sentence in corpus.sentences[:20])


def test_plain_text_has_no_markers_and_no_predictions() -> None:
    baseline = baseline_of(plain_corpus())
    assert (baseline.starts.markers, baseline.ends.markers) == ((), ())
    assert baseline.predict("Ta (en) tablett.") == ()


def test_sample_is_evenly_spaced_and_complete_if_small() -> None:
    sentences = list(plain_corpus().sentences)
    assert sample(sentences, 1000) == sentences
    assert sample(sentences, 150) == sentences[::3]
    assert sample([], 10) == []
