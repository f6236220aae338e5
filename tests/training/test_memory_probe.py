"""The memory of a trial, measured; what a GPU says stands in `test_gpu.py`."""

import pytest
import torch

from tests.factories import a_config
from tune_ner.data.splits import SplitSpec, split_corpus
from tune_ner.data.synthetic.generator import synthetic_corpus
from tune_ner.training import memory_probe as memory_module
from tune_ner.training.encoders import resolve_encoder
from tune_ner.training.features import trial_features
from tune_ner.training.memory_probe import training_memory

TINY = resolve_encoder("tiny:1x32")


@pytest.mark.skipif(torch.cuda.is_available(), reason="with a GPU there is something to measure")
@pytest.mark.parametrize("batching", ["padding_free", "padded"])
def test_the_longest_windows_are_trained_on_and_without_a_gpu_nothing_is_measured(
    monkeypatch: pytest.MonkeyPatch, batching: str
) -> None:
    corpus = synthetic_corpus(120)
    config = a_config(batch_size=4, batching=batching, trim_vocabulary=True)
    inputs = trial_features(config, TINY, corpus, split_corpus(corpus, SplitSpec()))
    sizes: list[int] = []
    step = memory_module._step

    def watched(model: object, optimiser: object, batch: dict[str, torch.Tensor], autocast: object) -> None:
        sizes.append(batch["input_ids"].numel())
        step(model, optimiser, batch, autocast)  # type: ignore[arg-type]

    monkeypatch.setattr(memory_module, "_step", watched)
    assert training_memory(config, TINY, inputs) == 0
    longest = sorted(inputs.windows["train"].lengths.tolist())[-4:]
    assert sizes == 2 * [sum(longest) if batching == "padding_free" else 4 * longest[-1]]
