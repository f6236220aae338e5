"""Span metrics: worked cases for each outcome, and seqeval as the reference for exact match."""

from collections.abc import Sequence
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter
from seqeval.metrics import f1_score, precision_score, recall_score

from tests.evaluation.strategies import sentences
from tune_ner.data.corpus import Span
from tune_ner.data.tag_parsing import find_chunks
from tune_ner.evaluation.seqeval_metrics import TypeMetrics, seqeval_metrics
from tune_ner.evaluation.span_metrics import SCHEMAS, MatchCounts, SpanMetrics, score_spans, sentence_counts

TYPES = ("DRUG", "DISORDER", "BODY")
Rows = list[list[Span]]

pairs = st.lists(st.tuples(sentences, sentences), max_size=4).map(
    lambda rows: ([list(gold) for gold, _ in rows], [list(predicted) for _, predicted in rows])
)


def matches(gold: Sequence[Span], predicted: Sequence[Span]) -> dict[str, MatchCounts]:
    return score_spans([gold], [predicted], TYPES).matches


def outcomes(gold: Span, predicted: Span) -> dict[str, str]:
    """Return the outcome of a gold span and a prediction under each schema."""
    names = ("correct", "incorrect", "partial", "missed", "spurious")
    found = matches([gold], [predicted])
    return {schema: "+".join(name for name in names if getattr(found[schema], name)) for schema in SCHEMAS}


@pytest.mark.parametrize(
    ("predicted", "strict", "exact", "partial", "type_"),
    [
        (Span(4, 9, "DRUG"), "correct", "correct", "correct", "correct"),
        (Span(4, 9, "BODY"), "incorrect", "correct", "correct", "incorrect"),
        (Span(4, 8, "DRUG"), "incorrect", "incorrect", "partial", "correct"),
        (Span(0, 5, "BODY"), "incorrect", "incorrect", "partial", "incorrect"),
        (Span(9, 12, "DRUG"), "missed+spurious", "missed+spurious", "missed+spurious", "missed+spurious"),
    ],
    ids=["equal", "other type", "other range", "other type and range", "beside"],
)
def test_outcomes_of_one_pair(predicted: Span, strict: str, exact: str, partial: str, type_: str) -> None:
    expected = {"strict": strict, "exact": exact, "partial": partial, "type": type_}
    assert outcomes(Span(4, 9, "DRUG"), predicted) == expected


def test_schema_metrics_follow_semeval() -> None:
    found = MatchCounts(correct=3, incorrect=1, partial=2, missed=2, spurious=4)
    assert (found.possible, found.actual) == (8, 10)
    assert (found.precision, found.recall) == pytest.approx((4 / 10, 4 / 8))
    assert found.f1 == pytest.approx(2 * 0.4 * 0.5 / 0.9)


def test_sentence_with_every_outcome() -> None:
    gold = [Span(0, 4, "DRUG"), Span(5, 9, "DRUG"), Span(10, 14, "BODY"), Span(20, 24, "BODY")]
    predicted = [Span(0, 4, "DRUG"), Span(5, 9, "BODY"), Span(10, 13, "BODY"), Span(30, 34, "DRUG")]
    scores = score_spans([gold], [predicted], TYPES)
    assert scores.matches == {
        "strict": MatchCounts(correct=1, incorrect=2, partial=0, missed=1, spurious=1),
        "exact": MatchCounts(correct=2, incorrect=1, partial=0, missed=1, spurious=1),
        "partial": MatchCounts(correct=2, incorrect=0, partial=1, missed=1, spurious=1),
        "type": MatchCounts(correct=2, incorrect=1, partial=0, missed=1, spurious=1),
    }
    assert (scores.precision, scores.recall, scores.f1, scores.support) == (0.25, 0.25, 0.25, 4)
    assert scores.per_type == {
        "DRUG": TypeMetrics(0.5, 0.5, 0.5, 2),
        "DISORDER": TypeMetrics(0.0, 0.0, 0.0, 0),
        "BODY": TypeMetrics(0.0, 0.0, 0.0, 2),
    }
    assert scores.macro_f1 == pytest.approx((0.5 + 0.0) / 2)


def test_equal_spans_are_paired_before_overlapping_ones() -> None:
    nested = [Span(0, 20, "DISORDER"), Span(8, 20, "DISORDER")]
    found = matches(nested, [Span(8, 20, "DISORDER")])
    assert found["strict"] == MatchCounts(correct=1, incorrect=0, partial=0, missed=1, spurious=0)


def test_equal_range_of_another_type_is_paired_before_a_covering_span() -> None:
    found = matches([Span(0, 10, "DRUG"), Span(0, 12, "BODY")], [Span(0, 10, "BODY")])
    assert found["exact"] == MatchCounts(correct=1, incorrect=0, partial=0, missed=1, spurious=0)


def test_type_is_scored_with_its_own_best_pairs() -> None:
    largest = matches([Span(0, 10, "DRUG")], [Span(0, 3, "DRUG"), Span(3, 12, "BODY")])
    assert largest["type"] == MatchCounts(correct=1, incorrect=0, partial=0, missed=0, spurious=1)
    equal = matches([Span(0, 10, "DRUG")], [Span(0, 4, "BODY"), Span(6, 10, "DRUG")])
    assert equal["type"] == MatchCounts(correct=1, incorrect=0, partial=0, missed=0, spurious=1)


def test_overlapping_gold_spans_can_all_be_correct() -> None:
    gold = [Span(0, 10, "DISORDER"), Span(0, 10, "BODY"), Span(4, 6, "DRUG")]
    assert score_spans([gold], [gold], TYPES).f1 == 1.0
    assert matches(gold, gold)["type"].correct == 3


def test_repeated_span_counts_once() -> None:
    span = Span(0, 3, "DRUG")
    assert matches([span], [span, span])["strict"] == MatchCounts(1, 0, 0, 0, 0)
    assert sentence_counts([[span, span]], [[span, span]]).tolist() == [[1, 0, 0]]


def test_spans_of_different_sentences_are_not_paired() -> None:
    span = Span(0, 3, "DRUG")
    scores = score_spans([[span], []], [[], [span]], TYPES)
    assert scores.matches["partial"] == MatchCounts(0, 0, 0, missed=1, spurious=1)


def test_unlisted_types_are_reported_last() -> None:
    scores = score_spans([[Span(0, 1, "ÖGA")]], [[Span(0, 1, "ARM")]], TYPES)
    assert list(scores.per_type) == [*TYPES, "ARM", "ÖGA"]
    assert scores.support == 1


@pytest.mark.parametrize("rows", [[], [[]], [[], []]])
def test_metrics_without_spans_are_zero(rows: Rows) -> None:
    scores = score_spans(rows, rows, TYPES)
    assert (scores.precision, scores.recall, scores.f1, scores.macro_f1, scores.support) == (0.0, 0.0, 0.0, 0.0, 0)
    assert scores.matches["strict"].f1 == 0.0
    assert sentence_counts(rows, rows).shape == (len(rows), 3)


def test_different_numbers_of_sentences_raise_value_error() -> None:
    for function in (lambda: score_spans([[]], [], TYPES), lambda: sentence_counts([[]], [])):
        with pytest.raises(ValueError, match="gold has 1 sentences"):
            function()


def test_metrics_round_trip_through_json() -> None:
    adapter = TypeAdapter(SpanMetrics)
    scores = score_spans([[Span(0, 4, "DRUG")]], [[Span(0, 3, "DRUG"), Span(5, 6, "BODY")]], TYPES)
    assert adapter.validate_json(adapter.dump_json(scores)) == scores


@pytest.mark.parametrize("letters", ["BI", "BIES", "I", "BILU"])
@pytest.mark.parametrize("seed", range(40))
def test_exact_match_of_tags_equals_seqeval(letters: str, seed: int) -> None:
    random = Random(seed)
    labels = ["O", "O", *(f"{letter}-{label}" for letter in letters for label in TYPES)]
    sizes = [random.randint(0, 12) for _ in range(8)]
    gold = [random.choices(labels, k=size) for size in sizes]
    predicted = [[tag if random.random() < 0.7 else random.choice(labels) for tag in tags] for tags in gold]

    scores = score_spans(as_spans(gold), as_spans(predicted), TYPES)

    theirs = seqeval_metrics(gold, predicted, TYPES)
    if "L" not in letters:  # seqeval's own functions do not support BILOU
        assert scores.precision == pytest.approx(precision_score(gold, predicted, zero_division=0))
        assert scores.recall == pytest.approx(recall_score(gold, predicted, zero_division=0))
        assert scores.f1 == pytest.approx(f1_score(gold, predicted, zero_division=0))
    assert (scores.precision, scores.recall, scores.f1) == pytest.approx((theirs.precision, theirs.recall, theirs.f1))
    assert scores.support == theirs.support
    for label in TYPES:
        assert scores.per_type[label].f1 == pytest.approx(theirs.per_type[label].f1)


def as_spans(rows: Sequence[Sequence[str]]) -> Rows:
    return [[Span(*chunk) for chunk in find_chunks(tags)] for tags in rows]


@given(pairs)
def test_every_schema_counts_every_span_once(rows: tuple[Rows, Rows]) -> None:
    gold, predicted = rows
    scores = score_spans(gold, predicted, TYPES)
    for schema in SCHEMAS:
        found = scores.matches[schema]
        assert found.possible == sum(len(set(row)) for row in gold) == scores.support
        assert found.actual == sum(len(set(row)) for row in predicted)
        assert min(found.correct, found.incorrect, found.partial, found.missed, found.spurious) >= 0
        assert 0 <= found.f1 <= 1


@given(pairs)
def test_schemas_are_consistent_with_sentence_counts(rows: tuple[Rows, Rows]) -> None:
    gold, predicted = rows
    scores = score_spans(gold, predicted, TYPES)
    strict, exact, partial, type_ = (scores.matches[schema] for schema in ("strict", "exact", "partial", "type"))
    assert strict.correct <= min(exact.correct, type_.correct)
    assert exact.correct == partial.correct
    assert exact.incorrect <= partial.partial
    assert (strict.missed, strict.spurious) == (exact.missed, exact.spurious)
    assert (scores.precision, scores.recall, scores.f1) == pytest.approx((strict.precision, strict.recall, strict.f1))
    right, wrong, missed = sentence_counts(gold, predicted).sum(axis=0)
    assert (right, right + wrong, right + missed) == (strict.correct, strict.actual, strict.possible)


@given(pairs)
def test_swapping_gold_and_predictions_swaps_the_errors(rows: tuple[Rows, Rows]) -> None:
    gold, predicted = rows
    forward, backward = sentence_counts(gold, predicted), sentence_counts(predicted, gold)
    assert forward.dtype == np.int64
    assert forward.tolist() == backward[:, [0, 2, 1]].tolist()
    assert score_spans(gold, predicted, TYPES).f1 == pytest.approx(score_spans(predicted, gold, TYPES).f1)


@given(pairs, st.randoms(use_true_random=False))
def test_order_of_spans_does_not_matter(rows: tuple[Rows, Rows], random: Random) -> None:
    gold, predicted = rows
    shuffled = [random.sample(row, len(row)) for row in gold], [random.sample(row, len(row)) for row in predicted]
    assert score_spans(*shuffled, TYPES) == score_spans(gold, predicted, TYPES)
