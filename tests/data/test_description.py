"""Tables that describe a corpus."""

import pytest

from tune_ner.data.corpus import Corpus, Sentence, Span
from tune_ner.data.description import describe_splits, describe_types, matching, scripts

CORPUS = Corpus(
    "made",
    (
        Sentence("a", "Anna såg Rom.", (Span(0, 4, "PER"), Span(9, 12, "LOC"))),
        Sentence("b", "Anna ler", (Span(0, 4, "PER"),)),
        Sentence("c", "Regn."),
    ),
    ("LOC", "PER"),
    {"train": (0, 2), "test": (1,)},
)


def test_splits_have_their_numbers_and_lengths() -> None:
    assert describe_splits(CORPUS).to_dict("list") == {
        "split": ["train", "test"],
        "sentences": [2, 1],
        "with entities": [1, 1],
        "entities": [2, 1],
        "median length": [9, 8],
        "longest": [13, 8],
    }


def test_types_have_their_counts_and_forms() -> None:
    assert describe_types(CORPUS).to_dict("list") == {
        "type": ["LOC", "PER"],
        "entities": [1, 2],
        "train": [1, 1],
        "test": [0, 1],
        "forms": [1, 1],
        "most frequent": ["Rom (1)", "Anna (2)"],
    }


def test_scripts_are_shares_of_letters() -> None:
    assert scripts(["ab12", "я", "東"]) == {"Latin": 0.5, "Cyrillic": 0.25, "Han": 0.25}
    assert scripts(["", "12."]) == {}


@pytest.mark.parametrize(
    ("selection", "found"),
    [
        ({}, "abc"),
        ({"split": "train"}, "ac"),
        ({"types": ["LOC"]}, "a"),
        ({"text": "ANNA"}, "ab"),
        ({"split": "test", "types": ["PER"], "text": "ler"}, "b"),
        ({"split": "test", "types": ["LOC"]}, ""),
    ],
)
def test_sentences_are_selected(selection: dict[str, object], found: str) -> None:
    assert "".join(sentence.id for sentence in matching(CORPUS, **selection)) == found  # type: ignore[arg-type]
