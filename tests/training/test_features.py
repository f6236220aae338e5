"""Encoded corpora and their cache."""

import pytest

from tests.factories import a_config
from tune_ner.data.corpus import SplitName
from tune_ner.data.splits import SplitSpec, split_corpus
from tune_ner.data.synthetic.generator import synthetic_corpus
from tune_ner.training import features as features_module
from tune_ner.training.encoders import load_tokenizer, resolve_encoder
from tune_ner.training.features import TrialFeatures, tokenize_corpus, trial_features

CORPUS = synthetic_corpus(120)
SPLIT = split_corpus(CORPUS, SplitSpec())
TINY = resolve_encoder("tiny:1x32")


@pytest.fixture(autouse=True)
def _empty_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(features_module, "_cache", {})


def test_trials_with_another_learning_rate_or_seed_share_features() -> None:
    first = trial_features(a_config(), TINY, CORPUS, SPLIT)
    assert trial_features(a_config(learning_rate=0.5, seed=9, batch_size=2), TINY, CORPUS, SPLIT) is first


@pytest.mark.parametrize(
    "changes",
    [{"tagging_scheme": "IO"}, {"word_tokenizer": "punctuation"}, {"subword_labels": "all"}, {"max_length": 9}],
)
def test_trials_with_another_encoding_do_not_share_features(changes: dict[str, object]) -> None:
    first = trial_features(a_config(), TINY, CORPUS, SPLIT)
    other = trial_features(a_config(**changes), TINY, CORPUS, SPLIT)
    assert other is not first
    assert content(other) != content(first)


def test_another_corpus_or_split_is_encoded_separately() -> None:
    first = trial_features(a_config(), TINY, CORPUS, SPLIT)
    other = trial_features(a_config(), TINY, CORPUS, split_corpus(CORPUS, SplitSpec(seed=1)))
    assert content(other, "test") != content(first, "test")
    larger = synthetic_corpus(130)
    assert len(trial_features(a_config(), TINY, larger, split_corpus(larger, SplitSpec())).sentences["test"]) == 26


def test_tokenized_corpus_gives_the_same_features() -> None:
    config = a_config(tagging_scheme="BIOES", subword_labels="all", word_tokenizer="punctuation")
    tokenizer = load_tokenizer(TINY, [CORPUS.sentences[i].text for i in SPLIT.train])
    tokenized = tokenize_corpus(config, CORPUS, SPLIT, tokenizer)
    given = trial_features(config, TINY, CORPUS, SPLIT, tokenized)
    assert given.encoded["train"].subwords is tokenized.subwords["train"]
    features_module._cache.clear()
    assert content(given) == content(trial_features(config, TINY, CORPUS, SPLIT))


def test_trimmed_windows_have_the_same_labels_and_subwords() -> None:
    features = trial_features(a_config(), TINY, CORPUS, SPLIT)
    for split_name, windows in features.windows.items():
        trimmed = features.trimmed_windows[split_name]
        assert features.vocabulary.ids[trimmed.ids].tolist() == windows.ids.tolist()
        assert trimmed.labels is windows.labels
        assert trimmed.lengths.tolist() == windows.lengths.tolist()


def content(features: TrialFeatures, split_name: SplitName = "train") -> tuple[object, ...]:
    encoded = features.encoded[split_name]
    return features.labels, encoded.label_ids.tolist(), encoded.subwords.ids.tolist()


def test_cache_is_limited() -> None:
    for length in range(10, 20):
        trial_features(a_config(max_length=length), TINY, CORPUS, SPLIT)
    assert len(features_module._cache) == 4
    last = trial_features(a_config(max_length=19), TINY, CORPUS, SPLIT)
    assert trial_features(a_config(max_length=19), TINY, CORPUS, SPLIT) is last
