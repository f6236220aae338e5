"""Export of a trained model as a folder that transformers can load."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import load_file

from tests.factories import a_config
from tests.model_folders import TYPES, a_model_folder, an_untrained_model
from tune_ner.config.trial_config import TrialConfig
from tune_ner.data.splits import SplitSpec, split_corpus
from tune_ner.data.synthetic.generator import synthetic_corpus
from tune_ner.errors import ModelError
from tune_ner.inference.predictor import Predictor
from tune_ner.tagging.schemes import SCHEMES
from tune_ner.training.encoders import Encoder, load_model, load_tokenizer, resolve_encoder
from tune_ner.training.model_export import INFERENCE_CONFIG_FILE, InferenceConfig, TrainedModel
from tune_ner.training.padding_free.vocabulary_trimming import Vocabulary
from tune_ner.training.result import TrialResult
from tune_ner.training.training_text_hashes import HASHES_FILE
from tune_ner.training.trial import AnyModel, TrialOptions, run_trial

CORPUS = synthetic_corpus(300)
SPLIT = split_corpus(CORPUS, SplitSpec())
slow = pytest.mark.slow


def trained(config: TrialConfig, encoder: Encoder, folder: Path) -> TrialResult:
    options = TrialOptions(threads=1, on_trained=lambda _, model: model.save(folder))
    return run_trial(config, encoder, CORPUS, SPLIT, options)


def a_large_encoder(folder: Path) -> Encoder:
    """Save an encoder whose vocabulary is larger than that of the corpus."""
    tiny = resolve_encoder("tiny:1x32")
    tokenizer = load_tokenizer(tiny, [sentence.text for sentence in synthetic_corpus(3000, seed=9).sentences])
    tokenizer.save_pretrained(folder)
    load_model(tiny, ["O", "B-X"], tokenizer, seed=3).base_model.save_pretrained(folder)
    return resolve_encoder(str(folder))


@slow
@pytest.mark.parametrize(
    "changes",
    [
        {"batching": "padding_free", "trim_vocabulary": True},
        {"tagging_scheme": "BIOES", "subword_labels": "all", "decoding": "viterbi", "max_length": 12, "stride": 4},
        {"word_tokenizer": "whitespace", "dropout": 0.2},
        {"lora_rank": 4, "lora_targets": "all-linear", "batching": "padding_free", "trim_vocabulary": True},
        {"tagging_scheme": "BIOES", "head": "crf", "batching": "padding_free", "max_length": 12, "stride": 4},
    ],
    ids=str,
)
def test_exported_model_predicts_the_spans_of_its_trial_on_test(tmp_path: Path, changes: dict[str, Any]) -> None:
    fields: dict[str, Any] = {"learning_rate": 8e-3, "epochs": 4, "word_tokenizer": "punctuation", **changes}
    config = a_config(**fields)
    result = trained(config, resolve_encoder(config.model), tmp_path / "best")
    found = Predictor.load(tmp_path / "best").predict([CORPUS.sentences[index].text for index in SPLIT.test])
    assert result.metrics["test"].seqeval.f1 > 0.1
    assert tuple(tuple(span.span for span in spans) for spans in found) == result.predicted_spans["test"]


@slow
def test_trimmed_model_is_exported_with_its_complete_vocabulary_and_the_same_logits(tmp_path: Path) -> None:
    encoder = a_large_encoder(tmp_path / "encoder")
    models: list[AnyModel] = []
    config = a_config(model=encoder.name, learning_rate=5e-3, epochs=2, batching="padding_free", trim_vocabulary=True)
    run_trial(config, encoder, CORPUS, SPLIT, TrialOptions(threads=1, on_trained=lambda _, model: models.append(model)))
    (trained_model,) = models
    assert isinstance(trained_model, TrainedModel)
    trained_model.save(tmp_path / "best")
    vocabulary = trained_model.vocabulary
    exported = transformers.AutoModelForTokenClassification.from_pretrained(tmp_path / "best").eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "best")
    assert vocabulary
    trimmed = load_model(encoder, trained_model.labels, tokenizer, config.seed).eval()
    vocabulary.trim(trimmed)
    trimmed.load_state_dict(trained_model.weights)
    trimmed.set_attn_implementation("sdpa")
    for index in (*SPLIT.train[:10], *SPLIT.test):
        ids = np.array(tokenizer(CORPUS.sentences[index].text.split(), is_split_into_words=True)["input_ids"])
        with torch.no_grad():
            complete = exported(torch.from_numpy(ids[None])).logits
            renumbered = trimmed(torch.from_numpy(vocabulary.renumbered(ids)[None])).logits
        assert torch.equal(complete, renumbered)
    pretrained = load_file(tmp_path / "encoder" / "model.safetensors")["embeddings.word_embeddings.weight"]
    table = exported.get_input_embeddings().weight
    unseen = np.setdiff1d(np.arange(len(pretrained)), vocabulary.ids)
    assert len(table) == len(tokenizer) == len(pretrained)
    assert len(unseen) > 50
    assert torch.equal(table[unseen], pretrained[unseen])
    assert not torch.equal(table[vocabulary.ids], pretrained[vocabulary.ids])


def test_restored_embeddings_replace_those_of_the_vocabulary() -> None:
    whole, trimmed = torch.zeros(5, 2), torch.ones(2, 2)
    restored = Vocabulary(np.array([1, 3])).restored(trimmed, whole)
    assert restored.sum(dim=1).tolist() == [0, 2, 0, 2, 0]
    assert not whole.any()


def test_folder_has_fp32_weights_and_named_labels(tmp_path: Path) -> None:
    folder = a_model_folder(tmp_path / "best", tagging_scheme="BIOES")
    names = {file.name for file in folder.iterdir()}
    assert names == {
        "config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
        INFERENCE_CONFIG_FILE,
        HASHES_FILE,
    }
    config = json.loads((folder / "config.json").read_text())
    labels = SCHEMES["BIOES"].labels(TYPES)
    assert [config["id2label"][str(index)] for index in range(len(labels))] == list(labels)
    assert config["architectures"] == ["BertForTokenClassification"]
    assert {value.dtype for value in load_file(folder / "model.safetensors").values()} == {torch.float32}


def test_inference_config_is_read_as_written(tmp_path: Path) -> None:
    config = a_config(word_tokenizer="punctuation", stride=8, decoding="viterbi", subword_labels="all", max_length=64)
    settings = InferenceConfig.of(config, TYPES)
    settings.write(tmp_path)
    assert InferenceConfig.read(tmp_path) == settings
    assert (settings.trial_id, settings.word_tokenizer, settings.stride) == (config.trial_id, "punctuation", 8)
    assert InferenceConfig.read(tmp_path / "elsewhere") is None


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"format": 99}, "format:"),
        (
            {"word_tokenizer": "letters"},
            "word_tokenizer: Input should be 'whitespace', 'punctuation', 'character' or 'subword'",
        ),
        ({"stride": 300}, "stride 300 with max_length 256: expected a smaller stride"),
        ({"entity_types": []}, "entity_types"),
    ],
)
def test_invalid_inference_config_is_reported_with_file_and_key(
    tmp_path: Path, change: dict[str, Any], expected: str
) -> None:
    InferenceConfig.of(a_config(), TYPES).write(tmp_path)
    file = tmp_path / INFERENCE_CONFIG_FILE
    file.write_text(json.dumps({**json.loads(file.read_text()), **change}))
    with pytest.raises(ModelError, match=INFERENCE_CONFIG_FILE) as error:
        InferenceConfig.read(tmp_path)
    assert expected in str(error.value)
    file.write_text("{")
    with pytest.raises(ModelError, match="Invalid JSON"):
        InferenceConfig.read(tmp_path)


_PLAIN = """
import sys
sys.modules["tune_ner"] = None  # importing it raises ModuleNotFoundError
import transformers
pipe = transformers.pipeline("token-classification", {folder!r}, aggregation_strategy="simple")
print([(group["entity_group"], int(group["start"]), int(group["end"])) for group in pipe({text!r})])
"""


@slow
def test_transformers_load_the_model_without_this_package(tmp_path: Path) -> None:
    text = "Ta Alvedon mot feber och huvudvärk."
    folder = a_model_folder(tmp_path / "best")
    script = _PLAIN.format(folder=str(folder), text=text)
    outcome = subprocess.run(
        [sys.executable, "-I", "-c", script], capture_output=True, text=True, timeout=600, cwd=tmp_path
    )
    assert outcome.returncode == 0, outcome.stderr
    groups = json.loads(outcome.stdout.replace("(", "[").replace(")", "]").replace("'", '"'))
    found = Predictor.load(folder).predict([text])[0]
    # the pipeline predicts every subword of a word, `Predictor` the first
    assert {(span.label, span.start) for span in found} <= {(label, start) for label, start, _ in groups}
    assert found


def test_weights_are_exported_unchanged(tmp_path: Path) -> None:
    model = an_untrained_model()
    model.save(tmp_path)
    saved = load_file(tmp_path / "model.safetensors")
    assert saved.keys() == model.weights.keys()
    assert all(torch.equal(saved[name], value) for name, value in model.weights.items())
