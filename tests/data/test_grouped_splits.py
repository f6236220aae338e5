"""Grouped splits and folds: no leaks between splits, balanced sizes; and the split of the notebook."""

import dataclasses
import hashlib
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import datasets
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tune_ner.data import splits as split_module
from tune_ner.data.corpus import SPLIT_NAMES, Corpus, Sentence, Span, SplitName
from tune_ner.data.loaders import load_corpus
from tune_ner.data.near_duplicates import find_duplicates
from tune_ner.data.splits import Split, SplitMethod, SplitSpec, split_corpus
from tune_ner.data.synthetic.generator import synthetic_corpus
from tune_ner.errors import SplitError

GROUPED = SplitSpec(method="grouped")
METHODS: tuple[SplitMethod, ...] = ("random", "grouped")


def corpus_of(sizes: Sequence[int], splits: Mapping[SplitName, tuple[int, ...]] | None = None) -> Corpus:
    """Return a corpus with groups of near duplicates of these sizes; texts of different groups are unrelated."""
    texts = [text for group, size in enumerate(sizes) for text in variants(group, size)]
    sentences = tuple(Sentence(str(i), text, (Span(0, 5, "DRUG"),)) for i, text in enumerate(texts))
    return Corpus("my corpus", sentences, ("DRUG",), splits or {})


def variants(group: int, size: int) -> list[str]:
    text = hashlib.sha256(str(group).encode()).hexdigest()
    return [(text, f"{text.upper()} .", f"{text}{copy}")[copy % 3] for copy in range(size)]


def owners(sizes: Sequence[int]) -> list[int]:
    return [group for group, size in enumerate(sizes) for _ in range(size)]


def every_index(split: Split) -> list[int]:
    return sorted(split.train + split.validation + split.test)


def near_groups(corpus: Corpus) -> list[int]:
    near = find_duplicates([sentence.text for sentence in corpus.sentences]).near
    assert near is not None
    return [int(group) for group in near]


def lengths(split: Split) -> list[int]:
    return [len(split[split_name]) for split_name in SPLIT_NAMES]


def sides(split: Split, groups: Sequence[int]) -> list[set[int]]:
    """Return the groups with a sentence in train, in validation and in test."""
    return [{groups[index] for index in split[split_name]} for split_name in SPLIT_NAMES]


def disjoint(sets: Sequence[set[int]]) -> bool:
    return sum(map(len, sets)) == len(set().union(*sets))


# ---- grouped

group_sizes = st.lists(st.integers(1, 7), min_size=12, max_size=40)


@settings(max_examples=40, deadline=None)
@given(group_sizes, st.integers(0, 2**32 - 1), st.floats(0.1, 0.5), st.floats(0.1, 0.5))
def test_groups_stay_whole_and_sizes_deviate_by_at_most_a_group(
    sizes: list[int], seed: int, test: float, validation: float
) -> None:
    corpus = corpus_of(sizes)
    split = split_corpus(corpus, SplitSpec(test, validation, seed, "grouped"))
    assert every_index(split) == list(range(len(corpus)))
    assert disjoint(sides(split, owners(sizes)))
    assert abs(len(split.test) - test * len(corpus)) <= max(sizes) + 1
    assert abs(len(split.validation) - validation * (len(corpus) - len(split.test))) <= max(sizes) + 1


@settings(max_examples=15, deadline=None)
@given(group_sizes, st.integers(0, 1000), st.integers(2, 12), st.sampled_from(METHODS))
def test_folds_are_a_partition_without_leaks(sizes: list[int], seed: int, folds: int, method: SplitMethod) -> None:
    corpus = corpus_of(sizes)
    splits = [split_corpus(corpus, SplitSpec(0.2, 0.2, seed, method, folds), fold) for fold in range(folds)]
    assert sorted(index for split in splits for index in split.test) == list(range(len(corpus)))
    for split in splits:
        assert every_index(split) == list(range(len(corpus)))
        if method == "grouped":
            assert disjoint(sides(split, owners(sizes)))


def test_without_duplicates_the_sizes_are_those_of_the_random_split() -> None:
    corpus = corpus_of([1] * 927)
    assert lengths(split_corpus(corpus, GROUPED)) == lengths(split_corpus(corpus)) == [666, 75, 186]
    folds = [split_corpus(corpus, dataclasses.replace(GROUPED, folds=5), fold) for fold in range(5)]
    assert sorted(len(split.test) for split in folds) == [185, 185, 185, 186, 186]


def test_entities_of_every_type_are_balanced() -> None:
    corpus = synthetic_corpus(3000)
    split = split_corpus(corpus, GROUPED)
    assert lengths(split) == pytest.approx([2160, 240, 600], abs=10)
    assert disjoint(sides(split, near_groups(corpus)))
    everything = corpus.entity_counts()
    for indices, share in ((split.train, 0.72), (split.validation, 0.08), (split.test, 0.2)):
        for label, count in corpus.entity_counts(indices).items():
            assert count / everything[label] == pytest.approx(share, abs=0.01)


def test_a_group_larger_than_the_test_split_is_in_train() -> None:
    split = split_corpus(corpus_of([60, *[1] * 40]), GROUPED)
    assert set(range(60)) <= set(split.train)
    assert lengths(split) == [72, 8, 20]


def test_a_split_gets_a_group_even_if_all_are_too_large() -> None:
    split = split_corpus(corpus_of([30, 30, 30]), GROUPED)
    assert lengths(split) == [30, 30, 30]


def test_sentences_of_a_group_are_shuffled() -> None:
    train = split_corpus(corpus_of([10] * 20), GROUPED).train
    neighbours = sum(abs(one - other) == 1 for one, other in pairwise(train))
    assert neighbours < len(train) / 10


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("folds", [0, 3])
def test_splits_depend_on_the_seed_only(method: SplitMethod, folds: int) -> None:
    corpus, fold = synthetic_corpus(300), 1 if folds else None
    one, same, other = (split_corpus(corpus, SplitSpec(0.2, 0.1, seed, method, folds), fold) for seed in (1, 1, 2))
    assert one == same
    assert set(one.test) != set(other.test)


def test_splits_do_not_depend_on_the_hash_seed() -> None:
    check = (
        "from tune_ner.data.splits import SplitSpec, split_corpus\n"
        "from tune_ner.data.synthetic.generator import synthetic_corpus\n"
        "print(split_corpus(synthetic_corpus(500), SplitSpec(method='grouped', folds=3), 1))"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "1"}
    outcome = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True, env=environment)
    expected = split_corpus(synthetic_corpus(500), SplitSpec(method="grouped", folds=3), 1)
    assert outcome.stdout.strip() == repr(expected)


def test_duplicates_are_searched_once_for_all_folds(monkeypatch: pytest.MonkeyPatch) -> None:
    searched = []

    def count_texts(texts: Sequence[str]) -> object:
        searched.append(len(texts))
        return find_duplicates(texts)

    split_module._near_duplicate_groups.cache_clear()
    monkeypatch.setattr(split_module, "find_duplicates", count_texts)
    for fold in range(4):
        split_corpus(corpus_of([2] * 31), dataclasses.replace(GROUPED, folds=4), fold)
    assert searched == [62]


# ---- published splits, and the default

PUBLISHED: dict[SplitName, tuple[int, ...]] = {
    "train": tuple(range(30, 100)),
    "validation": tuple(range(10)),
    "test": tuple(range(10, 30)),
}


def test_published_splits_are_kept_by_the_random_method_without_folds() -> None:
    assert split_corpus(corpus_of([1] * 100, PUBLISHED)) == Split(
        *(PUBLISHED[split_name] for split_name in SPLIT_NAMES)
    )


@pytest.mark.parametrize("spec", [GROUPED, SplitSpec(folds=5), SplitSpec(method="grouped", folds=5)])
def test_grouped_splits_and_folds_replace_published_splits(spec: SplitSpec) -> None:
    fold = 0 if spec.folds else None
    split = split_corpus(corpus_of([1] * 100, PUBLISHED), spec, fold)
    assert split == split_corpus(corpus_of([1] * 100), spec, fold)
    assert every_index(split) == list(range(100))


def test_the_default_is_the_split_of_the_notebook() -> None:
    rows = datasets.Dataset.from_dict({"index": range(927)})
    outer = rows.train_test_split(test_size=0.2, seed=67)
    inner = outer["train"].train_test_split(test_size=0.1, seed=67)
    expected = Split(*(tuple(split_name["index"]) for split_name in (inner["train"], inner["test"], outer["test"])))
    assert split_corpus(corpus_of([1] * 927)) == expected


def test_the_1177_corpus_leaks_in_the_notebooks_split_but_not_in_the_grouped_one(swedish_medical_ner: Path) -> None:
    corpus = load_corpus(str(swedish_medical_ner), markup="keep")
    texts = [sentence.text for sentence in corpus.sentences]
    split = split_corpus(corpus)
    trained = {texts[index] for index in split.train}
    assert sum(texts[index] in trained for index in split.test) == 6
    assert sum(texts[index] in trained for index in split.validation) == 5
    grouped = split_corpus(corpus, GROUPED)
    assert lengths(grouped) == pytest.approx([666, 75, 186], abs=5)
    assert disjoint(sides(grouped, near_groups(corpus)))


# ---- refusals


@pytest.mark.parametrize(
    ("spec", "fold", "message"),
    [
        (SplitSpec(folds=1), 0, r"split\.folds: found 1, expected 0 .* at least 2"),
        (SplitSpec(folds=-3), None, r"split\.folds: found -3"),
        (SplitSpec(folds=5), None, r"5 folds but no fold given; expected a fold from 0 to 4"),
        (SplitSpec(folds=5), 5, r"fold 5 is out of range; expected a fold from 0 to 4"),
        (SplitSpec(folds=5), -1, r"fold -1 is out of range"),
        (SplitSpec(), 0, r"fold 0 of a split without folds; set split\.folds"),
        (SplitSpec(method="group"), None, r"split\.method: found 'group', .* \(did you mean 'grouped'\?\)"),  # type: ignore[arg-type]
    ],
)
def test_an_invalid_spec_is_refused(spec: SplitSpec, fold: int | None, message: str) -> None:
    with pytest.raises(SplitError, match=message):
        split_corpus(corpus_of([1] * 20), spec, fold)


def test_more_folds_than_sentences_are_refused() -> None:
    with pytest.raises(SplitError, match=r"my corpus: 6 sentences cannot be split into 7 folds.*lower split\.folds"):
        split_corpus(corpus_of([1] * 6), SplitSpec(folds=7), 0)


def test_more_folds_than_groups_are_refused() -> None:
    with pytest.raises(SplitError, match=r"my corpus: 20 sentences in 4 groups .* into 5 folds.*lower split\.folds"):
        split_corpus(corpus_of([5] * 4), SplitSpec(method="grouped", folds=5), 0)


@pytest.mark.parametrize(("sizes", "split_name"), [([], "test"), ([9], "test"), ([5, 5], "validation")])
def test_fewer_groups_than_splits_are_refused(sizes: list[int], split_name: str) -> None:
    with pytest.raises(SplitError, match=rf"groups? cannot be split with a {split_name} size"):
        split_corpus(corpus_of(sizes), GROUPED)


@pytest.mark.parametrize("size", [0.0, 1.0, -0.1, float("nan"), 1.5])
def test_an_invalid_size_is_refused(size: float) -> None:
    with pytest.raises(SplitError, match=f"test size of {size}"):
        split_corpus(corpus_of([1] * 20), dataclasses.replace(GROUPED, test_size=size))
    with pytest.raises(SplitError, match=f"validation size of {size}"):
        split_corpus(corpus_of([1] * 20), dataclasses.replace(GROUPED, validation_size=size))


@pytest.mark.parametrize("spec", [GROUPED, SplitSpec(folds=3), SplitSpec(method="grouped", folds=3)])
def test_a_split_without_entities_is_refused(spec: SplitSpec) -> None:
    corpus = corpus_of([1] * 30)
    bare = tuple(dataclasses.replace(sentence, spans=()) for sentence in corpus.sentences[1:])
    sparse = dataclasses.replace(corpus, sentences=(corpus.sentences[0], *bare))
    with pytest.raises(SplitError, match=r"my corpus: the \w+ split has \d+ of 30 sentences and no entity"):
        split_corpus(sparse, spec, 0 if spec.folds else None)


# ---- groups of the corpus


def with_groups(groups: Sequence[str], splits: Mapping[SplitName, tuple[int, ...]] | None = None) -> Corpus:
    """Return a corpus of unrelated sentences in these groups, which must not be divided."""
    sentences = tuple(
        Sentence(str(i), f"{hashlib.sha256(str(i).encode()).hexdigest()} Alvedon", (Span(65, 72, "DRUG"),), "", group)
        for i, group in enumerate(groups)
    )
    return Corpus("my corpus", sentences, ("DRUG",), splits or {}, group_by="patient")


def splits_of_groups(corpus: Corpus, split: Split) -> dict[str, set[str]]:
    """Return the splits of each group."""
    found: dict[str, set[str]] = {}
    for name in SPLIT_NAMES:
        for index in split[name]:
            found.setdefault(corpus.sentences[index].group, set()).add(name)
    return found


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.sampled_from("abcdefghijkl"), min_size=40, max_size=120).filter(lambda groups: len(set(groups)) > 5),
    st.sampled_from(METHODS),
    st.sampled_from([0, 3]),
    st.integers(0, 99),
)
def test_groups_of_the_corpus_are_never_divided(groups: list[str], method: SplitMethod, folds: int, seed: int) -> None:
    corpus = with_groups(groups)
    spec = SplitSpec(method=method, folds=folds, seed=seed)
    tested: list[int] = []
    for fold in range(folds) if folds else [None]:
        split = split_corpus(corpus, spec, fold)
        assert all(len(names) == 1 for names in splits_of_groups(corpus, split).values())
        assert sorted(split.train + split.validation + split.test) == list(range(len(corpus)))
        tested += split.test
    assert not folds or sorted(tested) == list(range(len(corpus)))


def test_groups_and_near_duplicates_are_kept_together() -> None:
    # sentence 2i of a group and sentence 2i + 1 of the next one are near duplicates: a chain connects all of them
    plain = corpus_of([2] * 40)
    sentences = tuple(
        dataclasses.replace(sentence, group=str((i + 1) // 2 % 5) if i < 20 else f"own {i}")
        for i, sentence in enumerate(plain.sentences)
    )
    corpus = dataclasses.replace(plain, sentences=sentences, group_by="document")
    split = split_corpus(corpus, GROUPED)
    assert len({name for i in range(20) for name in SPLIT_NAMES if i in split[name]}) == 1


def test_a_missing_split_is_drawn_in_groups_and_published_ones_are_kept() -> None:
    groups = [f"p{i // 4}" for i in range(80)]
    test = tuple(range(70, 80))
    corpus = with_groups(groups, {"train": tuple(range(70)), "test": test})
    split = split_corpus(corpus, SplitSpec())
    assert split.test == test
    patients = [{groups[i] for i in split[name]} for name in ("train", "validation")]
    assert not patients[0] & patients[1]


def test_one_group_cannot_be_split() -> None:
    with pytest.raises(SplitError, match="in 1 group cannot be split"):
        split_corpus(with_groups(["a"] * 30), SplitSpec())
