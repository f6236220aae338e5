import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tune_ner.utils.text import (
    format_bytes,
    format_clock,
    format_duration,
    format_value,
    html_with_code,
    near_misses,
    plural,
    redact,
    secret_values,
    short_value,
    signed,
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
    assert [format_value(value) for value in (5e-05, 0.30000000000000004, 16, "BIO", None)] == [
        "5e-5",
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


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("postgresql://me:secret@host:5432/db", "postgresql://me:***@host:5432/db"),
        ("postgresql+psycopg2://me:p:w@host/db?x=1", "postgresql+psycopg2://me:***@host/db?x=1"),
        ("https://:secret@host", "https://:***@host"),
        ("GET http://h/a?token=abc123&x=1", "GET http://h/a?token=***&x=1"),
        ("api_key=abc123, next", "api_key=***, next"),
        ("Authorization: Bearer abc.def-123", "Authorization: Bearer ***"),
        ("mysql://u:p@ss@h/db, me@host", "mysql://u:***@h/db, me@host"),
        ("mysql://u:p@ss@h", "mysql://u:***@h"),
        ("password: s3cr3t", "password: ***"),
        ('{"token": "abc123", "x": 1}', '{"token": "***", "x": 1}'),
        ("{'api_key':'abc123'}", "{'api_key':'***'}"),
        ("Authorization: Token abcdef123", "Authorization: Token ***"),
        ("Token indices are too long; pad_token: [PAD]", "Token indices are too long; pad_token: [PAD]"),
        ("login with hf_abcdefghijkl failed", "login with hf_*** failed"),
        ("see http://127.0.0.1:8265 and me@host", "see http://127.0.0.1:8265 and me@host"),
        ("tokens=12 at 3:40", "tokens=12 at 3:40"),
    ],
)
def test_only_secrets_are_redacted(text: str, expected: str) -> None:
    assert redact(text) == expected


@pytest.mark.parametrize(
    "name",
    [
        "RAY_AUTH_TOKEN",
        "HF_TOKEN",
        "MLFLOW_TRACKING_PASSWORD",
        "AWS_SECRET_ACCESS_KEY",
        "MY_API_KEY",
        "SSH_KEY",
        "PASSWORD",
    ],
)
def test_values_of_secret_variables_are_redacted_everywhere(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "s3cr3t-value")
    assert redact("refused: s3cr3t-value, again s3cr3t-value.") == "refused: ***, again ***."


@pytest.mark.parametrize(
    ("name", "value"), [("TOKENIZERS_PARALLELISM", "false-or-true"), ("HF_TOKEN", "no"), ("X", "abcdefgh")]
)
def test_values_of_other_variables_are_not_redacted(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)
    assert value not in secret_values()
    assert redact(f"say {value}") == f"say {value}"


@pytest.mark.parametrize("name", ["PWD", "OLDPWD"])
def test_the_working_folder_is_not_redacted(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "/home/me/corpus")
    assert redact("/home/me/corpus/a.jsonl: no such file") == "/home/me/corpus/a.jsonl: no such file"


@given(st.text(alphabet=st.characters(codec="utf-8", exclude_characters=":@="), max_size=60))
def test_text_without_secrets_is_unchanged(text: str) -> None:
    if not any(word in text for word in ("Bearer", "Basic", "hf_", *secret_values())):
        assert redact(text) == text


def test_code_is_marked_up_and_everything_is_escaped() -> None:
    assert html_with_code("use `--split <x>` & `y`") == "use <code>--split &lt;x&gt;</code> &amp; <code>y</code>"
    assert html_with_code("a ` b <i>") == "a ` b &lt;i&gt;"


@pytest.mark.parametrize(
    ("value", "shown"), [(2e-05, "2e-5"), (0.00123456, "0.00123"), (100.0, "100"), (math.nan, "None"), ("BIO", "BIO")]
)
def test_hyperparameters_are_short_and_missing_ones_shown_like_null(value: object, shown: str) -> None:
    assert short_value(value) == shown


@pytest.mark.parametrize(("difference", "expected"), [(0.0123, "+0.012"), (-0.5, "−0.500"), (0.0, "+0.000")])
def test_differences_have_a_sign_of_their_own(difference: float, expected: str) -> None:
    assert signed(difference) == expected
