"""Whatever corpus loads can be audited, trained on, recorded and reported; others are refused with a message."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import tune_ner as tn
from tune_ner.config.loading import parse_space
from tune_ner.errors import TuneNerError
from tune_ner.report.html_report import write_report
from tune_ner.results.records import TrialRecord
from tune_ner.results.run_dir import RunDir
from tune_ner.results.run_results import Results
from tune_ner.results.table_files import write_tables
from tune_ner.training.trial import TrialOptions, run_trial
from tune_ner.tuning.experiment import audit_experiment, prepare

pytestmark = pytest.mark.slow

# letters with and without case, marks that combine, signs of markup, white space, what no encoder knows
CHARACTERS = st.sampled_from(
    [*"abÅßñ中ก한אx", "\u0301", "\u200b", "\u00ad", *"[](){}<>.,;-'\"&\\%$_#", *" \t\u00a0\n", "💊"]
)
TYPES = st.sampled_from(["DRUG", "Body part", "B-", "I", "É/É", "<b>", "x" * 60])


@st.composite
def sentences(draw: st.DrawFn) -> dict[str, Any]:
    """Return a text with up to three spans, which may overlap or lie within a word."""
    text = draw(st.text(CHARACTERS, max_size=30))
    spans = []
    for _ in range(draw(st.integers(0, 3)) if text else 0):
        start = draw(st.integers(0, len(text) - 1))
        spans.append({"start": start, "end": draw(st.integers(start + 1, len(text))), "label": draw(TYPES)})
    return {"text": text, "spans": spans}


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    rows=st.lists(sentences(), min_size=14, max_size=24),
    choices=st.fixed_dictionaries(
        {
            "tagging_scheme": st.sampled_from(["BIO", "BIOES", "IOB1", "IO"]),
            "word_tokenizer": st.sampled_from(["whitespace", "punctuation", "character", "subword", "auto"]),
            "markup": st.sampled_from(["keep", "strip"]),
            "subword_labels": st.sampled_from(["first", "all"]),
            "head": st.sampled_from(["linear", "crf"]),
            "decoding": st.sampled_from(["argmax", "viterbi"]),
            "max_length": st.sampled_from([3, 8, 64]),
            "stride": st.sampled_from([0, 1]),
            "batching": st.sampled_from(["padded", "padding_free"]),
            "precision": st.sampled_from(["fp32", "bf16"]),
        }
    ),
)
def test_any_corpus_that_loads_is_trained_on_and_reported(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, Any]], choices: dict[str, Any]
) -> None:
    folder = tmp_path_factory.mktemp("run")
    try:
        record, run_dir = trained(folder, rows, choices)
    except TuneNerError:  # any other error fails the test
        return
    (read,) = run_dir.records()
    assert read == record.model_copy(update={"result": read.result})
    results = Results(run_dir)
    write_tables(results)
    page = write_report(results, pytest.fail)
    assert isinstance(page, Path)
    assert results.entries[0].records[0].trial_id == record.trial_id


def trained(folder: Path, rows: list[dict[str, Any]], choices: dict[str, Any]) -> tuple[TrialRecord, RunDir]:
    """Train the only trial of a grid and write its run folder."""
    space = {**choices, "model": "tiny:1x32", "learning_rate": 1e-3, "epochs": 1, "batch_size": 4}
    experiment = prepare(parse_space(space, "space"), tn.load_corpus(rows, markup=choices["markup"]))
    (trial,) = experiment.trials
    split = experiment.splits[None]
    run_dir = RunDir.new(folder, "run")
    run_dir.create(experiment.space.to_yaml(), audits=audit_experiment(experiment))
    result = run_trial(trial, experiment.encoders[trial.model], experiment.corpus, split, TrialOptions(threads=1))
    record = TrialRecord.completed(trial, result, 1.0)
    run_dir.append(record, experiment.corpus, split)
    return record, run_dir
