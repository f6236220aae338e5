from dataclasses import replace
from pathlib import Path

from tests.factories import CORPUS, SPLIT, a_failed_trial, a_record, a_run
from tune_ner.data.corpus import Corpus, Sentence, Span
from tune_ner.results.test_set_log import LOG_FILE, EarlierUse, earlier_uses, fingerprint_of_split, used_test_splits


def fingerprint(corpus: Corpus = CORPUS, test: tuple[int, ...] = SPLIT.test) -> str:
    return fingerprint_of_split(corpus, test)


def test_fingerprint_depends_on_texts_and_gold_spans_but_not_on_their_order() -> None:
    moved = replace(CORPUS, sentences=CORPUS.sentences[::-1])
    assert fingerprint(test=(0, 2)) == fingerprint(moved, test=(0, 2)) == fingerprint(test=(2, 0))
    other = Sentence("c", CORPUS.sentences[2].text, (Span(0, 3, "BODY"),))
    relabelled = replace(CORPUS, sentences=(*CORPUS.sentences[:2], other))
    assert fingerprint() != fingerprint(relabelled)


def test_each_trial_measured_on_test_is_logged(tmp_path: Path) -> None:
    a_run(tmp_path, [a_record(seed=1), a_record(seed=2), a_failed_trial(seed=3)])
    assert earlier_uses(tmp_path, [fingerprint()], exclude="next") == [EarlierUse("run", 2)]


def test_the_run_itself_and_other_test_sets_do_not_count(tmp_path: Path) -> None:
    a_run(tmp_path, [a_record()])
    assert earlier_uses(tmp_path, [fingerprint()], exclude="run") == []
    assert earlier_uses(tmp_path, [fingerprint(test=(0,))], exclude="next") == []


def test_unreadable_logs_are_skipped(tmp_path: Path) -> None:
    for name, content in (("old", '{"trial": "a", "test_fing'), ("odd", "[1]\n")):
        (tmp_path / name).mkdir()
        (tmp_path / name / LOG_FILE).write_text(content)
    assert earlier_uses(tmp_path, [fingerprint()], exclude="next") == []
    assert earlier_uses(tmp_path / "nowhere", [fingerprint()], exclude="next") == []


def test_test_sets_of_a_run_are_those_in_its_log(tmp_path: Path) -> None:
    run_dir = a_run(tmp_path, [a_record(seed=1), a_record(seed=2)])
    assert used_test_splits(run_dir.path) == {fingerprint()}
    (run_dir.path / LOG_FILE).write_text("[1]\n")
    assert used_test_splits(run_dir.path) == frozenset()
    assert used_test_splits(tmp_path / "nowhere") == frozenset()
