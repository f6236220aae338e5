from pathlib import Path

from tests.factories import a_failed_trial, a_finding, a_record, a_run, an_audit
from tests.results.simulated import simulated_run, simulated_trial
from tune_ner.audit.findings import Severity
from tune_ner.results.audits import Audits
from tune_ner.results.headline import Headline
from tune_ner.results.run_results import Results
from tune_ner.utils.text import signed


def facts(headline: Headline | None) -> list[str]:
    assert headline
    return [fact.text for fact in headline.facts]


def test_headline_names_the_best_its_score_and_how_many_are_as_good(tmp_path: Path) -> None:
    records = [
        simulated_trial(share, learning_rate=rate, seed=seed)
        for share, rate in ((0.9, 1e-3), (0.88, 2e-3), (0.3, 3e-3))
        for seed in (1, 2)
    ]
    results = simulated_run(tmp_path, records)
    headline, best = results.headline, results.entries[0]
    assert headline
    assert headline.title.endswith("BIO · lr 0.001")
    assert headline.score == f"{best.test.estimate:.3f}"
    assert headline.interval == f"{best.test.low:.3f} to {best.test.high:.3f}"
    assert facts(headline)[0] == "1 of 2 other configurations are not significantly worse"
    assert "2 seeds per configuration" in facts(headline)


def test_headline_compares_with_the_baseline_and_counts_findings(tmp_path: Path) -> None:
    severities: list[Severity] = ["warning", "error", "warning", "info", "warning"]
    findings = [a_finding(f"finding {n}", each, kind=f"kind_{n}") for n, each in enumerate(severities)]
    audits: Audits = {None: an_audit(*findings, baselines={"gazetteer": 0.5, "crf": 0.75})}
    results = Results(a_run(tmp_path, [a_record((0.9,), test=0.8)], audits=audits))
    best = results.entries[0].test.estimate
    found = facts(results.headline)
    assert f"Best baseline (a CRF) 0.750 ({signed(best - 0.75)})" in found
    assert "Data audit: 1 error and 3 warnings (kind 1, kind 0, kind 2, …)" in found
    assert "1 seed per configuration" in found


def test_run_without_a_result_has_no_headline(tmp_path: Path) -> None:
    assert Results(a_run(tmp_path, [a_failed_trial()])).headline is None
