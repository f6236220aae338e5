"""Label probabilities of words, their average over models, and their file."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tests.tagging.test_decoding import is_valid
from tune_ner.data.corpus import Span
from tune_ner.tagging.alignment import Subwords
from tune_ner.tagging.decoding import Transitions, ViterbiDecoder
from tune_ner.tagging.probabilities import WordProbabilities, pack, unpack
from tune_ner.tagging.schemes import SCHEMES
from tune_ner.tagging.tokenization import Words

TYPES = ("x", "y")


def some_words(*counts: int) -> Words:
    """Return words of one character, with these numbers of words in each text."""
    starts = np.concatenate([2 * np.arange(count) for count in counts])
    return Words(starts, starts + 1, np.cumsum([0, *counts]))


def of_rows(scheme: str, rows: Any, words: Words | None = None) -> WordProbabilities:
    values = np.array(rows, dtype=float)
    return WordProbabilities(words or some_words(len(values)), values, scheme, SCHEMES[scheme].labels(TYPES))


@st.composite
def models(draw: st.DrawFn) -> WordProbabilities:
    scheme = draw(st.sampled_from(sorted(SCHEMES)))
    columns = len(SCHEMES[scheme].labels(TYPES))
    values = draw(arrays(float, (5, columns), elements=st.floats(0.01, 1)))
    return of_rows(scheme, values / values.sum(axis=1, keepdims=True), some_words(2, 3))


def subwords_of(words: Words, read_at: list[int]) -> Subwords:
    ids = np.arange(len(read_at), dtype=np.int32)
    return Subwords(ids, ids, np.array([0, len(read_at)]), np.array(read_at), words)


def test_probabilities_are_the_softmax_of_scores_and_truncated_words_are_outside() -> None:
    scores = np.log(np.array([[0.5, 0.25, 0.25], [1, 1, 2], [0.1, 0.1, 0.8]]))
    found = WordProbabilities.of(scores, subwords_of(some_words(2, 1), [2, -1, 0]), "BIO", ("O", "B-x", "I-x"))
    assert found.values == pytest.approx(np.array([[0.1, 0.1, 0.8], [1, 0, 0], [0.5, 0.25, 0.25]]))


def test_probabilities_of_a_crf_are_its_marginals() -> None:
    labels = ("O", "B-x", "I-x")
    crf = ViterbiDecoder(
        SCHEMES["BIO"], labels, Transitions(transitions=((0, 1, 0),) * 3, starts=(0,) * 3, ends=(0,) * 3)
    )
    scores = np.random.default_rng(0).normal(size=(3, 3))
    found = WordProbabilities.of(scores, subwords_of(some_words(2, 1), [0, 1, 2]), "BIO", labels, crf)
    assert found.values == pytest.approx(np.concatenate([crf.marginals(scores[:2]), crf.marginals(scores[2:])]))


@given(model=models())
def test_the_average_of_one_model_is_that_model_as_it_is_stored(model: WordProbabilities) -> None:
    mean = WordProbabilities.average([model])
    assert (mean.scheme, mean.labels) == (model.scheme, model.labels)
    assert mean.values == pytest.approx(model.values, abs=1e-3)
    stored = unpack(pack({"test": model}), "test", model.scheme, model.labels)
    assert np.array_equal(mean.values, stored.values)


@given(members=st.lists(models(), min_size=1, max_size=4))
def test_averages_are_distributions_and_mark_valid_entities(members: list[WordProbabilities]) -> None:
    mean = WordProbabilities.average(members)
    assert mean.values.sum(axis=1) == pytest.approx(np.ones(5), abs=0.01)
    assert mean.labels == SCHEMES[mean.scheme].labels(TYPES)
    tags = [mean.labels[index] for index in mean.label_ids()]
    for first, after in pairwise(mean.words.firsts):
        assert is_valid(mean.scheme, tags[first:after])


def test_models_of_two_schemes_are_averaged_label_by_label() -> None:
    bio = of_rows("BIO", [[0.2, 0.7, 0.1, 0, 0], [0.4, 0.1, 0.3, 0.2, 0]])
    bioes = of_rows("BIOES", [[0.4, 0.1, 0, 0, 0.5, 0, 0, 0, 0], [0, 0.05, 0.25, 0.5, 0.2, 0, 0, 0, 0]])
    mean = WordProbabilities.average([bio, bioes])
    assert mean.labels == ("O", "B-x", "I-x", "B-y", "I-y")
    expected = np.array([[0.3, 0.65, 0.05, 0, 0], [0.2, 0.175, 0.525, 0.1, 0]])
    assert mean.values == pytest.approx(expected, abs=1e-3)
    assert mean.spans() == [(Span(0, 3, "x"),)]


@pytest.mark.parametrize(
    ("schemes", "expected"),
    [
        (["BIOES", "BIOES"], "BIOES"),
        (["BIOES", "BILOU"], "BIO"),
        (["BIO", "IO"], "IO"),
        (["IOB1", "BIO"], "IO"),
        (["IOB1", "IOB1"], "IOB1"),
    ],
)
def test_scheme_in_which_models_are_averaged(schemes: list[str], expected: str) -> None:
    members = [of_rows(scheme, np.full((1, len(SCHEMES[scheme].labels(TYPES))), 0.1)) for scheme in schemes]
    assert WordProbabilities.average(members).scheme == expected


def test_labels_in_another_order_are_averaged_by_name() -> None:
    one = of_rows("IO", [[0.1, 0.7, 0.2]])
    other = WordProbabilities(one.words, np.array([[0.2, 0.5, 0.3]]), "IO", ("I-y", "I-x", "O"))
    assert WordProbabilities.average([one, other]).values == pytest.approx(np.array([[0.2, 0.6, 0.2]]), abs=1e-3)


def test_models_with_other_words_or_types_are_refused() -> None:
    model = of_rows("IO", np.full((3, 3), 0.3))
    with pytest.raises(ValueError, match="different words"):
        WordProbabilities.average([model, of_rows("IO", np.full((3, 3), 0.3), some_words(1, 2))])
    other = WordProbabilities(model.words, model.values, "IO", ("O", "I-x", "I-z"))
    with pytest.raises(ValueError, match="different entity types"):
        WordProbabilities.average([model, other])


@given(model=models())
def test_stored_words_and_probabilities_are_read_again(model: WordProbabilities) -> None:
    content = pack({"validation": of_rows("IO", [[1, 0, 0]]), "test": model})
    assert content == pack({"validation": of_rows("IO", [[1, 0, 0]]), "test": model})
    found = unpack(content, "test", model.scheme, model.labels)
    assert all(
        np.array_equal(a, b) for a, b in zip(vars(found.words).values(), vars(model.words).values(), strict=True)
    )
    assert found.values == pytest.approx(model.values, abs=1e-3)


@pytest.mark.parametrize("damage", ["empty", "text", "truncated", "other labels", "other split"])
def test_damaged_files_are_refused(damage: str) -> None:
    content = pack({"test": of_rows("IO", [[0.5, 0.25, 0.25]])})
    content = {"empty": b"", "text": b"{}", "truncated": content[:-40]}.get(damage, content)
    labels = ("O", "I-x") if damage == "other labels" else ("O", "I-x", "I-y")
    with pytest.raises(ValueError, match=r"."):
        unpack(content, "validation" if damage == "other split" else "test", "IO", labels)
