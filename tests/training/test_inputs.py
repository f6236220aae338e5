"""Encoded corpora that are kept for the next trial of the process."""

import pytest

from tests.factories import a_config
from tune_ner.data import SplitSpec, split_corpus
from tune_ner.data.synthetic import synthetic_corpus
from tune_ner.training import inputs as inputs_module
from tune_ner.training.encoders import resolve_encoder
from tune_ner.training.inputs import trial_inputs

CORPUS = synthetic_corpus(120)
SPLIT = split_corpus(CORPUS, SplitSpec())
TINY = resolve_encoder("tiny:1x32")


@pytest.fixture(autouse=True)
def _nothing_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inputs_module, "_kept", {})


def test_trials_that_differ_in_rate_or_seed_share_their_inputs() -> None:
    first = trial_inputs(a_config(), TINY, CORPUS, SPLIT)
    assert trial_inputs(a_config(learning_rate=0.5, seed=9, batch_size=2), TINY, CORPUS, SPLIT) is first


@pytest.mark.parametrize(
    "changes", [{"tagging_scheme": "IO"}, {"words": "punctuation"}, {"alignment": "all"}, {"max_length": 9}]
)
def test_trials_that_encode_otherwise_do_not(changes: dict[str, object]) -> None:
    first = trial_inputs(a_config(), TINY, CORPUS, SPLIT)
    other = trial_inputs(a_config(**changes), TINY, CORPUS, SPLIT)
    assert other is not first
    assert (other.labels, other.encoded["train"].label_ids, other.encoded["train"].input_ids) != (
        first.labels,
        first.encoded["train"].label_ids,
        first.encoded["train"].input_ids,
    )


def test_another_corpus_or_split_is_encoded_anew() -> None:
    first = trial_inputs(a_config(), TINY, CORPUS, SPLIT)
    other = trial_inputs(a_config(), TINY, CORPUS, split_corpus(CORPUS, SplitSpec(seed=1)))
    assert other.encoded["test"].input_ids != first.encoded["test"].input_ids
    larger = synthetic_corpus(130)
    assert len(trial_inputs(a_config(), TINY, larger, split_corpus(larger, SplitSpec())).sentences["test"]) == 26


def test_only_a_few_are_kept() -> None:
    for length in range(10, 20):
        trial_inputs(a_config(max_length=length), TINY, CORPUS, SPLIT)
    assert len(inputs_module._kept) == 4
    last = trial_inputs(a_config(max_length=19), TINY, CORPUS, SPLIT)
    assert trial_inputs(a_config(max_length=19), TINY, CORPUS, SPLIT) is last
