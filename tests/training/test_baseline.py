"""Models without an encoder, trained and evaluated as trials."""

import json
import math
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given

from tests.config.test_trial_config import OTHER
from tests.damages import MANY, Damage, a_folder, damages, json_damages
from tests.factories import a_config
from tune_ner.audit import crf_baseline
from tune_ner.audit.baselines import learn_gazetteer
from tune_ner.audit.crf_baseline import learn_crf
from tune_ner.config.hyperparameters import BASELINES, HYPERPARAMETERS, has_effect
from tune_ner.config.trial_config import TrialConfig
from tune_ner.data.corpus import Sentence, Span, SplitName
from tune_ner.data.splits import SplitSpec, split_corpus
from tune_ner.data.synthetic.generator import synthetic_corpus
from tune_ner.errors import EncoderError, ModelError
from tune_ner.evaluation.span_metrics import exact_f1
from tune_ner.inference.predictor import Predictor
from tune_ner.tagging.probabilities import unpack
from tune_ner.training.baseline import BASELINE_FILE, BaselineModel, baseline_features, read_baseline, train_baseline
from tune_ner.training.encoders import encoder_size, load_tokenizer, resolve_encoder
from tune_ner.training.model_export import INFERENCE_CONFIG_FILE
from tune_ner.training.result import EpochMetrics, TrialResult
from tune_ner.training.training_text_hashes import HASHES_FILE
from tune_ner.training.trial import AnyModel, TrialOptions, run_trial

CORPUS = synthetic_corpus(300)
SPLIT = split_corpus(CORPUS, SplitSpec())
TRAIN, TEST = ([CORPUS.sentences[index] for index in SPLIT[name]] for name in ("train", "test"))
SCORED: tuple[SplitName, ...] = ("validation", "test")
EVERY_BASELINE = pytest.mark.parametrize("model", BASELINES)


def configuration(model: str, **changes: Any) -> TrialConfig:
    fields = {"model": model, "data_fingerprint": CORPUS.fingerprint, "word_tokenizer": "punctuation", **changes}
    return a_config(**fields)


def trained(model: str, options: TrialOptions | None = None, **changes: Any) -> TrialResult:
    return run_trial(configuration(model, **changes), resolve_encoder(model), CORPUS, SPLIT, options)


def a_model(model: str, **changes: Any) -> BaselineModel:
    config = configuration(model, **changes)
    return train_baseline(config, baseline_features(config, CORPUS, SPLIT))


def test_the_crf_is_that_of_the_audit() -> None:
    crf = learn_crf(TRAIN, CORPUS.entity_types, "punctuation")
    assert crf
    expected = exact_f1([s.spans for s in TEST], [crf.predict(s.text) for s in TEST])
    assert trained("baseline:crf").metrics["test"].spans.f1 == pytest.approx(expected)
    defaults = [HYPERPARAMETERS[name].field.default for name in ("crf_c1", "crf_c2")]
    assert defaults == [crf_baseline.C1, crf_baseline.C2]


def test_the_gazetteer_is_that_of_the_audit() -> None:
    gazetteer = learn_gazetteer(TRAIN)
    expected = exact_f1([s.spans for s in TEST], [gazetteer.predict(s.text) for s in TEST])
    assert trained("baseline:gazetteer").metrics["test"].spans.f1 == pytest.approx(expected)


@EVERY_BASELINE
def test_the_result_is_that_of_a_trial_with_one_epoch(model: str) -> None:
    epochs: list[EpochMetrics] = []
    models: list[AnyModel] = []
    options = TrialOptions(on_epoch=epochs.append, on_trained=lambda _, found: models.append(found))
    result = trained(model, options)
    assert list(result.epochs) == epochs
    assert len(epochs) == len(models) == result.best_epoch == 1
    assert result.epochs[0].validation_span_f1 == result.metrics["validation"].spans.f1 > 0.2
    assert 0 < result.epochs[0].validation_loss < math.log(7)
    assert result.test_loss is not None
    assert result.parameters > 10
    assert set(result.seconds) >= {"encode", "train", "evaluate"}
    for name in SCORED:
        found = unpack(result.probabilities, name, "BIO", result.labels)
        assert len(found.words.firsts) == len(SPLIT[name]) + 1
        assert found.values.sum(axis=1) == pytest.approx(np.ones(len(found.words)), abs=0.01)
    assert trained(model, TrialOptions(measure_test=False)).metrics.keys() == {"validation"}


@EVERY_BASELINE
def test_hyperparameters_without_an_effect_do_not_change_the_result(model: str) -> None:
    others = {
        name: value
        for name, value in OTHER.items()
        if name in HYPERPARAMETERS and not has_effect(name, model, "linear")
    }
    assert {"head", "decoding", "learning_rate", "subword_labels", "max_length", "stride"} <= set(others)
    expected = trained(model, seed=1)
    found = trained(model, seed=7, **others)
    assert found.metrics == expected.metrics
    assert found.predicted_spans == expected.predicted_spans
    if "tagging_scheme" not in others:  # on which the loss of a gazetteer depends, but not what it predicts
        assert found.epochs == expected.epochs
        assert found.probabilities == expected.probabilities


@EVERY_BASELINE
def test_hyperparameters_with_an_effect_change_the_result(model: str) -> None:
    first = trained(model).predicted_spans
    assert trained(model, train_fraction=0.3).predicted_spans != first
    assert trained(model, max_train_sentences=40).predicted_spans != first
    assert (trained(model, crf_c1=0.5).predicted_spans != first) == (model == "baseline:crf")


@pytest.mark.parametrize("scheme", ["BIO", "BIOES", "IO"])
def test_the_crf_learns_any_scheme(scheme: str) -> None:
    assert trained("baseline:crf", tagging_scheme=scheme).metrics["test"].spans.f1 > 0.5


@EVERY_BASELINE
def test_an_exported_baseline_predicts_what_was_measured(model: str, tmp_path: Path) -> None:
    models: list[AnyModel] = []
    result = trained(model, TrialOptions(on_trained=lambda _, found: models.append(found)), tagging_scheme="BIOES")
    models[0].save(tmp_path)
    predictor = Predictor.load(tmp_path)
    found = predictor.predict([sentence.text for sentence in TEST])
    spans = [tuple(Span(span.start, span.end, span.label) for span in spans) for spans in found]
    assert spans == list(result.predicted_spans["test"])
    assert all(0 < span.score <= 1 for spans in found for span in spans)
    assert predictor.training_text_hashes is not None
    assert TRAIN[0].text in predictor.training_text_hashes
    assert predictor.predict(["", "Ta medicin."])[0] == []


def test_the_shares_of_a_gazetteer_tell_how_often_it_is_right() -> None:
    model = a_model("baseline:gazetteer")
    probabilities, ids = model([Sentence("a", TRAIN[0].text), Sentence("b", "xyzzy")])
    assert probabilities.values[-1].argmax() == ids[-1] == 0
    entity = next(span for sentence in TRAIN for span in sentence.spans)
    certain = model([Sentence("c", next(s.text for s in TRAIN if entity in s.spans))])[0].values.max(axis=1)
    assert all(0.3 < share < 1 for share in certain)


@pytest.mark.parametrize(
    "content",
    [
        "{}",
        "[]",
        '{"format": 1, "kind": "crf", "model": ""}',
        '{"format": 2, "kind": "other"}',
        '{"format": 2, "kind": "crf", "labels": ["O"], "transitions": [[0]]}',
        '{"format": 2, "kind": "crf", "labels": ["O"], "transitions": [[0]], "features": {"a": [0, 1]}}',
        '{"format": 2, "kind": "crf", "labels": ["O"], "transitions": [[0]], "features": {"a": [1e999]}}',
        '{"format": 2, "kind": "crf", "labels": ["O", "O"], "transitions": [[0, 0], [0, 0]], "features": {}}',
        '{"format": 2, "kind": "crf", "labels": ["O"], "transitions": [[0, 1]], "features": {}}',
        '{"format": 2, "kind": "crf", "labels": ["B-OTHER"], "transitions": [[0]], "features": {}}',
        '{"format": 2, "kind": "crf", "labels": [], "transitions": [], "features": {}}',
        '{"format": 2, "kind": "gazetteer", "entities": [["a", "DRUG"]], "fold_case": true}',
    ],
)
def test_damaged_files_are_refused(content: str, tmp_path: Path) -> None:
    a_model("baseline:gazetteer").save(tmp_path)
    (tmp_path / BASELINE_FILE).write_text(content)
    with pytest.raises(ModelError, match="not a baseline that a run exported"):
        Predictor.load(tmp_path)


@pytest.fixture(scope="module", params=BASELINES)
def exported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("baseline")
    a_model(request.param).save(folder)
    return folder


@MANY
@given(damage=damages() | json_damages())
def test_a_damaged_file_is_refused_or_predicts(exported: Path, damage: Damage) -> None:
    content = (exported / BASELINE_FILE).read_bytes()
    with a_folder() as folder:
        shutil.copytree(exported, folder, dirs_exist_ok=True)
        (folder / BASELINE_FILE).write_bytes(damage(content))
        with suppress(ModelError):
            assert len(Predictor.load(folder).predict(["Ta Alvedon mot feber.", ""])) == 2


def test_entities_of_other_types_are_refused(tmp_path: Path) -> None:
    a_model("baseline:gazetteer").save(tmp_path)
    content = json.loads((tmp_path / BASELINE_FILE).read_text())
    content["entities"][0][-1] = "OTHER"
    (tmp_path / BASELINE_FILE).write_text(json.dumps(content))
    with pytest.raises(ModelError, match="are not of the entity types in tune_ner"):
        Predictor.load(tmp_path)
    (tmp_path / INFERENCE_CONFIG_FILE).unlink()
    with pytest.raises(ModelError, match=r"tune_ner\.json is missing"):
        Predictor.load(tmp_path)


def test_other_folders_are_no_baselines(tmp_path: Path) -> None:
    assert read_baseline(tmp_path) is None
    a_model("baseline:crf").save(tmp_path)
    (tmp_path / HASHES_FILE).unlink()
    found = read_baseline(tmp_path)
    assert found is not None
    assert found.training_text_hashes is None


def test_unknown_baselines_are_refused_and_none_has_a_tokenizer() -> None:
    with pytest.raises(EncoderError, match="unknown baseline; expected one of baseline:crf, baseline:gazetteer"):
        resolve_encoder("baseline:hmm")
    encoder = resolve_encoder("baseline:crf")
    assert encoder_size(encoder).parameters == 0
    with pytest.raises(EncoderError, match="has no tokenizer"):
        load_tokenizer(encoder, [])
