"""Random and published splits."""

import dataclasses
from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tune_ner.data.corpus import SPLIT_NAMES, Corpus, Sentence, Span, SplitName
from tune_ner.data.splits import Split, SplitSpec, split_corpus, train_subset
from tune_ner.errors import SplitError


def corpus_of(size: int, splits: Mapping[SplitName, tuple[int, ...]] | None = None, entities: bool = True) -> Corpus:
    spans = (Span(0, 5, "DISORDER"),) if entities else ()
    sentences = tuple(Sentence(str(number), f"Astma {number}", spans) for number in range(size))
    return Corpus("my corpus", sentences, ("DISORDER",), splits or {})


@settings(max_examples=40, deadline=None)
@given(st.integers(10, 200), st.integers(0, 2**31), st.floats(0.1, 0.4), st.floats(0.15, 0.4))
def test_every_sentence_is_in_exactly_one_split(size: int, seed: int, test: float, validation: float) -> None:
    split = split_corpus(corpus_of(size), SplitSpec(test, validation, seed))
    assert sorted(split.train + split.validation + split.test) == list(range(size))


@settings(max_examples=20, deadline=None)
@given(st.integers(20, 200), st.integers(0, 1000))
def test_equal_seeds_give_equal_splits(size: int, seed: int) -> None:
    spec = SplitSpec(seed=seed)
    assert split_corpus(corpus_of(size), spec) == split_corpus(corpus_of(size), dataclasses.replace(spec))


def test_another_seed_gives_other_splits_of_the_same_sizes() -> None:
    one, other = (split_corpus(corpus_of(100), SplitSpec(seed=seed)) for seed in (1, 2))
    assert set(one.test) != set(other.test)
    assert [len(one[split_name]) for split_name in SPLIT_NAMES] == [
        len(other[split_name]) for split_name in SPLIT_NAMES
    ]


def test_another_seed_draws_another_validation_split_next_to_a_published_test_split() -> None:
    corpus = corpus_of(100, {"train": tuple(range(80)), "test": tuple(range(80, 100))})
    one, other = (split_corpus(corpus, SplitSpec(seed=seed)) for seed in (1, 2))
    assert set(one.validation) != set(other.validation)


def test_the_default_sizes_are_those_of_the_notebook() -> None:
    split = split_corpus(corpus_of(927))
    assert [len(split[split_name]) for split_name in SPLIT_NAMES] == [666, 75, 186]


def test_the_validation_size_is_relative_to_the_sentences_outside_test() -> None:
    split = split_corpus(corpus_of(100), SplitSpec(test_size=0.5, validation_size=0.2))
    assert [len(split[split_name]) for split_name in SPLIT_NAMES] == [40, 10, 50]


def test_train_is_shuffled() -> None:
    train = split_corpus(corpus_of(100)).train
    assert list(train) != sorted(train)


def test_a_split_is_accessible_by_its_name() -> None:
    split = split_corpus(corpus_of(50))
    assert (split["train"], split["validation"], split["test"]) == (split.train, split.validation, split.test)


def test_published_splits_are_kept_in_their_order() -> None:
    corpus = corpus_of(5, {"train": (4, 0, 1), "validation": (2,), "test": (3,)})
    split = split_corpus(corpus, SplitSpec(seed=1))
    assert (split.train, split.validation, split.test) == ((4, 0, 1), (2,), (3,))


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), st.sampled_from([("test", "validation"), ("validation", "test")]))
def test_a_missing_split_is_drawn_from_train_only(seed: int, names: tuple[SplitName, SplitName]) -> None:
    published, missing = names
    corpus = corpus_of(30, {"train": tuple(range(20)), published: tuple(range(20, 30))})
    split = split_corpus(corpus, SplitSpec(test_size=0.2, validation_size=0.2, seed=seed))
    assert split[published] == tuple(range(20, 30))
    assert len(split[missing]) == 4
    assert sorted(split.train + split[missing]) == list(range(20))


def test_two_missing_splits_are_drawn_from_train() -> None:
    assert split_corpus(corpus_of(50, {"train": tuple(range(50))})) == split_corpus(corpus_of(50))


def test_too_few_sentences_are_refused() -> None:
    with pytest.raises(SplitError) as caught:
        split_corpus(corpus_of(1))
    message = str(caught.value)
    assert "1 sentence cannot be split" in message
    assert "test size of 0.2" in message
    assert "larger corpus or change split.test_size" in message


@pytest.mark.parametrize(
    "spec",
    [SplitSpec(test_size=0.0), SplitSpec(test_size=1.0), SplitSpec(test_size=-1.0), SplitSpec(test_size=float("nan"))],
)
def test_an_invalid_size_is_refused(spec: SplitSpec) -> None:
    with pytest.raises(SplitError, match=f"test size of {spec.test_size}"):
        split_corpus(corpus_of(20), spec)


def test_an_empty_validation_split_is_reported_with_its_setting() -> None:
    with pytest.raises(SplitError, match=r"1 sentence .* validation size of 0\.1.*split\.validation_size"):
        split_corpus(corpus_of(2), SplitSpec(test_size=0.5))


@pytest.mark.parametrize("corpus", [corpus_of(0), corpus_of(3, {"test": (0, 1, 2)})], ids=["empty", "only test"])
def test_a_corpus_with_nothing_to_train_on_is_refused(corpus: Corpus) -> None:
    with pytest.raises(SplitError, match=f"the train split has 0 of {len(corpus)} sentences and no entity"):
        split_corpus(corpus)


@pytest.mark.parametrize("empty", SPLIT_NAMES)
def test_a_split_without_entities_is_named(empty: SplitName) -> None:
    full, bare = corpus_of(6).sentences, corpus_of(6, entities=False).sentences
    rows: dict[SplitName, tuple[int, ...]] = {"train": (0, 1), "validation": (2, 3), "test": (4, 5)}
    sentences = tuple(bare[i] if i in rows[empty] else full[i] for i in range(6))
    corpus = Corpus("my corpus", sentences, ("DISORDER",), rows)
    with pytest.raises(SplitError) as caught:
        split_corpus(corpus)
    message = str(caught.value)
    assert f"my corpus: the {empty} split has 2 of 6 sentences and no entity" in message
    assert "Use a larger corpus, or another size or seed" in message


def test_an_empty_published_split_is_refused() -> None:
    with pytest.raises(SplitError, match="the validation split has 0 of 3 sentences"):
        split_corpus(corpus_of(3, {"train": (0, 1), "validation": (), "test": (2,)}))


# ---- parts of the training split


@settings(max_examples=40, deadline=None)
@given(st.integers(10, 150), st.integers(0, 1000), st.integers(1, 150), st.integers(1, 150), st.booleans())
def test_smaller_subsets_are_parts_of_larger_ones(size: int, seed: int, one: int, other: int, grouped: bool) -> None:
    corpus = corpus_of(size)
    if grouped:
        sentences = tuple(dataclasses.replace(s, group=str(int(s.id) // 4)) for s in corpus.sentences)
        corpus = dataclasses.replace(corpus, sentences=sentences, group_by="document")
    split = Split(tuple(reversed(range(size))), (), ())
    small, large = (train_subset(corpus, split, n, seed).train for n in sorted((one, other)))
    assert set(small) <= set(large)
    assert list(large) == sorted(large, reverse=True)  # the order of the complete split
    if not grouped:
        assert (len(small), len(large)) == tuple(min(n, size) for n in sorted((one, other)))
    else:
        groups = [index // 4 for index in small]
        assert all(groups.count(group) == min(4, size - 4 * group) for group in set(groups))
        assert len(small) <= max(4, one, other)


def test_subset_depends_on_the_seed_and_does_not_change_other_splits() -> None:
    corpus = corpus_of(100)
    split = split_corpus(corpus)
    subsets = [train_subset(corpus, split, 20, seed) for seed in (1, 1, 2)]
    assert subsets[0] == subsets[1] != subsets[2]
    assert all((each.validation, each.test) == (split.validation, split.test) for each in subsets)
    assert train_subset(corpus, split, len(split.train), 1) is split


def test_subset_without_an_entity_is_an_error() -> None:
    corpus = corpus_of(100, entities=False)
    with pytest.raises(SplitError) as caught:
        train_subset(corpus, Split(tuple(range(80)), (), ()), 2, 5)
    assert all(word in str(caught.value) for word in ("my corpus", "2 sentences", "seed 5", "train_fraction"))
