"""What a search's records say besides the ranking, from records made by hand."""

from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.distributions import FloatDistribution

from tests.factories import a_config, a_failure, a_record, a_stopped_trial
from tune_ner.config.loading import load_space, parse_space
from tune_ner.config.search_space import SearchSpace
from tune_ner.results.records import TrialRecord
from tune_ner.results.run_dir import RunDir
from tune_ner.results.search_analysis import SearchResults, narrowed_space

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
    """A trial of a search, trained to its end."""
    config = a_config(**{"seed": 42, **changes})
    record = a_record((f1 / 2, f1)).model_copy(update={"config": config, "trial_id": config.trial_id})
    assert record.result
    return record.model_copy(update={"phase": "search", "result": None, "epochs": record.result.epochs})


def results(tmp_path: Path, *records: TrialRecord) -> SearchResults:
    found = SearchResults.of(RunDir(tmp_path / "run"), a_space(), records)
    assert found
    return found


def many() -> list[TrialRecord]:
    """Twelve trials whose figure follows the learning rate, whatever the scheme."""
    rates = [1e-5 * 1.8**step for step in range(12)]
    return [
        searched(0.05 * step, learning_rate=rate, tagging_scheme=("BIO", "BIOES")[step % 2], batch_size=4 + step % 3)
        for step, rate in enumerate(rates, start=1)
    ]


def test_the_drop_is_the_figure_of_the_search_less_the_mean_of_the_fresh_seeds(tmp_path: Path) -> None:
    fresh = [a_record((0.4, 0.5), seed=1), a_record((0.6,), seed=2), a_failure(seed=3)]
    (confirmation,) = results(tmp_path, searched(0.7), searched(0.2, learning_rate=1e-4), *fresh).confirmations
    assert confirmation.first == 0.7
    assert confirmation.again == pytest.approx((0.5, 0.6))
    assert confirmation.drop == pytest.approx(0.15)
    assert confirmation.unfinished == 1


def test_a_run_of_a_grid_is_none(tmp_path: Path) -> None:
    assert SearchResults.of(RunDir(tmp_path), load_space("demo"), [a_record()]) is None


def test_best_so_far_never_falls_and_stopped_trials_do_not_count(tmp_path: Path) -> None:
    stopped = a_stopped_trial((0.9,), seed=42, learning_rate=2e-3)
    table = results(tmp_path, searched(0.3), stopped, searched(0.2, learning_rate=1e-4)).best_so_far
    assert table["Best So Far"].tolist() == [0.3, 0.3, 0.3]
    assert pd.isna(table["Validation F1"][1])
    assert table["Seconds"].is_monotonic_increasing


def test_the_axis_that_the_figures_follow_matters_most(tmp_path: Path) -> None:
    table = results(tmp_path, *many()).importances
    assert isinstance(table, pd.DataFrame)
    for evaluator in ("fANOVA", "PED-ANOVA"):
        assert table[evaluator].sum() == pytest.approx(1)
        assert table["Parameter"][table[evaluator].argmax()] == "learning_rate"


def test_too_few_or_equal_trials_say_why_there_are_no_importances(tmp_path: Path) -> None:
    assert "2 trials of the search were trained to their end, and it takes 8" in str(
        results(tmp_path, *many()[:2]).importances
    )
    equal = [searched(0.5, learning_rate=record.config.learning_rate) for record in many()]
    assert "all 12 trials have the validation F1 0.500" in str(results(tmp_path, *equal).importances)


def test_the_narrowed_space_is_read_again_as_it_was(tmp_path: Path) -> None:
    found = results(tmp_path, *many())
    text = found.narrowed_yaml()
    assert text
    file = tmp_path / "narrowed.yaml"
    file.write_text(text, encoding="utf-8")
    again = load_space(str(file))
    again.check_search()
    assert isinstance(again.learning_rate, FloatDistribution)
    best = [record.config.learning_rate for record in many()[-3:]]
    assert 1e-5 < again.learning_rate.low < min(best)
    assert max(best) < again.learning_rate.high <= 1e-2


@given(st.lists(st.tuples(st.floats(1e-5, 1e-2), st.integers(4, 32)), min_size=1, max_size=8))
def test_a_narrowed_space_holds_what_it_was_made_of_and_lies_in_the_old_one(found: list[tuple[float, int]]) -> None:
    space = a_space()
    best = [a_config(learning_rate=rate, batch_size=size, tagging_scheme="BIO") for rate, size in found]
    narrowed = narrowed_space(space, best)
    for config in best:
        assert narrowed.contains("learning_rate", config.learning_rate)
        assert narrowed.contains("batch_size", config.batch_size)
    assert narrowed.tagging_scheme == ["BIO"]
    for name in ("learning_rate", "batch_size"):
        old, new = space.distributions[name], getattr(narrowed, name)
        assert old.low <= new.low < new.high <= old.high
