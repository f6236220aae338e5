"""Spans predicted from markers alone."""

import pytest

from tests.audit.corpora import BRACKETS, a_corpus, part_of, plain_corpus, plain_split, same_marks, with_marks
from tune_ner.audit.baselines import score_on
from tune_ner.audit.marker_baseline import MarkupRule, learn_rule, sample
from tune_ner.data.corpus import Corpus, Span
from tune_ner.evaluation.span_metrics import SpanMetrics


def rule_of(corpus: Corpus) -> MarkupRule:
    return learn_rule(part_of(corpus, plain_split().train), corpus.entity_types)


def scores_of(corpus: Corpus) -> SpanMetrics:
    return score_on(part_of(corpus, plain_split().test), rule_of(corpus).predict, corpus.entity_types)


@pytest.mark.parametrize("inside", [True, False])
def test_brackets_by_type_give_every_span(inside: bool) -> None:
    assert scores_of(with_marks(plain_corpus(), BRACKETS, inside=inside)).f1 == 1.0


@pytest.mark.parametrize(("opening", "closing"), [("<b>", "</b>"), ("**", "**"), ("_", "_"), ("<e> ", " </e>")])
def test_marks_that_are_the_same_for_all_types_give_every_boundary(opening: str, closing: str) -> None:
    scores = scores_of(with_marks(plain_corpus(), same_marks(opening, closing)))
    assert scores.matches["exact"].f1 == 1.0
    assert scores.f1 < 0.9


@pytest.mark.parametrize(("opening", "closing"), [("^", ""), ("", "^")])
def test_a_one_sided_mark_gives_entities_of_the_usual_length(opening: str, closing: str) -> None:
    corpus = with_marks(plain_corpus(), {label: (opening + a if opening else "", a + closing if closing else "")
                                         for label, (a, _) in BRACKETS.items()})  # fmt: skip
    multiword = sum(" " in span.text_in(s.text) for s in part_of(corpus, plain_split().test) for span in s.spans)
    scores = scores_of(corpus)
    assert scores.f1 == pytest.approx(1 - multiword / scores.support, abs=0.05)
    assert 0.5 < scores.f1 < 1.0


def test_entities_of_two_words_are_predicted_with_two() -> None:
    corpus = a_corpus(*(f"Han tar #<DRUG medel {i}> varje dag." for i in range(30)))
    rule = learn_rule(corpus.sentences, corpus.entity_types)
    assert rule.predict("Hon tar #salva 7 i morgon.") == (Span(9, 16, "DRUG"),)


def test_merged_spans_are_learnt_to_reach_to_the_last_mark() -> None:
    merged = [f"Både <BODY {{näsa{i}}} och {{öga}}> svider." for i in range(20)]
    apart = [f"Få <DISORDER (hosta{i})> och <DISORDER (feber)> nu." for i in range(20)]
    corpus = a_corpus(*merged, *apart)
    rule = learn_rule(corpus.sentences, corpus.entity_types)
    assert [rule.predict(s.text) for s in corpus.sentences[20:]] == [s.spans for s in corpus.sentences[20:]]
    assert all(sentence.spans[0] in rule.predict(sentence.text) for sentence in corpus.sentences[:20])


def test_plain_text_has_no_rule_and_no_prediction() -> None:
    rule = rule_of(plain_corpus())
    assert (rule.starts, rule.ends) == ((), ())
    assert rule.predict("Ta (en) tablett.") == ()


def test_a_sample_is_even_and_whole_when_small() -> None:
    sentences = list(plain_corpus().sentences)
    assert sample(sentences, 1000) == sentences
    assert sample(sentences, 150) == sentences[::3]
    assert sample([], 10) == []
