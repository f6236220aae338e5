import re
from dataclasses import replace
from pathlib import Path

import numpy as np

from tests.factories import a_config, a_failed_trial, a_finding, a_pruned_trial, a_record, a_run, an_audit
from tests.results.simulated import GOLD, SIZE, simulated_run, simulated_trial
from tune_ner.data.corpus import Span, SplitName
from tune_ner.results.records import TrialRecord
from tune_ner.results.run_results import Results
from tune_ner.results.summary import describe_run, failures, notes, summarize_leaderboard

SPACE = "data: corpus.jsonl\nmarkup: strip\nmodel: [tiny:1x32, tiny:1x64]\nlearning_rate: [1.0e-3]\nseed: [1, 2]\n"


def description(folder: Path, records: list[TrialRecord], space: str = SPACE) -> dict[str, str]:
    results = Results(a_run(folder, records, space=space))
    return describe_run(results.space, results.records)


def test_run_is_described_by_data_trials_and_hyperparameters(tmp_path: Path) -> None:
    found = description(tmp_path, [a_record(), a_failed_trial(seed=2), a_pruned_trial(seed=3)])
    assert found["data"] == "corpus.jsonl, markup strip"
    assert found["split"] == "random: test 0.2, validation 0.1, seed 67"
    assert found["trials"] == "1 completed, 1 pruned, 1 failed, 1 not run"
    assert found["model"] == "tiny:1x32, tiny:1x64"
    assert found["fixed"].startswith(
        "tagging_scheme BIO, learning_rate 0.001, optimizer adamw_torch_fused, lr_schedule linear, warmup 0, epochs 5"
    )


def test_search_is_described_by_its_distributions(tmp_path: Path) -> None:
    space = SPACE.replace("learning_rate: [1.0e-3]", "learning_rate: {loguniform: [1.0e-4, 1.0e-2]}")
    found = description(tmp_path, [a_record(), a_failed_trial(seed=2)], space)
    assert found["learning_rate"] == "{loguniform: [0.0001, 0.01]}"
    assert found["trials"] == "1 completed, 1 failed"


def test_folds_are_part_of_the_split(tmp_path: Path) -> None:
    found = description(tmp_path, [], f"{SPACE}split: {{method: grouped, folds: 3}}\n")
    assert found["split"] == "3 folds (grouped), seed 67"
    assert found["trials"] == "12 not run"


def test_unknown_search_space_is_described_by_its_trials(tmp_path: Path) -> None:
    assert description(tmp_path, [a_record(seed=1), a_record(seed=2)], "model: []\n") == {
        "data": "unknown",
        "trials": "2 completed",
        "model": "tiny:1x32",
        "tagging_scheme": "BIO",
        "learning_rate": "0.001",
        "seed": "1, 2",
    }


def test_summary_counts_ties_and_configurations_not_compared(tmp_path: Path) -> None:
    records = [simulated_trial(0.9), simulated_trial(0.85, learning_rate=2e-3)]
    summary = simulated_run(tmp_path, records).summary
    assert any(line.startswith("The other configuration is not significantly worse") for line in summary)
    assert "Only one seed" in summary[-1]
    records.append(simulated_trial(0.5, seed=9, model="y"))
    summary = simulated_run(tmp_path, records, "more").summary
    assert any(line.startswith("The other configuration that was compared is not") for line in summary)
    assert any(line.startswith("1 configuration could not be compared") for line in summary)


def test_validation_f1_is_corrected_for_the_choice(tmp_path: Path) -> None:
    trials = [simulated_trial(0.8, learning_rate=rate * 1e-3) for rate in range(1, 11)]
    results = simulated_run(tmp_path, trials)
    corrected = float(results.summary[1].partition("validation F1 is ")[2].partition(" ")[0])
    assert "among 10 configurations" in results.summary[1]
    assert corrected < results.entries[0].validation.estimate - 0.005
    pruned = TrialRecord.of(a_config(learning_rate=3e-2), "pruned", 1.0)
    summary = summarize_leaderboard(results.entries, [*results.records, pruned], results.cache)
    assert "best epoch and against pruned configurations" in summary[1]  # no counts of epochs are recorded
    assert summarize_leaderboard([], [pruned], results.cache) == []
    assert not any("Corrected" in line for line in simulated_run(tmp_path, trials[:1], "single").summary)


def test_validation_f1_is_corrected_for_the_choice_of_the_epoch(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    trials = []
    for seed in (1, 2):
        trial = simulated_trial(0.8, seed=seed)
        assert trial.result
        draws = random.random((10, SIZE)) < 0.8
        draws = draws[np.argsort(draws.sum(axis=1))]  # the last epoch is the best one
        counts = tuple(tuple((1, 0, 0) if right else (0, 0, 1) for right in epoch) for epoch in draws)
        found = tuple((GOLD,) if right else () for right in draws[-1])
        spans: dict[SplitName, tuple[tuple[Span, ...], ...]] = {"validation": found, "test": found}
        result = replace(trial.result, epoch_counts=counts, predicted_spans=spans)
        trials.append(trial.model_copy(update={"result": result}))
    results = simulated_run(tmp_path, trials)
    sentence = results.summary[1]
    assert "Corrected for the choice among its epochs" in sentence
    corrected = float(sentence.partition("validation F1 is ")[2].partition(" ")[0])
    assert corrected < results.entries[0].validation.estimate - 0.005


def test_detectable_differences_are_larger_among_many(tmp_path: Path) -> None:
    results = simulated_run(tmp_path, [simulated_trial(0.8, learning_rate=rate * 1e-3) for rate in range(1, 6)])
    (line,) = [line for line in results.summary if line.startswith("Smallest difference")]
    single, among_all = (float(x) for x in re.findall(r"0\.\d+", line)[:2])
    assert 0.02 < single < among_all < 0.2
    assert "in 4 comparisons" in line


def test_failures_name_the_trial_and_the_error() -> None:
    records = [a_record(batch_size=16), a_failed_trial("no memory", batch_size=32)]
    assert failures(records) == ["tiny:1x32 · BIO · lr 0.001 · batch_size 32 · seed 42 failed: no memory"]


def test_nothing_to_note() -> None:
    assert notes([a_record(), a_failed_trial(seed=2)]) == []


def test_pruned_trials_are_counted() -> None:
    (note,) = notes([a_record(seed=1), a_pruned_trial((0.1,), seed=2), a_pruned_trial((0.1, 0.2), seed=3)])
    assert note.startswith("2 of 3 trials were pruned after 1 to 2 epochs.")


def test_each_encoding_loss_is_noted_once_per_encoding() -> None:
    found = notes([a_record(cut=1, seed=1), a_record(cut=1, seed=2), a_record(cut=1, tagging_scheme="IO")])
    assert found[0] == (
        "tiny:1x32, BIO, word tokenizer whitespace: 1 of 3 entities lost in encoding, truncated at 256 subwords or "
        "without a subword (train 0, validation 0, test 1)."
    )
    assert len(found) == 4
    assert sum("overlapping" in note for note in found) == 2


def test_changes_of_the_batching_are_noted_once_per_encoder() -> None:
    plain = a_record()
    assert plain.result
    padded = replace(plain.result, note="padding-free batching does not support 'mpnet'; batches are padded")
    divided = replace(plain.result, accumulated_steps=4)
    records = [plain, *(plain.model_copy(update={"result": result}) for result in (padded, padded, divided))]
    first, second = notes([a_failed_trial(), *records])
    assert first == "tiny:1x32: padding-free batching does not support 'mpnet'; batches are padded."
    assert "batches of 16" in second
    assert "4 gradient accumulation steps" in second


def test_reliable_leaderboard_has_no_warnings(tmp_path: Path) -> None:
    records = [simulated_trial(0.9), simulated_trial(0.3, learning_rate=2e-3)]
    assert simulated_run(tmp_path, records).warnings == []


def test_run_without_completed_trials_has_no_warnings(tmp_path: Path) -> None:
    assert Results(a_run(tmp_path, [a_failed_trial()])).warnings == []


def test_equal_best_scores_are_counted(tmp_path: Path) -> None:
    records = [a_record((f1,), learning_rate=rate) for f1, rate in ((0.5, 1e-3), (0.5, 2e-3), (0.4, 3e-3))]
    assert Results(a_run(tmp_path, records)).warnings[0].startswith("2 configurations")


def test_too_few_validation_sentences_for_any_difference(tmp_path: Path) -> None:
    small = Results(a_run(tmp_path, [a_record((0.5,)), a_record((0.4,), learning_rate=2e-3)], "small"))
    assert any("1 sentence " in warning for warning in small.warnings)
    large = simulated_run(tmp_path, [simulated_trial(0.9), simulated_trial(0.89, learning_rate=2e-3)], "large")
    assert large.warnings == []


def test_best_configuration_with_fewer_seeds_than_others(tmp_path: Path) -> None:
    others = [simulated_trial(0.5, seed=seed, learning_rate=2e-3) for seed in (1, 2)]
    (warning,) = simulated_run(tmp_path, [simulated_trial(0.9, seed=1), *others]).warnings
    assert "1 completed trial and others have up to 2" in warning


def test_trials_without_any_correct_entity_are_counted(tmp_path: Path) -> None:
    results = Results(a_run(tmp_path, [a_record((0.0, 0.0)), a_record((0.0, 0.4), learning_rate=2e-3)]))
    assert any(warning.startswith("1 of 2 trials") for warning in results.warnings)


def test_best_configuration_is_compared_with_the_baseline(tmp_path: Path) -> None:
    audit = an_audit(baselines={"gazetteer": 0.1})
    results = simulated_run(tmp_path, [simulated_trial(0.6)], audits={None: audit})
    (warning,) = results.warnings
    assert "test span F1 0.100" in warning
    assert "above it" in warning
    assert results.caveats == []


def test_best_configuration_below_the_baseline_is_a_caveat(tmp_path: Path) -> None:
    audit = an_audit(baselines={"gazetteer": 0.95})
    results = simulated_run(tmp_path, [simulated_trial(0.6)], audits={None: audit})
    (caveat,) = results.caveats
    best = results.entries[0].test.estimate
    assert caveat.endswith(
        f"not better than the best baseline (a list of the train entities): test span F1 {best:.3f} and 0.950."
    )
    assert results.warnings == []


def test_audit_errors_are_caveats_and_warnings_are_not(tmp_path: Path) -> None:
    audit = an_audit(a_finding("the text contains the annotation", "error"), a_finding("few entities"))
    results = simulated_run(tmp_path, [simulated_trial(0.6)], audits={None: audit})
    (caveat,) = results.caveats
    assert caveat.startswith("The data has an audit error: the text contains the annotation. ")


def test_model_that_finds_nothing_is_a_caveat(tmp_path: Path) -> None:
    (caveat,) = simulated_run(tmp_path, [simulated_trial(0.0)]).caveats
    assert "found no entity of the test split" in caveat


def test_folds_are_not_called_a_single_seed(tmp_path: Path) -> None:
    results = simulated_run(tmp_path, [simulated_trial(0.8, fold=fold) for fold in (0, 1, 2)])
    assert not any("Only one seed" in line for line in results.summary)
    assert any("The folds share training sentences" in line for line in results.summary)


def test_a_baseline_that_leads_is_a_caveat(tmp_path: Path) -> None:
    baseline = simulated_trial(0.9, model="baseline:crf")
    found = simulated_run(tmp_path, [baseline, simulated_trial(0.3)], "both").caveats
    assert found == ["No model with an encoder is better on validation than baseline:crf, which has none."]
    assert simulated_run(tmp_path, [baseline], "alone").caveats == []
