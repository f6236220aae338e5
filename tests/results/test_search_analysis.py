from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.distributions import FloatDistribution

from tests.factories import a_config, a_failed_trial, a_pruned_trial, a_record, a_result
from tune_ner.config.loading import load_space, parse_space
from tune_ner.config.search_space import SearchSpace
from tune_ner.results.records import TrialRecord
from tune_ner.results.search_analysis import SearchAnalysis, refine_space

SPACE = {
    "model": a_config().model,
    "tagging_scheme": ["BIO", "BIOES"],
    "learning_rate": {"loguniform": [1e-5, 1e-2]},
    "batch_size": {"int": [4, 32]},
    "seed": 42,
}


def a_space() -> SearchSpace:
    return parse_space(SPACE, "made")


def searched(f1: float, **changes: object) -> TrialRecord:
    """Return the record of a completed trial of a search."""
    return TrialRecord.searched(a_config(**{"seed": 42, **changes}), a_result((f1 / 2, f1)).epochs, 2.0)


def analysis(*records: TrialRecord) -> SearchAnalysis:
    found = SearchAnalysis.of(Path("run"), a_space(), records)
    assert found
    return found


def twelve_trials() -> list[TrialRecord]:
    """Return trials whose score increases with the learning rate and does not depend on the tagging scheme."""
    rates = [1e-5 * 1.8**step for step in range(12)]
    return [
        searched(0.05 * step, learning_rate=rate, tagging_scheme=("BIO", "BIOES")[step % 2], batch_size=4 + step % 3)
        for step, rate in enumerate(rates, start=1)
    ]


def test_drop_is_the_score_in_the_search_minus_the_mean_of_the_new_seeds() -> None:
    new = [a_record((0.4, 0.5), seed=1), a_record((0.6,), seed=2), a_failed_trial(seed=3)]
    (confirmation,) = analysis(searched(0.7), searched(0.2, learning_rate=1e-4), *new).confirmations
    assert confirmation.first == 0.7
    assert confirmation.scores == pytest.approx((0.5, 0.6))
    assert confirmation.drop == pytest.approx(0.15)
    assert confirmation.incomplete == 1


def test_grid_has_no_search_analysis() -> None:
    assert SearchAnalysis.of(Path("run"), load_space("demo"), [a_record()]) is None
    assert SearchAnalysis.of(Path("run"), None, [a_record()]) is None


def test_best_so_far_never_decreases_and_ignores_pruned_trials() -> None:
    pruned = a_pruned_trial((0.9,), seed=42, learning_rate=2e-3)
    history = analysis(searched(0.3), pruned, searched(0.2, learning_rate=1e-4)).history
    assert history["best_so_far"].tolist() == [0.3, 0.3, 0.3]
    assert pd.isna(history["validation_span_f1"][1])
    assert history["seconds"].is_monotonic_increasing


def test_history_is_that_of_the_selection_metric() -> None:
    found = analysis(searched(0.3, selection_metric="seqeval_f1"))
    assert found.selection_metric == "validation_seqeval_f1"
    assert found.history["validation_seqeval_f1"].tolist() == [0.3]


def test_most_important_hyperparameter_is_the_one_that_affects_the_score() -> None:
    table = analysis(*twelve_trials()).importances
    assert table is not None
    for evaluator in ("fanova", "ped_anova"):
        assert table[evaluator].sum() == pytest.approx(1)
        assert table["hyperparameter"][table[evaluator].argmax()] == "learning_rate"


def test_few_or_equal_trials_have_no_importances_for_a_reason() -> None:
    few = analysis(*twelve_trials()[:2])
    assert few.importances is None
    assert "2 trials" in few.sentences()[0]
    equal = analysis(*(searched(0.5, learning_rate=record.config.learning_rate) for record in twelve_trials()))
    assert equal.importances is None
    assert equal.refined_space is None
    assert "0.500" in equal.sentences()[0]
    assert analysis().sentences() == ["No trial of the search has ended."]
    assert analysis().confirmation_sentences() == []


def test_refined_space_can_be_searched(tmp_path: Path) -> None:
    text = analysis(*twelve_trials()).refined_yaml()
    assert text
    file = tmp_path / "refined_space.yaml"
    file.write_text(text, encoding="utf-8")
    space = load_space(str(file))
    space.check_search()
    assert isinstance(space.learning_rate, FloatDistribution)
    best = [record.config.learning_rate for record in twelve_trials()[-3:]]
    assert 1e-5 < space.learning_rate.low < min(best)
    assert max(best) < space.learning_rate.high <= 1e-2


@given(st.lists(st.tuples(st.floats(1e-5, 1e-2), st.integers(4, 32)), min_size=1, max_size=8))
def test_refined_space_contains_its_trials_and_is_within_the_former_one(found: list[tuple[float, int]]) -> None:
    space = a_space()
    best = [a_config(learning_rate=rate, batch_size=size, tagging_scheme="BIO") for rate, size in found]
    refined = refine_space(space, best)
    for config in best:
        assert refined.contains("learning_rate", config.learning_rate)
        assert refined.contains("batch_size", config.batch_size)
    assert refined.tagging_scheme == ["BIO"]
    for name in ("learning_rate", "batch_size"):
        old, new = space.distributions[name], getattr(refined, name)
        assert old.low <= new.low < new.high <= old.high


MIXED = parse_space(
    {
        "model": ["baseline:crf", "tiny:1x32"],
        "learning_rate": {"loguniform": [1e-5, 1.0e-1]},
        "crf_c1": {"uniform": [0.0, 1.0]},
    },
    "here",
)


def mixed_trials(encoders: int) -> list[TrialRecord]:
    """Return trials of a CRF, and of an encoder whose score increases with the learning rate."""
    return [
        *(searched(0.8, model="baseline:crf", learning_rate=1e-5, crf_c1=c1) for c1 in (0.2, 0.4)),
        *(searched(0.05 * n, model="tiny:1x32", learning_rate=1e-4 * 2**n, crf_c1=0.0) for n in range(1, encoders + 1)),
    ]


def test_baselines_do_not_narrow_what_has_no_effect_on_them() -> None:
    refined = refine_space(MIXED, [record.config for record in mixed_trials(4)])
    assert refined.learning_rate.low > 1e-4
    assert (refined.crf_c1.low, refined.crf_c1.high) == pytest.approx((0.18, 0.42))


def test_importances_are_those_on_encoders() -> None:
    analysis = SearchAnalysis(Path("run"), MIXED, tuple(mixed_trials(9)), ())
    importances = analysis.importances
    assert importances is not None
    assert analysis.sentences()[0] == (
        "The importances leave out crf_c1 (no effect on some of the compared trials) and 2 trials of baselines."
    )
    assert importances["hyperparameter"].tolist() == ["learning_rate", "model"]
    assert importances["fanova"].tolist() == pytest.approx([1, 0], abs=0.05)
    few = SearchAnalysis(Path("run"), MIXED, tuple(mixed_trials(7)), ())
    assert few.importances is None
    assert "No hyperparameter importances: 7 trials of encoders, 8 are needed." in few.sentences()
