from dataclasses import replace
from pathlib import Path

from tests.factories import CORPUS, SPLIT, a_failure, a_record, a_run
from tune_ner.data.corpus import Corpus, Sentence, Span
from tune_ner.results.test_set_log import LEDGER_NAME, EarlierUse, earlier_uses, fingerprint_of_split, used_test_splits


def fingerprint_of(corpus: Corpus = CORPUS, test: tuple[int, ...] = SPLIT.test) -> str:
    return fingerprint_of_split(corpus, test)


def test_the_fingerprint_is_of_texts_and_gold_in_any_order() -> None:
    moved = replace(CORPUS, sentences=CORPUS.sentences[::-1])
    assert fingerprint_of(test=(0, 2)) == fingerprint_of(moved, test=(0, 2)) == fingerprint_of(test=(2, 0))
    other = Sentence("c", CORPUS.sentences[2].text, (Span(0, 3, "BODY"),))
    relabelled = replace(CORPUS, sentences=(*CORPUS.sentences[:2], other))
    assert fingerprint_of() != fingerprint_of(relabelled)


def test_each_finished_trial_stands_in_the_ledger_of_its_run(tmp_path: Path) -> None:
    a_run(tmp_path, [a_record(seed=1), a_record(seed=2), a_failure(seed=3)])
    assert earlier_uses(tmp_path, [fingerprint_of()], but="next") == [EarlierUse("run", 2)]


def test_a_run_does_not_count_itself_nor_other_test_parts(tmp_path: Path) -> None:
    a_run(tmp_path, [a_record()])
    assert earlier_uses(tmp_path, [fingerprint_of()], but="run") == []
    assert earlier_uses(tmp_path, [fingerprint_of(test=(0,))], but="next") == []


def test_a_torn_ledger_does_not_keep_a_run_from_starting(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / LEDGER_NAME).write_text('{"trial": "a", "test_fing')
    (tmp_path / "odd").mkdir()
    (tmp_path / "odd" / LEDGER_NAME).write_text("[1]\n")
    assert earlier_uses(tmp_path, [fingerprint_of()], but="next") == []
    assert earlier_uses(tmp_path / "nowhere", [fingerprint_of()], but="next") == []


def test_a_run_s_own_test_parts_are_those_of_its_ledger(tmp_path: Path) -> None:
    folder = a_run(tmp_path, [a_record(seed=1), a_record(seed=2)])
    assert used_test_splits(folder.path) == {fingerprint_of()}
    (folder.path / LEDGER_NAME).write_text("[1]\n")
    assert used_test_splits(folder.path) == frozenset()
    assert used_test_splits(tmp_path / "nowhere") == frozenset()
