"""A real run of data in memory: resumed, and exported as an ensemble."""

from pathlib import Path

import numpy as np
import pytest
import ray

from tune_ner import Corpus, Predictor, Tuner
from tune_ner.api import Results, load_results
from tune_ner.data.corpus import Sentence, Span
from tune_ner.data.loaders import load_corpus
from tune_ner.data.synthetic.generator import synthetic_corpus
from tune_ner.errors import ModelError, RunFolderError
from tune_ner.evaluation.span_metrics import exact_f1
from tune_ner.tracking.display import Display
from tune_ner.training.model_export import InferenceConfig

pytestmark = pytest.mark.slow
CORPUS = synthetic_corpus(150)
ROWS = [{"text": s.text, "spans": [[p.start, p.end, p.label] for p in s.spans]} for s in CORPUS.sentences]
SPACE = {
    "model": ["tiny:1x64", "baseline:crf"],
    "tagging_scheme": "BIO",
    "learning_rate": 5e-3,
    "seed": [1],
    "epochs": 5,
    "word_tokenizer": "punctuation",
}


@pytest.mark.long
def test_a_run_of_data_in_memory_is_resumed_and_its_ensemble_predicts_what_was_measured(tmp_path: Path) -> None:
    space, runs = {**SPACE, "seed": np.array([1])}, tmp_path / "runs"
    results = Tuner(ROWS, space, "run", str(runs), display=Display(), dashboard=False).grid()
    assert [record.status for record in results.records] == ["completed"] * 2
    assert {"report.html", "best", "space.yaml"} <= {path.name for path in (runs / "run").iterdir()}
    check_it_is_resumed_with_the_same_data_alone(results, runs)
    check_other_data_is_refused(results, tmp_path / "new")
    check_a_folder_that_exists_is_kept(results, tmp_path / "full")
    measured, notes = results.ensemble(2), list[str]()
    folder = results.export_ensemble(2, tmp_path / "ensemble", corpus=load_corpus(ROWS), note=notes.append)
    assert notes == ["training 1 trial again, because a run keeps the weights of its best trial only"]
    assert not ray.is_initialized()
    trials = [InferenceConfig.read(model) for model in sorted(folder.iterdir()) if model.is_dir()]
    assert [trial.trial_id for trial in trials if trial] == measured.trial_ids.split()
    test = results.cache.predictions(results.records[0].trial_id, "test")
    found = Predictor.load(folder).predict(test.texts)
    predicted = [[Span(span.start, span.end, span.label) for span in spans] for spans in found]
    assert exact_f1(test.gold, predicted) == pytest.approx(measured.test_span_f1)
    assert measured.test_span_f1 > 0.3


def check_it_is_resumed_with_the_same_data_alone(results: Results, runs: Path) -> None:
    again = Tuner(ROWS, SPACE, "run", runs, display=Display()).grid()
    assert [record.finished_at for record in again.records] == [record.finished_at for record in results.records]
    with pytest.raises(RunFolderError, match="data"):
        Tuner(ROWS[:-1], SPACE, "run", runs, display=Display()).grid()


def check_a_folder_that_exists_is_kept(results: Results, folder: Path) -> None:
    folder.mkdir()
    (folder / "kept").write_text("")
    with pytest.raises(ModelError, match="exists; choose another folder"):
        results.export_ensemble(2, folder, corpus=load_corpus(ROWS))
    assert [path.name for path in folder.iterdir()] == ["kept"]


def check_other_data_is_refused(results: Results, folder: Path) -> None:
    other = Corpus("other", (*CORPUS.sentences, Sentence("new", "Ta medicin.")), CORPUS.entity_types)
    with pytest.raises(RunFolderError, match="the data differs from that of the run"):
        load_results(results.run_dir.path).export_ensemble(2, folder, corpus=other)
    assert not folder.exists()
