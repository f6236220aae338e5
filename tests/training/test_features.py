"""Encoded corpora that are kept for the next trial of the process."""

import pytest

from tests.factories import a_config
from tune_ner.data.corpus import SplitName
from tune_ner.data.splits import SplitSpec, split_corpus
from tune_ner.data.synthetic.generator import synthetic_corpus
from tune_ner.training import features as features_module
from tune_ner.training.encoders import load_tokenizer, resolve_encoder
from tune_ner.training.features import TrialFeatures, tokenize_split, trial_features

CORPUS = synthetic_corpus(120)
SPLIT = split_corpus(CORPUS, SplitSpec())
TINY = resolve_encoder("tiny:1x32")


@pytest.fixture(autouse=True)
def _nothing_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(features_module, "_kept", {})


def test_trials_that_differ_in_rate_or_seed_share_their_inputs() -> None:
    first = trial_features(a_config(), TINY, CORPUS, SPLIT)
    assert trial_features(a_config(learning_rate=0.5, seed=9, batch_size=2), TINY, CORPUS, SPLIT) is first


@pytest.mark.parametrize(
    "changes",
    [{"tagging_scheme": "IO"}, {"word_tokenizer": "punctuation"}, {"subword_labels": "all"}, {"max_length": 9}],
)
def test_trials_that_encode_otherwise_do_not(changes: dict[str, object]) -> None:
    first = trial_features(a_config(), TINY, CORPUS, SPLIT)
    other = trial_features(a_config(**changes), TINY, CORPUS, SPLIT)
    assert other is not first
    assert said(other) != said(first)


def test_another_corpus_or_split_is_encoded_anew() -> None:
    first = trial_features(a_config(), TINY, CORPUS, SPLIT)
    other = trial_features(a_config(), TINY, CORPUS, split_corpus(CORPUS, SplitSpec(seed=1)))
    assert said(other, "test") != said(first, "test")
    larger = synthetic_corpus(130)
    assert len(trial_features(a_config(), TINY, larger, split_corpus(larger, SplitSpec())).sentences["test"]) == 26


def test_a_corpus_that_was_tokenized_elsewhere_gives_the_same_inputs() -> None:
    config = a_config(tagging_scheme="BIOES", subword_labels="all", word_tokenizer="punctuation")
    tokenizer = load_tokenizer(TINY, [CORPUS.sentences[i].text for i in SPLIT.train])
    tokenized = tokenize_split(config, CORPUS, SPLIT, tokenizer)
    given = trial_features(config, TINY, CORPUS, SPLIT, tokenized)
    assert given.encoded["train"].subwords is tokenized.subwords["train"]
    features_module._kept.clear()
    assert said(given) == said(trial_features(config, TINY, CORPUS, SPLIT))


def test_trimmed_windows_have_the_same_labels_and_subwords() -> None:
    inputs = trial_features(a_config(), TINY, CORPUS, SPLIT)
    for split_name, windows in inputs.windows.items():
        trimmed = inputs.trimmed_windows[split_name]
        assert inputs.vocabulary.ids[trimmed.ids].tolist() == windows.ids.tolist()
        assert trimmed.labels is windows.labels
        assert trimmed.lengths.tolist() == windows.lengths.tolist()


def said(inputs: TrialFeatures, split_name: SplitName = "train") -> tuple[object, ...]:
    encoded = inputs.encoded[split_name]
    return inputs.labels, encoded.label_ids.tolist(), encoded.subwords.ids.tolist()


def test_only_a_few_are_kept() -> None:
    for length in range(10, 20):
        trial_features(a_config(max_length=length), TINY, CORPUS, SPLIT)
    assert len(features_module._kept) == 4
    last = trial_features(a_config(max_length=19), TINY, CORPUS, SPLIT)
    assert trial_features(a_config(max_length=19), TINY, CORPUS, SPLIT) is last
