from dataclasses import replace
from pathlib import Path

import pandas as pd

from tests.factories import STAGE_SECONDS, a_failed_trial, a_profile, a_record, a_run, a_timed_record, an_audit
from tune_ner.evaluation.seqeval_metrics import TypeMetrics
from tune_ner.results.run_results import Results
from tune_ner.results.table_files import (
    format_entity_types,
    format_importances,
    format_leaderboard,
    format_speed,
    format_stages,
    latex_table,
    shared_values,
    write_tables,
)
from tune_ner.results.tables import NOTEBOOK_COLUMNS, timings_table

CSV_FILES = ["ner_results_with_lr.csv", "curves.csv", "leaderboard.csv", "expected_best.csv", "timings.csv"]


def test_tables_are_written_from_the_records(tmp_path: Path) -> None:
    files = write_tables(Results(a_run(tmp_path, [a_record((0.1, 0.5)), a_failed_trial(seed=2)])))
    assert [file.name for file in files] == [*CSV_FILES, "leaderboard.md", "leaderboard.tex"]
    trials = pd.read_csv(files[0])
    assert len(trials) == 2
    assert list(trials.columns[:6]) == NOTEBOOK_COLUMNS
    assert len(pd.read_csv(files[1])) == 2
    assert len(pd.read_csv(files[2])) == len(pd.read_csv(files[3])) == 1


def test_tables_are_written_if_every_trial_failed(tmp_path: Path) -> None:
    files = write_tables(Results(a_run(tmp_path, [a_failed_trial()])))
    assert [file.name for file in files] == CSV_FILES
    assert len(pd.read_csv(files[0])) == 1
    assert pd.read_csv(files[1]).empty


def test_markdown_and_latex_escape_markup(tmp_path: Path) -> None:
    results = Results(a_run(tmp_path, [a_record(model="a|b_c&d\x1b[0m")]))
    files = {file.name: file.read_text(encoding="utf-8") for file in write_tables(results)}
    assert r"a\|b_c&d\\x1b\[0m" in files["leaderboard.md"]
    assert r"a|b\_c\&d" in files["leaderboard.tex"]
    assert "\x1b" not in files["leaderboard.md"] + files["leaderboard.tex"]
    assert files["leaderboard.tex"].count(r"\begin{tabular}") == 1


def test_leaderboard_has_deviations_and_runs_only_with_several_seeds(tmp_path: Path) -> None:
    several = [a_record((0.4,), seed=1), a_record((0.6,), seed=2), a_failed_trial(seed=3)]
    table = format_leaderboard(Results(a_run(tmp_path, several)))
    assert table.loc[0, "validation span F1"] == "0.500 ± 0.141"
    assert table.loc[0, "runs"] == "2 of 3"
    single = format_leaderboard(Results(a_run(tmp_path, [a_record((0.4,))], "single")))
    assert single.loc[0, "validation span F1"] == "0.400"
    assert "runs" not in single.columns


def test_leaderboard_cells_are_text(tmp_path: Path) -> None:
    records = [a_record((0.5,), learning_rate=rate, seed=seed) for rate, seed in ((1e-5, 1), (2e-5, 2))]
    audit = an_audit(baselines={"gazetteer": 0.1})
    table = format_leaderboard(Results(a_run(tmp_path, records, audits={None: audit})))
    assert table[["#", "lr", "tied", "vs. baseline"]].to_numpy().tolist() == [
        ["1", "1e-5", "yes", "+0.300"],
        ["2", "2e-5", "not compared", "+0.300"],
    ]
    assert all(isinstance(cell, str) for cell in table.to_numpy().ravel())
    assert "validation seqeval F1" not in table.columns


def test_leaderboard_shows_seqeval_f1_if_it_is_the_selection_metric(tmp_path: Path) -> None:
    table = format_leaderboard(Results(a_run(tmp_path, [a_record((0.5,), selection_metric="seqeval_f1")])))
    assert table.loc[0, "validation seqeval F1"] == "0.500"


def test_stages_have_a_row_of_seconds_and_a_row_of_shares() -> None:
    table = format_stages(timings_table([a_timed_record(50.0)]))
    assert table["unit"].tolist() == ["s", "%"]
    assert table["train"].tolist() == ["40.0", "80"]
    assert table["all"].tolist() == ["50.0", "100"]
    assert table["model"].tolist() == ["tiny:1x32", ""]


def test_settings_that_differ_have_columns() -> None:
    table = timings_table([a_timed_record(batch_size=size) for size in (8, 16)])
    assert format_speed(table)["batch size"].tolist() == ["8", "16"]
    assert "threads" not in format_speed(table).columns


def test_speed_has_units_and_dashes_for_missing_values() -> None:
    seconds = {stage: 1.0 for stage in STAGE_SECONDS if stage != "train"}
    table = format_speed(
        timings_table([a_timed_record(profile=a_profile()), a_timed_record(model="b", seconds=seconds)])
    )
    columns = ["tokens/s", "with padding", "peak memory"]
    assert table[columns].to_numpy().tolist() == [["–", "–", "–"], ["100", "125", "1.0 GB"]]


def test_importances_are_in_percent() -> None:
    importances = pd.DataFrame({"hyperparameter": ["a"], "fanova": [0.256], "ped_anova": [0.744]})
    assert format_importances(importances).to_numpy().tolist() == [["a", "26", "74"]]


def test_latex_has_no_minus_sign_that_it_does_not_know() -> None:
    text = latex_table(pd.DataFrame({"vs. baseline": ["−0.012", "+0.012"]}), "differences")
    assert "$-$0.012" in text
    assert "−" not in text


def test_the_title_names_no_missing_values(tmp_path: Path) -> None:
    records = [a_record((0.5,), seed=1, model="baseline:crf", crf_c1=value) for value in (0.1, 1.0)]
    assert shared_values(Results(a_run(tmp_path, records))) == "baseline:crf · BIO"


def test_entity_types_have_the_mean_scores_of_the_trials() -> None:
    records = []
    for seed, scores in enumerate((TypeMetrics(0.5, 0.25, 0.3333, 8), TypeMetrics(1.0, 0.75, 0.8571, 8)), start=1):
        record = a_record((0.5,), seed=seed)
        assert record.result
        test = record.result.metrics["test"]
        changed = replace(test, spans=replace(test.spans, per_type={"DRUG": scores}))
        metrics = {**record.result.metrics, "test": changed}
        records.append(record.model_copy(update={"result": replace(record.result, metrics=metrics)}))
    (row,) = format_entity_types(records).to_dict("records")
    assert row == {"type": "DRUG", "precision": "0.750", "recall": "0.500", "F1": "0.595", "support": "8"}
