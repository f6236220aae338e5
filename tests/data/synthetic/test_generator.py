"""The synthetic corpus: clean and exact annotation, the same everywhere, and hard in the ways it claims."""

import os
import re
import subprocess
import sys
import unicodedata
from collections import Counter, defaultdict
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tune_ner.data.corpus import BODY, DISORDER, DRUG, MEDICAL_TYPES, Corpus, Sentence
from tune_ner.data.synthetic.generator import load_grammar, synthetic_corpus
from tune_ner.errors import DataError


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return synthetic_corpus()


@pytest.fixture(scope="module")
def large() -> Corpus:
    return synthetic_corpus(20_000)


def forms(corpus: Corpus) -> list[str]:
    return [span.text_in(sentence.text) for sentence in corpus.sentences for span in sentence.spans]


def words_outside_spans(sentence: Sentence) -> list[str]:
    kept = list(sentence.text)
    for span in sentence.spans:
        kept[span.start : span.end] = " " * (span.end - span.start)
    return re.findall(r"[\w-]+", "".join(kept))


def assert_clean(sentence: Sentence) -> None:
    text = sentence.text
    assert text[0].isupper()
    assert text[-1] in ".?"
    assert not re.search(r"[()\[\]{}<>_]|  |\s[.,?]|\A\s", text), text
    assert unicodedata.is_normalized("NFC", text)
    assert 4 <= len(text.split()) <= 30, text
    assert list(sentence.spans) == sorted(sentence.spans)
    for left, right in pairwise(sentence.spans):
        assert left.end <= right.start
    for span in sentence.spans:
        found = span.text_in(text)
        assert re.fullmatch(r"\w[\w -]*\w", found), (text, span)
        # whole words: what stands next to the span is neither a letter nor a hyphen
        assert not re.search(r"[\w-]\Z", text[: span.start]), (text, span)
        assert not re.match(r"[\w-]", text[span.end :]), (text, span)


@settings(max_examples=40, deadline=None)
@given(size=st.integers(1, 150), seed=st.integers(0, 2**64))
def test_annotation_is_clean_and_exact(size: int, seed: int) -> None:
    corpus = synthetic_corpus(size, seed)
    assert len(corpus) == size
    assert corpus.entity_types == MEDICAL_TYPES
    for sentence in corpus.sentences:
        assert_clean(sentence)


def test_every_sentence_of_a_large_corpus_is_clean(large: Corpus) -> None:
    for sentence in large.sentences:
        assert_clean(sentence)


def test_names_ids_and_sources(corpus: Corpus) -> None:
    assert corpus.name == "synthetic:1200"
    assert [sentence.id for sentence in corpus.sentences] == [f"synthetic_{i}" for i in range(1200)]
    assert [sentence.source for sentence in corpus.sentences] == [f"synthetic:{i + 1}" for i in range(1200)]
    assert not corpus.splits


@pytest.mark.parametrize("size", [0, -5])
def test_a_size_below_one_is_refused(size: int) -> None:
    with pytest.raises(DataError, match=rf"size {size}, expected .*at least 1"):
        synthetic_corpus(size)


def test_every_process_makes_the_same_corpus(corpus: Corpus) -> None:
    program = "from tune_ner.data.synthetic.generator import synthetic_corpus; print(synthetic_corpus().fingerprint)"
    prints = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            check=True,
            text=True,
        ).stdout.strip()
        for hash_seed in ("1", "2")
    }
    assert prints == {corpus.fingerprint} == {"c3d0851c473755c731fa2758cbfcab3c94873b5e67baa02fb3f63f624f23ab25"}


def test_seeds_differ_and_sizes_extend_one_another(corpus: Corpus) -> None:
    assert synthetic_corpus(1200, seed=68).fingerprint != corpus.fingerprint
    assert synthetic_corpus(100).sentences == corpus.sentences[:100]


@pytest.mark.parametrize("seed", [1, 2, 67])
def test_proportions(seed: int) -> None:
    corpus = synthetic_corpus(3000, seed)
    counts = corpus.entity_counts()
    total = sum(counts.values())
    assert sum(not sentence.spans for sentence in corpus.sentences) / 3000 == pytest.approx(0.45, abs=0.05)
    assert total / 3000 == pytest.approx(1.2, abs=0.1)
    for label, share in {DISORDER: 0.44, DRUG: 0.37, BODY: 0.19}.items():
        assert counts[label] / total == pytest.approx(share, abs=0.04)


def test_duplicates_are_rare(corpus: Corpus, large: Corpus) -> None:
    assert len({sentence.text for sentence in corpus.sentences}) > 0.98 * len(corpus)
    assert len({sentence.text for sentence in large.sentences}) > 0.92 * len(large)


def test_words_have_an_everyday_sense_and_a_medical_one(large: Corpus) -> None:
    outside = Counter(word for sentence in large.sentences for word in words_outside_spans(sentence))
    entities = Counter(forms(large))
    both = {word for word in outside if outside[word] >= 10 and entities[word] >= 10}
    assert both >= {"lever", "axel", "slag", "tryck", "hjärta", "rygg", "led", "tablett", "medicin", "blåsa"}
    assert both >= {"medicinen", "läkemedlet", "ibuprofen", "sten", "torsk"}


def test_the_default_size_already_has_such_words(corpus: Corpus) -> None:
    outside = {word for sentence in corpus.sentences for word in words_outside_spans(sentence)}
    assert len(outside & set(forms(corpus))) >= 20


def test_the_type_of_some_forms_depends_on_context(large: Corpus) -> None:
    types: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for sentence in large.sentences:
        for span in sentence.spans:
            types[span.text_in(sentence.text)][span.label] += 1
    assert min(types["insulin"][DRUG], types["insulin"][BODY]) >= 10
    assert min(types["blåsa"][DISORDER], types["blåsa"][BODY]) >= 10


def test_look_alikes_are_not_entities(large: Corpus) -> None:
    outside = {word for sentence in large.sentences for word in words_outside_spans(sentence)}
    look_alikes = {"hjärtmottagningen", "lungröntgen", "migränkliniken", "diabetessköterskan"}
    assert look_alikes <= outside
    assert not look_alikes & set(forms(large))


def test_inflection_multiword_and_hyphenated_entities(large: Corpus) -> None:
    found = set(forms(large))
    assert {"hjärta", "hjärtat", "Hjärtats", "lungan", "lungorna"} <= found
    assert {"hepatit B", "hög feber", "flytande medicin", "de röda blodkropparna", "Cox-hämmare"} <= found
    assert {"lunginflammation", "magkramper"} <= found


def test_distinct_forms_keep_growing(corpus: Corpus, large: Corpus) -> None:
    small = len(set(forms(synthetic_corpus(300))))
    assert small * 1.5 < len(set(forms(corpus))) < len(set(forms(large))) / 3


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_some_test_forms_are_unseen_in_training(corpus: Corpus, seed: int) -> None:
    shuffled = list(corpus.sentences)
    Random(seed).shuffle(shuffled)
    train, test = (Corpus("split", tuple(half), MEDICAL_TYPES) for half in (shuffled[:960], shuffled[960:]))
    seen, met = set(forms(train)), forms(test)
    distinct = set(met)
    assert 0.1 < sum(form not in seen for form in met) / len(met) < 0.5
    assert 0.1 < len(distinct - seen) / len(distinct) < 0.5


def slots_of(template: str) -> list[str]:
    return re.findall(r"<(.*?)>", template)


def test_every_slot_is_defined_and_every_definition_is_used() -> None:
    grammar = load_grammar()
    templates = [template for _, group in grammar.sentences for template in group]
    used: set[str] = set()
    waiting = templates
    while waiting:
        fresh = {slot for template in waiting for slot in slots_of(template)} - used
        used |= fresh
        waiting = [alternative for slot in fresh for alternative in grammar.slots[slot]]
    # inflection makes every form of every family, needed or not; any other name must be in use
    inflected = {name for name in grammar.slots if "." in name}
    inflected |= {name.split(".")[0] for name in inflected}
    assert set(grammar.slots) - used <= inflected


def test_the_brackets_of_every_template_are_balanced() -> None:
    grammar = load_grammar()
    groups = [group for _, group in grammar.sentences] + list(grammar.slots.values())
    for template in (template for group in groups for template in group):
        marks = re.sub(r"[^()\[\]{}]", "", template)
        assert re.fullmatch(r"(\(\)|\[\]|\{\})*", marks), template
