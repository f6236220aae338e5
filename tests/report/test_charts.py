from pathlib import Path
from typing import Any

import pytest
import vl_convert

from tests.factories import a_failed_trial, a_record, a_run, an_audit
from tests.report.runs import a_grid, a_search, results_of
from tune_ner.report.charts import (
    MOST_ENTRIES,
    comparison_chart,
    effects_chart,
    entity_types_chart,
    history_chart,
    hyperparameter_charts,
    importances_chart,
    leaderboard_chart,
    seen_entities_chart,
    stages_chart,
    time_chart,
)
from tune_ner.report.vega import Chart, by_title, chart_script, interval_lines
from tune_ner.results.audits import Audits
from tune_ner.results.run_results import Results


def rows_of(chart: Chart | None) -> list[dict[str, Any]]:
    """The longest data set of a chart."""
    assert chart
    datasets = [*chart.spec.get("datasets", {}).values(), chart.spec.get("data", {}).get("values", [])]
    datasets += [layer.get("data", {}).get("values", []) for layer in chart.spec.get("layer", [])]
    return max(datasets, key=len)


def test_runs_without_a_completed_trial_have_no_charts(tmp_path: Path) -> None:
    results = results_of(tmp_path, [a_failed_trial()])
    makers = (leaderboard_chart, entity_types_chart, seen_entities_chart, effects_chart, time_chart, stages_chart)
    assert [maker(results) for maker in makers] == [None] * len(makers)
    assert hyperparameter_charts(results) == ()
    assert comparison_chart({"run": results}) is None


def test_leaderboard_chart_has_both_splits_of_the_best_entries(tmp_path: Path) -> None:
    rows = rows_of(leaderboard_chart(Results(a_grid(tmp_path))))
    assert [row["split"] for row in rows] == ["validation", "test"] * 3
    assert all(row["low"] <= row["score"] <= row["high"] for row in rows)
    many = results_of(tmp_path, [a_record((0.5,), batch_size=size) for size in range(1, MOST_ENTRIES + 5)], "many")
    assert len(rows_of(leaderboard_chart(many))) == 2 * MOST_ENTRIES


def test_comparison_chart_has_the_best_entry_of_each_run(tmp_path: Path) -> None:
    runs = {name: Results(a_grid(tmp_path, name)) for name in ("one", "two")}
    assert {row["title"] for row in rows_of(comparison_chart(runs))} == {"one", "two"}


@pytest.mark.parametrize("is_audited", [True, False])
def test_seen_entities_of_audited_runs_have_intervals(tmp_path: Path, is_audited: bool) -> None:
    audits: Audits = {None: an_audit(seen_entities=frozenset({"feber"}))} if is_audited else {}
    rows = rows_of(seen_entities_chart(Results(a_run(tmp_path, [a_record()], audits=audits))))
    assert [row["title"] for row in rows] == ["seen (1 entities)", "unseen (1 entities)"]
    assert all(("low" in row) == is_audited for row in rows)


def test_hyperparameters_with_few_values_share_a_chart(tmp_path: Path) -> None:
    results = Results(a_grid(tmp_path))
    (chart,) = hyperparameter_charts(results)
    rows = rows_of(chart)
    assert chart.name == "hyperparameter_values"
    assert {row["title"] for row in rows} >= {"model tiny:1x32", "learning rate 0.001"}
    assert {row["hyperparameter"] for row in rows_of(effects_chart(results))} == {"model", "learning rate"}


def test_sampled_hyperparameters_have_a_continuous_axis(tmp_path: Path) -> None:
    results = Results(a_search(tmp_path))
    (chart,) = hyperparameter_charts(results)
    assert chart.name == "hyperparameter_learning_rate"
    assert chart.spec["encoding"]["x"]["scale"] == {"type": "log"}
    assert len(rows_of(chart)) == 13


def test_search_charts_show_history_and_importances(tmp_path: Path) -> None:
    search = Results(a_search(tmp_path)).search
    assert search
    best = [row["best"] for row in rows_of(history_chart(search))]
    assert best == sorted(best)
    assert {row["group"] for row in rows_of(importances_chart(search))} == {"fANOVA", "PED-ANOVA"}


def test_stages_add_up_to_the_wall_time(tmp_path: Path) -> None:
    rows = rows_of(stages_chart(Results(a_grid(tmp_path))))
    assert sum(row["seconds"] for row in rows if row["title"].startswith("tiny:1x32")) == pytest.approx(50)


def test_leaderboard_chart_has_a_line_at_the_best_baseline(tmp_path: Path) -> None:
    audits: Audits = {None: an_audit(baselines={"gazetteer": 0.2, "crf": 0.6})}
    chart = leaderboard_chart(Results(a_run(tmp_path, [a_record((0.5,))], audits=audits)))
    assert chart
    assert [{"title": "best baseline (a CRF)", "score": 0.6}] in chart.spec["datasets"].values()
    assert "a CRF" in chart.caption
    without = leaderboard_chart(results_of(tmp_path, [a_record((0.5,))], "without"))
    assert without
    assert "baseline" not in without.caption


def test_charts_are_written_as_svg_and_png(tmp_path: Path) -> None:
    chart = leaderboard_chart(Results(a_grid(tmp_path)))
    assert chart
    assert chart.svg.startswith("<svg")
    assert chart.png().startswith(b"\x89PNG")


@pytest.mark.parametrize("character", ["\x00", "\x07", "\x1b", "\x1f", "\ufffe", "\ud800"])
def test_characters_that_svg_cannot_hold_are_replaced(character: str) -> None:
    rows = [{"title": f"a{character}[31m", "low": 0.1, "high": 0.4}]
    chart = Chart.of("made", f"A caption{character}.", interval_lines(by_title(rows), f"F1{character}"))
    assert "a\ufffd[31m" in chart.svg
    assert character not in chart.svg
    assert chart.png().startswith(b"\x89PNG")


def test_script_of_the_charts_is_made_once_per_user(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    chart_script.cache_clear()
    made = chart_script()
    assert "vegaEmbed" in made
    monkeypatch.setattr(vl_convert, "javascript_bundle", lambda *_, **__: "made again")
    chart_script.cache_clear()
    assert chart_script() == made
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    chart_script.cache_clear()
    assert chart_script() == "made again"
    chart_script.cache_clear()


def test_titles_leave_out_what_all_configurations_share(tmp_path: Path) -> None:
    records = [a_record((0.5,), seed=1, learning_rate=rate) for rate in (1e-3, 2e-3)]
    rows = rows_of(leaderboard_chart(Results(a_run(tmp_path, records))))
    assert {row["title"] for row in rows if "split" in row} == {"#1 lr 0.001", "#2 lr 0.002"}
