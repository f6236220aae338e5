import pytest

from tune_ner.utils.text import (
    format_bytes,
    format_clock,
    format_duration,
    format_value,
    near_misses,
    plural,
    visible,
    visible_lines,
)


def test_control_characters_are_escaped() -> None:
    assert visible("a\tb\x1b[31m\nå") == "a\\tb\\x1b[31m\\nå"
    assert visible_lines("a\tb\nc\x00") == "a\\tb\nc\\x00"


def test_a_similar_word_is_suggested() -> None:
    assert near_misses("learning_rat", ["learning_rate", "seed"]) == " (did you mean 'learning_rate'?)"
    assert near_misses("x", ["learning_rate"]) == ""


def test_counts_have_the_right_number_of_the_noun() -> None:
    assert [plural(count, "entity type") for count in (0, 1, 1200)] == [
        "0 entity types",
        "1 entity type",
        "1,200 entity types",
    ]


def test_values_are_written_without_rounding_noise() -> None:
    assert [format_value(value) for value in (1e-05, 0.30000000000000004, 16, "BIO", None)] == [
        "1e-05",
        "0.3",
        "16",
        "BIO",
        "None",
    ]


@pytest.mark.parametrize(
    ("seconds", "duration", "clock"),
    [
        (0.0, "0.0 s", "0:00:00"),
        (59.94, "59.9 s", "0:01:00"),
        (59.96, "1 min 00 s", "0:01:00"),
        (187.4, "3 min 07 s", "0:03:07"),
        (3599.7, "1 h 00 min", "1:00:00"),
        (90_000, "25 h 00 min", "25:00:00"),
    ],
)
def test_times_are_formatted(seconds: float, duration: str, clock: str) -> None:
    assert (format_duration(seconds), format_clock(seconds)) == (duration, clock)


@pytest.mark.parametrize(
    ("count", "expected"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (512e6, "512 MB"), (1.34e9, "1.3 GB"), (5e15, "5,000 TB")],
)
def test_bytes_have_a_decimal_unit(count: float, expected: str) -> None:
    assert format_bytes(count) == expected
