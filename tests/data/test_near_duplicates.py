"""Duplicates: planted ones are found, unrelated sentences are not, and results are reproducible."""

import hashlib
import os
import subprocess
import sys
import unicodedata
from collections import Counter
from pathlib import Path
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tune_ner.data.loaders import load_corpus
from tune_ner.data.near_duplicates import Duplicates, Indices, _union, find_duplicates, normalise
from tune_ner.data.synthetic.generator import synthetic_corpus

TEXTS = [sentence.text for sentence in synthetic_corpus(3000).sentences]


def near_groups(texts: list[str], threshold: float = 0.8) -> list[int]:
    near = find_duplicates(texts, threshold=threshold).near
    assert near is not None
    return [int(group) for group in near]


def sizes(groups: Indices) -> dict[int, int]:
    """Count the groups of each size."""
    return dict(Counter(Counter(groups.tolist()).values()))


def shingles(text: str) -> set[str]:
    padded = f" {normalise(text)} "
    return {padded[start : start + 3] for start in range(len(padded) - 2)}


def jaccard(one: str, other: str) -> float:
    a, b = shingles(one), shingles(other)
    return len(a & b) / len(a | b) if normalise(one) and normalise(other) else 0.0


def similarities(texts: list[str]) -> np.ndarray:
    """Compute the Jaccard similarity of every pair, shape (texts, texts)."""
    sets = [shingles(text) for text in texts]
    columns = {shingle: column for column, shingle in enumerate(sorted(set().union(*sets)))}
    present = np.zeros((len(texts), len(columns)), np.float32)
    for row, found in enumerate(sets):
        present[row, [columns[shingle] for shingle in found]] = 1
    shared, size = present @ present.T, present.sum(axis=1)
    similarity: np.ndarray = shared / (size[:, None] + size - shared)
    return similarity


def misspelt(text: str, random: Random) -> str:
    """Return the text with one letter doubled, which removes and adds at most three shingles."""
    place = random.randrange(len(text) - 1)
    return text[:place] + text[place] + text[place:]


# ---- equal, and equal but for spelling


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("Feber.", "feber"),
        ("Har du feber?", "Har du feber!"),
        ("Ont  i\u00a0magen .", " ont i magen"),
        ("Grosse Füße", "GROSSE FÜSSE"),
        ("A\u030angest", "Ångest"),
        ("ﬂuor", "fluor"),
        ("Och sedan…", "och sedan"),
    ],
)
def test_case_spacing_and_final_punctuation_are_normalised(text: str, same: str) -> None:
    found = find_duplicates([text, same])
    assert found.exact.tolist() == [0, 1]
    assert found.normalised.tolist() == [0, 0]
    assert found.near is not None
    assert found.near.tolist() == [0, 0]


@pytest.mark.parametrize(
    ("text", "other"),
    [("Feber", "Fever"), ("ont, i magen", "ont i magen"), ("får", "far"), ("...", "?"), ("1,5", "15")],
)
def test_words_letters_and_inner_punctuation_are_not_normalised(text: str, other: str) -> None:
    assert find_duplicates([text, other], near=False).normalised.tolist() == [0, 1]


def test_the_id_of_a_group_is_its_first_sentence() -> None:
    found = find_duplicates(["Hosta.", "Feber", "Feber.", "Feber", "hosta", "Feber."])
    assert found.exact.tolist() == [0, 1, 2, 1, 4, 2]
    assert found.normalised.tolist() == [0, 1, 1, 1, 0, 1]


def test_every_blank_sentence_is_a_group_of_its_own() -> None:
    texts = ["", "Feber", "", " ", "\n\t", "\u2003", " ", "feber"]
    found = find_duplicates(texts)
    assert found.exact.tolist() == list(range(8))
    assert found.near is not None
    assert found.normalised.tolist() == found.near.tolist() == [0, 1, 2, 3, 4, 5, 6, 1]


def test_visible_text_is_never_normalised_to_nothing() -> None:
    lost = [point for point in range(sys.maxunicode + 1) if chr(point).strip() and not normalise(chr(point)).strip()]
    assert lost == []


@pytest.mark.parametrize("texts", [[], [""], ["Feber"], ["a", "b"], ["\ud800 ensam", "\ud800 ensam", "𝄞"]])
def test_tiny_and_unusual_corpora(texts: list[str]) -> None:
    found = find_duplicates(texts)
    assert found.near is not None
    for groups in (found.exact, found.normalised, found.near):
        assert groups.dtype == np.int64
        assert groups.tolist() == [texts.index(text) for text in texts]


def test_near_duplicates_are_optional() -> None:
    assert find_duplicates(["Feber", "Feber"], near=False).near is None


@pytest.mark.parametrize("threshold", [0.0, -0.5, 1.01, float("nan")])
def test_an_invalid_threshold_is_refused(threshold: float) -> None:
    with pytest.raises(ValueError, match=f"threshold={threshold}; expected a Jaccard similarity"):
        find_duplicates(["Feber"], threshold=threshold)


# ---- what always holds

few_letters = st.text("ab Å.", max_size=12)


@settings(max_examples=60, deadline=None)
@given(st.lists(few_letters | st.text(max_size=8), max_size=30))
def test_levels_are_nested(texts: list[str]) -> None:
    found = find_duplicates(texts)
    assert found.near is not None
    for level in (found.exact, found.normalised, found.near):
        for index, group in enumerate(level.tolist()):
            assert group <= index
            assert level[group] == group
    for finer, coarser in ((found.exact, found.normalised), (found.normalised, found.near)):
        assert (coarser == coarser[finer]).all()


@settings(max_examples=60, deadline=None)
@given(st.lists(few_letters, max_size=25), st.sampled_from([0.3, 0.6, 0.8, 1.0]))
def test_every_near_duplicate_is_similar_to_one_of_its_group(texts: list[str], threshold: float) -> None:
    groups = near_groups(texts, threshold)
    for group in set(groups):
        members = [index for index, of in enumerate(groups) if of == group]
        reached, todo = {group}, [group]
        while todo:
            at = todo.pop()
            close = {other for other in members if jaccard(texts[at], texts[other]) >= threshold}
            todo.extend(close - reached)
            reached |= close
        assert reached >= set(members)


# ---- planted and not


def test_all_planted_copies_are_found_at_their_level() -> None:
    base = list(dict.fromkeys(TEXTS))[:500]
    copies = [text.upper().replace(" ", "  ") + "!" for text in base]
    found = find_duplicates(base + base + copies)
    numbers = np.arange(500)
    assert (found.exact[500:1000] == numbers).all()
    assert (found.exact[1000:] == numbers + 1000).all()
    assert (found.normalised[1000:] == found.normalised[:500]).all()


def test_99_percent_of_planted_misspellings_are_found() -> None:
    random = Random(1)
    base = list(dict.fromkeys(TEXTS))[:500]
    variants = [misspelt(text, random) for text in base]
    near = near_groups(base + variants)
    planted = [number for number in range(500) if jaccard(base[number], variants[number]) >= 0.8]
    assert len(planted) > 450
    assert sum(near[number] == near[500 + number] for number in planted) >= 0.99 * len(planted)


def test_recall_and_precision_against_all_pairs() -> None:
    texts = list(dict.fromkeys(normalise(text) for text in TEXTS))
    groups = np.array(near_groups(texts))
    similar = np.argwhere(np.triu(similarities(texts) >= 0.8, k=1))
    found = groups[similar[:, 0]] == groups[similar[:, 1]]
    assert len(similar) > 40
    assert found.mean() >= 0.95
    in_a_pair = np.unique(similar)
    single = np.setdiff1d(np.arange(len(texts)), in_a_pair)
    assert (groups[single] == single).all()


def test_short_sentences_are_not_similar() -> None:
    random = Random(2)
    words = sorted({word for text in TEXTS for word in text.split()})
    texts = [" ".join(random.sample(words, random.randint(3, 8))) for _ in range(2000)]
    assert near_groups(texts) == list(range(2000))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Ta medicin mot feber.", "Ta tabletter mot hosta."),
        ("Kan du få astma?", "Kan du få diabetes?"),
        ("Vad är astma?", "Vad är hosta?"),
        ("Ring en läkare.", "Ring en sköterska."),
    ],
)
def test_short_sentences_of_one_pattern_are_not_similar(one: str, other: str) -> None:
    assert near_groups([one, other]) == [0, 1]


def test_groups_are_transitive() -> None:
    start = "Många värkmediciner liknar varandra, och det gör att den totala dosen kan bli för hög."
    middle = start.replace("Många", "Flera")
    end = middle.replace("hög", "stor")
    assert jaccard(start, end) < 0.8 <= min(jaccard(start, middle), jaccard(middle, end))
    assert near_groups([start, end]) == [0, 1]
    assert near_groups([start, end, middle]) == [0, 0, 0]


def test_thousands_of_variants_of_a_sentence_are_one_group() -> None:
    variants = [f"Sök vård direkt om du får feber eller hosta, står det på sidan {page}." for page in range(1000, 5000)]
    assert set(near_groups(variants)) == {0}


def test_long_texts_are_compared_in_full() -> None:
    start, end = " ".join(TEXTS[:40]), " ".join(TEXTS[40:50])
    assert len(shingles(start)) > 1000
    assert near_groups([start, f"{start} {end}", " ".join(TEXTS[100:150])]) == [0, 0, 2]


def test_groups_with_many_links_are_joined() -> None:
    before, after = np.repeat([0, 512], 512), np.zeros(1024, np.int64)
    for links in (1, 255, 256, 512):
        assert (_union(before, np.arange(links), np.arange(512, 512 + links)) == after).all()


def test_the_groups_do_not_depend_on_the_hash_seed() -> None:
    check = (
        "import hashlib\n"
        "from tune_ner.data.near_duplicates import find_duplicates\n"
        "from tune_ner.data.synthetic.generator import synthetic_corpus\n"
        "near = find_duplicates([sentence.text for sentence in synthetic_corpus(3000).sentences]).near\n"
        "print(hashlib.sha256(near.tobytes()).hexdigest())"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "1"}
    outcome = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True, env=environment)
    near = find_duplicates(TEXTS).near
    assert near is not None
    assert outcome.stdout.strip() == hashlib.sha256(near.tobytes()).hexdigest()


# ---- the published corpus


def duplicates_of(file: Path, markup: str) -> Duplicates:
    corpus = load_corpus(str(file), markup="keep" if markup == "keep" else "strip")
    return find_duplicates([sentence.text for sentence in corpus.sentences])


def test_duplicates_of_the_1177_corpus(swedish_medical_ner: Path) -> None:
    found = duplicates_of(swedish_medical_ner, "keep")
    assert sizes(found.exact) == {1: 893, 2: 14, 3: 2}
    assert sizes(found.normalised) == {1: 891, 2: 15, 3: 2}


def test_duplicates_of_the_1177_corpus_without_markup(swedish_medical_ner: Path) -> None:
    found = duplicates_of(swedish_medical_ner, "strip")
    assert sizes(found.exact) == {1: 892, 2: 13, 3: 3}
    assert sizes(found.normalised) == {1: 890, 2: 14, 3: 3}


@pytest.mark.parametrize(("markup", "pairs"), [("keep", 8), ("strip", 6)])
def test_near_duplicates_of_the_1177_corpus_are_those_of_all_pairs(
    swedish_medical_ner: Path, markup: str, pairs: int
) -> None:
    corpus = load_corpus(str(swedish_medical_ner), markup="keep" if markup == "keep" else "strip")
    texts = [text for text in dict.fromkeys(normalise(sentence.text) for sentence in corpus.sentences) if text]
    similar = np.argwhere(np.triu(similarities(texts) >= 0.8, k=1)).tolist()
    assert len(similar) == pairs
    groups = near_groups(texts)
    assert all(groups[one] == groups[other] for one, other in similar)
    assert len(set(groups)) == len(texts) - pairs


def test_normal_form_is_stable(swedish_medical_ner: Path) -> None:
    corpus = load_corpus(str(swedish_medical_ner))
    for sentence in corpus.sentences:
        plain = normalise(sentence.text)
        assert normalise(plain) == plain == unicodedata.normalize("NFKC", plain)
