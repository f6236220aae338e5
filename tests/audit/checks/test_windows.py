"""Sentences that are windows of a fixed number of characters."""

from tests.audit.corpora import make_corpus, plain_corpus, run
from tune_ner.audit.checks.windows import CutWords

TEXT = " ".join(sentence.text for sentence in plain_corpus().sentences)


def windows(length: int) -> list[str]:
    return [TEXT[start : start + length].strip() for start in range(0, 60 * length, length)]


def test_windows_of_text_are_found() -> None:
    (finding,) = run(CutWords(), make_corpus(*windows(60)))
    assert (finding.severity, finding.total, finding.values["characters"]) == ("warning", 60, 60)
    assert finding.count == 60
    assert finding.values["ending_in_a_word"] > 30


def test_markup_does_not_count_towards_the_length() -> None:
    marked = [
        f"{window[:10]}({window[10:15]}){window[15:]}" if n % 2 else window for n, window in enumerate(windows(60))
    ]
    (finding,) = run(CutWords(), make_corpus(*marked))
    assert (finding.count, finding.values["characters"]) == (60, 60)


def test_sentences_are_no_windows() -> None:
    assert run(CutWords(), plain_corpus()) == []
    assert run(CutWords(), make_corpus(*["Ta <DRUG salva> ."] * 50)) == []
    assert run(CutWords(), make_corpus(*windows(60)[:10])) == []
