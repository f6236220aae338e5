"""Export of an ensemble from a real run."""

from pathlib import Path

import pytest
import ray

from tune_ner import Corpus, Predictor, Tuner
from tune_ner.api import Results, load_results
from tune_ner.data.corpus import Sentence, Span
from tune_ner.data.synthetic.generator import synthetic_corpus
from tune_ner.errors import ModelError, RunFolderError
from tune_ner.evaluation.span_metrics import exact_f1
from tune_ner.tracking.display import Display
from tune_ner.training.model_export import InferenceConfig

pytestmark = pytest.mark.slow
CORPUS = synthetic_corpus(250)
SPACE = {
    "model": ["tiny:1x64", "baseline:crf"],
    "tagging_scheme": "BIO",
    "learning_rate": 5e-3,
    "seed": [1, 2],
    "epochs": 5,
    "word_tokenizer": "punctuation",
}


def test_the_exported_ensemble_predicts_what_was_measured_and_mistakes_write_nothing(tmp_path: Path) -> None:
    results = Tuner(CORPUS, SPACE, "run", tmp_path / "runs", display=Display(), dashboard=False).grid()
    check_other_data_is_refused(results, tmp_path / "new")
    check_a_folder_that_exists_is_kept(results, tmp_path / "full")
    measured, notes = results.ensemble(2), list[str]()
    folder = results.export_ensemble(2, tmp_path / "ensemble", corpus=CORPUS, note=notes.append)
    assert notes == ["training 3 trials again, because a run keeps the weights of its best trial only"]
    assert not ray.is_initialized()
    trials = [InferenceConfig.read(model) for model in sorted(folder.iterdir()) if model.is_dir()]
    assert [trial.trial_id for trial in trials if trial] == measured.trial_ids.split()
    test = results.cache.predictions(results.records[0].trial_id, "test")
    found = Predictor.load(folder).predict(test.texts)
    predicted = [[Span(span.start, span.end, span.label) for span in spans] for spans in found]
    assert exact_f1(test.gold, predicted) == pytest.approx(measured.test_span_f1)
    assert measured.test_span_f1 > 0.3


def check_a_folder_that_exists_is_kept(results: Results, folder: Path) -> None:
    folder.mkdir()
    (folder / "kept").write_text("")
    with pytest.raises(ModelError, match="exists; choose another folder"):
        results.export_ensemble(2, folder, corpus=CORPUS)
    assert [path.name for path in folder.iterdir()] == ["kept"]


def check_other_data_is_refused(results: Results, folder: Path) -> None:
    other = Corpus("other", (*CORPUS.sentences, Sentence("new", "Ta medicin.")), CORPUS.entity_types)
    with pytest.raises(RunFolderError, match="the data differs from that of the run"):
        load_results(results.run_dir.path).export_ensemble(2, folder, corpus=other)
    assert not folder.exists()
