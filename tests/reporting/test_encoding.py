from tests.factories import a_failure, a_record
from tune_ner.reporting.encoding import encoding_notes


def test_nothing_lost_gives_no_note() -> None:
    assert encoding_notes([a_record(), a_failure(seed=2)]) == []


def test_every_kind_of_loss_is_told_once_for_equal_encodings() -> None:
    notes = encoding_notes([a_record(cut=1, seed=1), a_record(cut=1, seed=2), a_record(cut=1, tagging_scheme="IO")])
    lost = "1 of 3 entities are cut at 256 subwords or have no subword (train 0, validation 0, test 1)"
    assert notes[0] == f"tiny:1x32, BIO, words by whitespace: {lost}"
    assert len(notes) == 4
    assert sum("share a word with a later one" in note for note in notes) == 2
