"""The memory probe without a GPU; `test_gpu.py` tests it on one."""

from typing import Any

import pytest
import torch

from tests.factories import a_config
from tune_ner.data.splits import SplitSpec, split_corpus
from tune_ner.data.synthetic.generator import synthetic_corpus
from tune_ner.training import memory_probe as memory_module
from tune_ner.training.encoders import resolve_encoder
from tune_ner.training.features import trial_features
from tune_ner.training.memory_probe import training_memory
from tune_ner.training.padding_free.collator import bucket_length

TINY = resolve_encoder("tiny:1x32")


@pytest.mark.skipif(torch.cuda.is_available(), reason="measures with a GPU")
@pytest.mark.parametrize(
    ("batching", "precision"),
    [("padding_free", "fp32"), ("padded", "fp32"), ("padded", "bf16"), ("padding_free", "bf16")],
)
def test_probe_trains_on_the_longest_windows_and_returns_zero_without_a_gpu(
    monkeypatch: pytest.MonkeyPatch, batching: str, precision: str
) -> None:
    corpus = synthetic_corpus(120)
    config = a_config(batch_size=4, batching=batching, precision=precision, trim_vocabulary=True)
    features = trial_features(config, TINY, corpus, split_corpus(corpus, SplitSpec()))
    sizes: list[int] = []
    loss = memory_module._loss

    def watched(model: Any, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        sizes.append(batch["input_ids"].numel())
        return loss(model, batch)

    monkeypatch.setattr(memory_module, "_loss", watched)
    assert training_memory(config, TINY, features) == 0
    longest = sorted(features.windows["train"].lengths.tolist())[-4:]
    expected = {
        ("padding_free", "fp32"): sum(longest),
        ("padding_free", "bf16"): 4 * bucket_length(longest[-1]),
    }
    assert sizes == 2 * [expected.get((batching, precision), 4 * longest[-1])]
