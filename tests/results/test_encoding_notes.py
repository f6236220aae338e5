from dataclasses import replace

from tests.factories import a_failure, a_record
from tune_ner.results.encoding_notes import batching_notes, encoding_notes


def test_nothing_lost_gives_no_note() -> None:
    assert encoding_notes([a_record(), a_failure(seed=2)]) == []


def test_every_kind_of_loss_is_told_once_for_equal_encodings() -> None:
    notes = encoding_notes([a_record(cut=1, seed=1), a_record(cut=1, seed=2), a_record(cut=1, tagging_scheme="IO")])
    lost = "1 of 3 entities are cut at 256 subwords or have no subword (train 0, validation 0, test 1)"
    assert notes[0] == f"tiny:1x32, BIO, words by whitespace: {lost}"
    assert len(notes) == 4
    assert sum("share a word with a later one" in note for note in notes) == 2


def test_batches_laid_out_otherwise_are_told_once_a_model() -> None:
    plain = a_record()
    assert plain.result
    padded = replace(plain.result, note="packed batches are not made for 'mpnet'; batches were padded")
    divided = replace(plain.result, accumulated_steps=4)
    records = [plain, *(plain.model_copy(update={"result": result}) for result in (padded, padded, divided))]
    first, second = batching_notes([a_failure(), *records])
    assert first == "tiny:1x32: packed batches are not made for 'mpnet'; batches were padded"
    assert second.startswith("tiny:1x32: batches of 16 did not fit into the GPU's memory and were computed in 4 steps")
