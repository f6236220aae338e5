"""Splitting texts into words."""

import re
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tune_ner.data.corpus import Sentence, Span
from tune_ner.tagging.tokenization import (
    WORD_TOKENIZERS,
    WordTokenizer,
    choose_word_tokenizer,
    split_texts,
    split_words,
)

NBSP, ZERO_WIDTH, DIAERESIS = "\u00a0", "\u200b", "\u0308"
TEXTS = st.text(
    st.one_of(
        st.characters(exclude_categories=["Cs"]),
        st.sampled_from(f" \t\n-.,()aåÅ1_{NBSP}{ZERO_WIDTH}{DIAERESIS}😀\x1c\x85"),
    )
)
RULES = st.sampled_from(WORD_TOKENIZERS)


def words_of(text: str, rule: WordTokenizer) -> list[str]:
    return [text[start:end] for start, end in split_words(text, rule)]


@pytest.mark.parametrize(
    ("text", "whitespace", "punctuation"),
    [
        ("", [], []),
        (" \t\n ", [], []),
        ("Ont i halsen.", ["Ont", "i", "halsen."], ["Ont", "i", "halsen", "."]),
        ("( hög feber )", ["(", "hög", "feber", ")"], ["(", "hög", "feber", ")"]),
        ("(feber),", ["(feber),"], ["(", "feber", ")", ","]),
        ("Cox-hämmare", ["Cox-hämmare"], ["Cox", "-", "hämmare"]),
        ("38,5°C", ["38,5°C"], ["38", ",", "5", "°", "C"]),
        ("B12_vitamin", ["B12_vitamin"], ["B12_vitamin"]),
        ("…!?", ["…!?"], ["…", "!", "?"]),
        (f"ha{DIAERESIS}lsen", [f"ha{DIAERESIS}lsen"], [f"ha{DIAERESIS}lsen"]),
        (f"a{NBSP}b", ["a", "b"], ["a", "b"]),
        ("a\u2009b\u3000c\x85d", ["a", "b", "c", "d"], ["a", "b", "c", "d"]),
        (f"a{ZERO_WIDTH}b", [f"a{ZERO_WIDTH}b"], [f"a{ZERO_WIDTH}b"]),
        ("An\u00adna \u00ad", ["An\u00adna", "\u00ad"], ["An\u00adna", "\u00ad"]),
        ("a\u2060b\u200fc\x9fd\ufffd", ["a\u2060b\u200fc\x9fd\ufffd"], ["a\u2060b\u200fc\x9fd\ufffd"]),
        ("bra😀😀", ["bra😀😀"], ["bra", "😀", "😀"]),
        ("läkare 药", ["läkare", "药"], ["läkare", "药"]),
    ],
)
def test_examples_of_each_word_tokenizer(text: str, whitespace: list[str], punctuation: list[str]) -> None:
    assert words_of(text, "whitespace") == whitespace
    assert words_of(text, "punctuation") == punctuation


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("田中はABC社に1950年、", ["田", "中", "は", "ABC", "社", "に", "1950", "年", "、"]),
        ("か\u3099んば", ["か\u3099", "ん", "ば"]),
        ("フューリーVSクリチコ、", ["フ", "ュ", "ー", "リ", "ー", "VS", "ク", "リ", "チ", "コ", "、"]),
        ("佐々木はWBC2位", ["佐", "々", "木", "は", "WBC", "2", "位"]),
        ("서울에서 왔다", ["서", "울", "에", "서", "왔", "다"]),
        ("ไทย 2024", ["ไ", "ท", "ย", "2024"]),
        ("Anna i Göteborg.", ["Anna", "i", "Göteborg", "."]),
        ("दिल्ली में", ["दिल्ली", "में"]),
        ("في مكة.", ["في", "مكة", "."]),
    ],
)
def test_characters_of_scripts_without_spaces_are_words(text: str, words: list[str]) -> None:
    assert words_of(text, "character") == words


SAMPLES: dict[str, tuple[str, list[str], WordTokenizer]] = {
    "Japanese": ("田中さんは東京へ行った。", ["田中", "東京"], "character"),
    "Chinese": ("王小明在北京大学工作。", ["王小明", "北京大学"], "character"),
    "Thai": ("สมชายอยู่กรุงเทพ", ["สมชาย", "กรุงเทพ"], "character"),
    "Korean": ("김철수는 서울에서 왔다.", ["김철수", "서울"], "character"),
    "Hindi": ("राम दिल्ली में है।", ["राम", "दिल्ली"], "whitespace"),
    "Arabic": ("سافر أحمد إلى مكة.", ["أحمد", "مكة"], "punctuation"),
    "Swedish": ("Anna bor i Göteborg.", ["Anna", "Göteborg"], "punctuation"),
}


@pytest.mark.parametrize("language", SAMPLES)
def test_the_chosen_word_tokenizer_has_every_entity_on_its_boundaries(language: str) -> None:
    text, entities, expected = SAMPLES[language]
    spans = tuple(Span(text.index(each), text.index(each) + len(each), "X") for each in entities)
    chosen, note = choose_word_tokenizer([Sentence("s", text, spans), Sentence("t", text)])
    assert chosen == expected
    assert f"100.0 % with {chosen}" in note
    words = split_words(text, chosen)
    assert all(span.start in {a for a, _ in words} and span.end in {b for _, b in words} for span in spans)


def test_offsets_count_characters_not_bytes() -> None:
    assert split_words("😀 åäö, ja", "punctuation") == [(0, 1), (2, 5), (5, 6), (7, 9)]


@given(TEXTS)
def test_whitespace_equals_the_pattern_of_the_notebook(text: str) -> None:
    assert split_words(text, "whitespace") == [match.span() for match in re.finditer(r"\S+", text)]


@pytest.mark.parametrize("rule", WORD_TOKENIZERS)
def test_white_space_is_that_of_python(rule: WordTokenizer) -> None:
    wrong = [
        hex(code) for code in range(sys.maxunicode + 1) if bool(split_words(chr(code), rule)) == chr(code).isspace()
    ]
    assert wrong == []


@given(TEXTS, RULES)
def test_words_are_ordered_and_contain_every_visible_character_once(text: str, rule: WordTokenizer) -> None:
    words = split_words(text, rule)
    assert all(start < end for start, end in words)
    held = [index for start, end in words for index in range(start, end)]
    assert held == [index for index, character in enumerate(text) if not character.isspace()]


@given(TEXTS)
def test_punctuation_only_splits_further_than_whitespace(text: str) -> None:
    wide = split_words(text, "whitespace")
    for start, end in split_words(text, "punctuation"):
        assert any(left <= start and end <= right for left, right in wide)


@given(st.text(st.sampled_from("aåÅ1_öß9")).filter(bool))
def test_letters_and_digits_are_one_word(text: str) -> None:
    assert words_of(text, "punctuation") == words_of(text, "whitespace") == [text]


@given(st.lists(TEXTS, max_size=5), RULES)
def test_split_texts_equals_split_words_of_each_text(texts: list[str], rule: WordTokenizer) -> None:
    words, forms, form = split_texts(texts, rule)
    assert [words.of(index) for index in range(len(texts))] == [split_words(text, rule) for text in texts]
    every = [word for text in texts for word in words_of(text, rule)]
    assert [forms[number] for number in form] == every
    assert forms == list(dict.fromkeys(every))
    assert len(words) == len(every)
