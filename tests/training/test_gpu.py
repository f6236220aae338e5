"""Training on a GPU; skipped without one."""

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from tests.factories import a_config
from tune_ner.data.splits import SplitSpec, split_corpus
from tune_ner.data.synthetic.generator import synthetic_corpus
from tune_ner.training import trial as trial_module
from tune_ner.training.encoders import Encoder, load_model, load_tokenizer, resolve_encoder
from tune_ner.training.features import trial_features
from tune_ner.training.memory_probe import training_memory
from tune_ner.training.profiling import free_gpu_memory
from tune_ner.training.trial import run_trial

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA GPU on this machine"),
]


@pytest.fixture(scope="module")
def bert_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Save an encoder of BERT-base's size with random weights."""
    folder = tmp_path_factory.mktemp("bert-base")
    texts = [sentence.text for sentence in synthetic_corpus(500).sentences]
    tokenizer = load_tokenizer(Encoder("tiny:1x32", "tiny", "1x32", "", ""), texts)
    tokenizer.save_pretrained(folder)
    transformers.set_seed(0)
    transformers.BertModel(transformers.BertConfig(vocab_size=50_000)).save_pretrained(folder)
    return folder


@pytest.mark.parametrize(("requested", "dtype"), [("auto", torch.float16), ("bf16", torch.bfloat16)])
def test_half_precision_is_used(
    bert_base: Path, monkeypatch: pytest.MonkeyPatch, requested: str, dtype: torch.dtype
) -> None:
    seen: set[torch.dtype] = set()

    def watched(*arguments: Any) -> Any:
        model = load_model(*arguments)
        layer = model.bert.encoder.layer[0].attention.self.query
        layer.register_forward_hook(lambda _module, _inputs, output: seen.add(output.dtype))
        return model

    monkeypatch.setattr(trial_module, "load_model", watched)
    corpus = synthetic_corpus(120)
    encoder = resolve_encoder(str(bert_base))
    config = a_config(model=str(bert_base), epochs=1, learning_rate=2e-5, precision=requested)
    result = run_trial(config, encoder, corpus, split_corpus(corpus, SplitSpec()))
    assert seen == {dtype}
    assert result.precision_used == {"auto": "fp16", "bf16": "bf16"}[requested]
    assert result.device != "cpu"


@pytest.mark.parametrize("batching", ["padded", "padding_free"])
def test_probe_measures_about_the_memory_of_the_trial(bert_base: Path, batching: str) -> None:
    corpus = synthetic_corpus(400)
    encoder, split = resolve_encoder(str(bert_base)), split_corpus(corpus, SplitSpec())
    config = a_config(
        model=str(bert_base), epochs=1, learning_rate=2e-5, precision="auto", batch_size=16, batching=batching
    )
    measured = training_memory(config, encoder, trial_features(config, encoder, corpus, split))
    free_gpu_memory()
    torch.cuda.reset_peak_memory_stats()
    run_trial(config, encoder, corpus, split)
    assert measured == pytest.approx(torch.cuda.max_memory_reserved(), rel=0.25)


def test_trials_of_bert_base_share_a_gpu(bert_base: Path, tmp_path: Path) -> None:
    pytest.importorskip("ray")
    from tune_ner.config.loading import parse_space
    from tune_ner.results.run_dir import RunDir
    from tune_ner.tuning.experiment import prepare
    from tune_ner.tuning.options import RunOptions
    from tune_ner.tuning.tuner import plan, run_experiment

    content = {
        "data": "synthetic:200",
        "model": str(bert_base),
        "learning_rate": [1e-5, 2e-5],
        "tagging_scheme": ["BIO", "BIOES"],
        "epochs": 1,
    }
    experiment = prepare(parse_space(content, "test"))
    chosen = plan(experiment, RunOptions(), len(experiment.trials))
    assert 0 < chosen.gpus < 1
    assert chosen.concurrent > 1
    records = run_experiment(experiment, RunDir.new(tmp_path, "run"))
    assert [record.status for record in records] == ["completed"] * 4
    assert {record.result.precision_used for record in records if record.result} == {"fp16"}
