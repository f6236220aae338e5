"""Wording of the sentences, tables and model card of a grid, a search and a comparison of runs."""

from pathlib import Path
from typing import Any

from tests.factories import a_config, a_failed_trial, a_finding, a_record, a_result, a_run, a_timed_record, an_audit
from tests.results.simulated import simulated_run, simulated_trial
from tests.snapshot import assert_snapshot
from tune_ner.results.comparison import common_table, comparison_notes, runs_table
from tune_ner.results.model_card import model_card
from tune_ner.results.records import TrialRecord
from tune_ner.results.run_results import Results
from tune_ner.results.summary import describe_run
from tune_ner.results.table_files import (
    format_common,
    format_effects,
    format_importances,
    format_leaderboard,
    format_runs,
    format_speed,
    format_stages,
    latex_table,
)
from tune_ner.training.model_export import InferenceConfig
from tune_ner.utils.tables import markdown_table

GRID = "data: corpus.jsonl\nmodel: [KB/bert-swedish, google/bert-multilingual]\nlearning_rate: [1.0e-5, 2.0e-5]\n"
SEARCH = (
    "data: corpus.jsonl\nmodel: tiny:1x32\nlearning_rate: {loguniform: [1.0e-5, 1.0e-2]}\nbatch_size: {int: [4, 32]}\n"
)


def a_grid(folder: Path) -> Results:
    """Return a grid of two encoders, two schemes and two learning rates, with a failed, a pruned and a partial run."""
    records = [
        simulated_trial(share + 0.03 * (rate > 1e-5), model=model, tagging_scheme=scheme, learning_rate=rate, seed=seed)
        for share, model in ((0.9, "KB/bert-swedish"), (0.6, "google/bert-multilingual"))
        for scheme in ("BIO", "BIOES")
        for rate in (1e-5, 2e-5)
        for seed in (1, 2)
    ]
    other = {"model": "KB/bert-swedish", "learning_rate": 5e-5}
    records[-1] = simulated_trial(0.6, **other, seed=9)
    records.append(a_failed_trial("no memory", **other, seed=1))
    records.append(TrialRecord.of(a_config(**other, seed=2), "pruned", 1.0, epochs=a_result((0.1,)).epochs))
    records = [record.model_copy(update={"finished_at": "2026-01-01T00:01:00+00:00"}) for record in records]
    audit = an_audit(a_finding("a leak", "error"), a_finding("few sentences"), baselines={"gazetteer": 0.77})
    return simulated_run(folder, records, "grid", GRID, {None: audit})


def a_search(folder: Path, metric: str) -> Results:
    """Return a search of twelve trials whose best configuration was retrained with two seeds."""
    settings: dict[str, Any] = {"selection_metric": metric}
    rates = [1e-5 * 1.8**step for step in range(12)]
    records = [
        TrialRecord.searched(
            a_config(**settings, learning_rate=rate, batch_size=4 + step % 3), a_result((0.05 * step,)).epochs, 2.0
        )
        for step, rate in enumerate(rates)
    ]
    best = {**settings, "learning_rate": rates[-1], "batch_size": 6}
    records += [a_record((0.5,), seed=1, **best), a_record((0.52,), seed=2, **best), a_failed_trial(seed=3, **best)]
    return Results(a_run(folder, records, f"search-{metric}", SEARCH))


def sentences(results: Results) -> list[str]:
    """Return all sentences of a run, with a line for each group."""
    facts = [f"{name}: {value}" for name, value in describe_run(results.space, results.records).items()]
    groups = {
        "facts": facts,
        "summary": results.summary,
        "warnings": results.warnings,
        "notes": results.notes,
        "failures": results.failures,
        **results.answers,
    }
    if results.search:
        groups |= {"confirmation": results.search.confirmation_sentences(), "search": results.search.sentences()}
    return [line for name, group in groups.items() for line in ("", f"[{name}]", *group)]


def test_wording_of_results(tmp_path: Path) -> None:
    grid, search = a_grid(tmp_path), a_search(tmp_path, "span_f1")
    by_seqeval = a_search(tmp_path, "seqeval_f1")
    best = grid.entries[0].records[0]
    grid.run_dir.models.best.mkdir()
    InferenceConfig.of(best.config, ("DRUG",)).write(grid.run_dir.models.best)
    timed = Results(a_run(tmp_path, [a_timed_record()], "timed"))
    runs = {run.name: run for run in (grid, timed)}
    assert search.search
    assert search.search.importances is not None
    tables = {
        "leaderboard": format_leaderboard(grid),
        "effects": format_effects(grid.compared_effects),
        "leaderboard of a search": format_leaderboard(by_seqeval),
        "stages": format_stages(timed.timings()),
        "speed": format_speed(timed.timings()),
        "importances": format_importances(search.search.importances),
        "runs": format_runs(runs_table(runs)),
        "common": format_common(common_table({"one": grid, "other": grid})),
    }
    lines = ["GRID", *sentences(grid), "", "SEARCH", *sentences(search), "", "SEQEVAL", *by_seqeval.warnings]
    lines += ["", "COMPARISON", *comparison_notes(runs), "", "TABLES"]
    lines += [line for name, table in tables.items() for line in ("", f"[{name}]", markdown_table(table))]
    lines += ["", "LATEX", latex_table(tables["leaderboard"].head(2), "Leaderboard")]
    lines += ["MODEL CARD", model_card(grid) or ""]
    text = "\n".join(lines).replace(str(tmp_path), "RESULTS")
    # versions and fingerprints of the environment
    kept = [line for line in text.splitlines() if not line.startswith("- **versions")]
    assert_snapshot("results.txt", "\n".join(kept).replace(best.trial_id, "TRIAL") + "\n")
