from dataclasses import replace
from pathlib import Path

import pytest

from tests.factories import a_config, a_record, a_result, a_run, split_metrics
from tests.results.simulated import simulated_run, simulated_trial
from tune_ner.results.records import TrialRecord
from tune_ner.results.run_results import Results


def ties(results: Results) -> dict[float, bool | None]:
    """Return by learning rate whether a configuration is tied with the best."""
    return {entry.configuration.learning_rate: entry.tied for entry in results.entries}


def test_significantly_worse_configuration_is_not_tied(tmp_path: Path) -> None:
    records = [
        simulated_trial(share, learning_rate=rate, seed=seed)
        for share, rate in ((0.9, 1e-3), (0.88, 2e-3), (0.3, 3e-3))
        for seed in (1, 2)
    ]
    results = simulated_run(tmp_path, records)
    assert ties(results) == {1e-3: True, 2e-3: True, 3e-3: False}
    for entry in results.entries:
        assert entry.validation.low < entry.validation.estimate < entry.validation.high
    assert results.entries[0].validation.estimate == pytest.approx(results.entries[0].ranked.mean_score)


def test_configuration_without_a_shared_seed_is_not_compared(tmp_path: Path) -> None:
    records = [simulated_trial(0.9, seed=1), simulated_trial(0.9, seed=2)]
    records.append(simulated_trial(0.85, seed=1, learning_rate=2e-3))
    records.append(simulated_trial(0.8, seed=9, learning_rate=3e-3))
    assert ties(simulated_run(tmp_path, records)) == {1e-3: True, 2e-3: None, 3e-3: None}


def test_seed_missing_in_one_configuration_does_not_affect_other_comparisons(tmp_path: Path) -> None:
    records = [simulated_trial(0.9, seed=seed) for seed in (1, 2, 3)]
    # much worse on the first seed only, within the variance of the seeds over all three
    for seed, share in ((1, 0.5), (2, 0.95), (3, 0.95)):
        records.append(simulated_trial(share, seed=seed, learning_rate=2e-3))
    records.append(simulated_trial(0.2, seed=1, learning_rate=3e-3))
    first_seed = [record for record in records[:4] if record.config.seed == 1]
    assert ties(simulated_run(tmp_path, first_seed, "one")) == {1e-3: True, 2e-3: False}
    # a single shared seed does not show the effect of the seed
    assert ties(simulated_run(tmp_path, records, "all")) == {1e-3: True, 2e-3: True, 3e-3: None}


def test_configurations_are_compared_on_the_seeds_that_they_share(tmp_path: Path) -> None:
    records = [simulated_trial(0.9, seed=seed) for seed in (1, 2, 3)]
    records += [simulated_trial(0.85, seed=seed, learning_rate=2e-3) for seed in (1, 2)]
    records.append(simulated_trial(0.8, seed=9, learning_rate=3e-3))
    assert ties(simulated_run(tmp_path, records)) == {1e-3: True, 2e-3: True, 3e-3: None}


def test_trials_of_a_search_are_not_ranked(tmp_path: Path) -> None:
    searched = TrialRecord.searched(a_config(seed=7), a_result((0.9,)).epochs, 1.0)
    results = Results(a_run(tmp_path, [searched, a_record((0.5,))]))
    assert [entry.ranked.mean_score for entry in results.entries] == [0.5]


def test_selection_metric_decides_the_rank_and_exact_spans_the_intervals(tmp_path: Path) -> None:
    records = []
    for seqeval, rate in ((0.6, 1e-3), (0.7, 2e-3)):
        result = a_result((seqeval,))
        metrics = {**result.metrics, "validation": replace(split_metrics(seqeval), spans=split_metrics(0.4).spans)}
        config = a_config(learning_rate=rate, selection_metric="seqeval_f1")
        records.append(TrialRecord.completed(config, replace(result, metrics=metrics), 1.0))
    results = Results(a_run(tmp_path, records))
    table = results.leaderboard()
    assert table["learning_rate"].tolist() == [2e-3, 1e-3]
    assert table["validation_seqeval_f1"].tolist() == [0.7, 0.6]
    assert table["validation_span_f1"].tolist() == [0.4, 0.4]
    assert results.selection_metric == "seqeval_f1"
    assert "validation_seqeval_f1" in results.warnings[0]
