"""Padding-free batches compared with padded ones: equal logits, losses and gradients for every architecture."""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from hypothesis import given, settings
from hypothesis import strategies as st

from tune_ner.training.dataset import Windows
from tune_ner.training.encoders import PADDING_FREE_ARCHITECTURES
from tune_ner.training.padding_free.attention import BatchLayout
from tune_ner.training.padding_free.collator import (
    BucketCollator,
    Collator,
    bucket_length,
    labelled_logits,
    model_inputs,
    padding_free_collator,
)

VOCABULARY, LABELS = 120, 5
SIZES: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "max_position_embeddings": 64,
    "num_labels": LABELS,
    "initializer_range": 0.2,
}
CONFIGS: dict[str, Any] = {
    "bert": transformers.BertConfig(**SIZES),
    "roberta": transformers.RobertaConfig(**SIZES, pad_token_id=1),
    "xlm-roberta": transformers.XLMRobertaConfig(**SIZES, pad_token_id=1),
    "camembert": transformers.CamembertConfig(**SIZES, pad_token_id=1),
    "electra": transformers.ElectraConfig(**SIZES, embedding_size=16),
    "distilbert": transformers.DistilBertConfig(
        vocab_size=VOCABULARY,
        dim=32,
        n_layers=2,
        n_heads=4,
        hidden_dim=64,
        max_position_embeddings=64,
        initializer_range=0.2,
        num_labels=LABELS,
    ),
}
lengths_of_batches = st.lists(st.integers(2, 40), min_size=1, max_size=6)


def model_of(architecture: str, *, dropout: bool = True) -> Any:
    torch.manual_seed(1)
    config = CONFIGS[architecture]
    model = transformers.AutoModelForTokenClassification.from_config(config)
    if not dropout:
        for layer in model.modules():
            if isinstance(layer, torch.nn.Dropout):
                layer.p = 0.0
    return model


def pad_id(model: Any) -> int:
    return model.config.pad_token_id or 0


def windows_of(lengths: Sequence[int], seed: int = 0) -> Windows:
    """Return windows of which every other subword has a label."""
    random = torch.Generator().manual_seed(seed)
    rows = []
    for length in lengths:
        labels = torch.randint(0, LABELS, (length,), generator=random)
        labels[::2] = -100
        ids = torch.randint(5, VOCABULARY, (length,), generator=random)
        rows.append((ids.tolist(), labels.tolist()))
    return Windows.of(rows)


def logits(model: Any, windows: Windows, *, padding_free: bool) -> torch.Tensor:
    batch = Collator(model, pad_id(model), padding_free=padding_free)(windows)
    labels = batch.pop("labels")
    with torch.no_grad():
        return labelled_logits(labels, model(**batch).logits)[1]


def bucketed_logits(model: Any, windows: Windows, rows: int) -> torch.Tensor:
    batch = BucketCollator(model, pad_id(model), rows)(windows)
    assert batch["input_ids"].shape == (rows, bucket_length(int(windows.lengths.max())))
    labels = batch.pop("labels")
    with torch.no_grad():
        return labelled_logits(labels, model(**model_inputs(batch)).logits)[1]


def test_every_supported_architecture_is_tested() -> None:
    assert set(CONFIGS) == PADDING_FREE_ARCHITECTURES


@pytest.mark.parametrize("architecture", sorted(PADDING_FREE_ARCHITECTURES))
@given(lengths=lengths_of_batches)
@settings(max_examples=12, deadline=None)
def test_logits_equal_those_of_padded_batches(architecture: str, lengths: list[int]) -> None:
    model = model_of(architecture).eval()
    rows = windows_of(lengths)
    padding_free = logits(model, rows, padding_free=True)
    assert padding_free.shape == (sum(length // 2 for length in lengths), LABELS)
    torch.testing.assert_close(padding_free, logits(model, rows, padding_free=False), atol=1e-5, rtol=0)


@pytest.mark.parametrize("architecture", sorted(PADDING_FREE_ARCHITECTURES))
@given(lengths=st.lists(st.integers(2, 62), min_size=1, max_size=6), missing=st.integers(0, 3))
@settings(max_examples=12, deadline=None)
def test_logits_of_bucketed_batches_equal_those_of_padded_ones(
    architecture: str, lengths: list[int], missing: int
) -> None:
    model = model_of(architecture).eval()
    windows = windows_of(lengths)
    bucketed = bucketed_logits(model, windows, len(lengths) + missing)
    torch.testing.assert_close(bucketed, logits(model, windows, padding_free=False), atol=1e-5, rtol=0)


@given(longest=st.integers(1, 4096))
def test_bucket_length_is_at_least_the_longest_and_has_few_values(longest: int) -> None:
    length = bucket_length(longest)
    assert longest <= length < max(longest + 32, 1.5 * longest + 1)
    assert bucket_length(length) == length


def test_bucketed_batches_have_few_shapes() -> None:
    assert len({bucket_length(longest) for longest in range(1, 513)}) == 8


@pytest.mark.parametrize("architecture", sorted(PADDING_FREE_ARCHITECTURES))
def test_sentence_does_not_attend_to_others(architecture: str) -> None:
    model = model_of(architecture).eval()
    windows = windows_of([20, 9, 3])
    alone = logits(model, windows.take([1]), padding_free=True)
    torch.testing.assert_close(logits(model, windows, padding_free=True)[10:14], alone)


@pytest.mark.parametrize("architecture", ["bert", "roberta", "distilbert"])
def test_losses_and_gradients_equal_those_of_padded_batches_over_twenty_steps(architecture: str) -> None:
    def losses_and_gradients(padding_free: bool) -> tuple[list[float], dict[str, torch.Tensor]]:
        model = model_of(architecture, dropout=False).train()
        collate = Collator(model, pad_id(model), padding_free=padding_free)
        optimiser = torch.optim.AdamW(model.parameters(), lr=1e-3)
        losses = []
        for step in range(20):
            optimiser.zero_grad()
            loss = model(**collate(windows_of([5, 31, 2, 17], seed=step))).loss
            loss.backward()
            optimiser.step()
            losses.append(loss.item())
        return losses, {name: weights.grad for name, weights in model.named_parameters() if weights.grad is not None}

    padded, padding_free = losses_and_gradients(padding_free=False), losses_and_gradients(padding_free=True)
    assert padding_free[0] == pytest.approx(padded[0], rel=1e-4)
    assert padded[0][-1] != pytest.approx(padded[0][0], rel=1e-3)
    assert set(padding_free[1]) == set(padded[1])
    for name, gradient in padded[1].items():
        torch.testing.assert_close(padding_free[1][name], gradient, atol=1e-5, rtol=1e-3)


@pytest.mark.parametrize("architecture", sorted(PADDING_FREE_ARCHITECTURES))
def test_only_labelled_tokens_are_computed_after_the_last_attention(architecture: str) -> None:
    model = model_of(architecture)
    batch = Collator(model, pad_id(model), padding_free=True)(windows_of([9, 6, 3]))
    assert model(**batch).logits.shape == (1, 4 + 3 + 1, LABELS)
    windows = windows_of([9, 6])
    unlabelled = Windows(windows.ids, np.full(15, -100), windows.starts)
    assert model(**Collator(model, pad_id(model), padding_free=True)(unlabelled)).logits.shape == (1, 15, LABELS)


def test_attention_with_dropout_has_the_mean_of_attention_without() -> None:
    model = model_of("bert").train()
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    model.bert.encoder.layer[1].attention.self.dropout.p = 0.3
    rows = windows_of([12, 11, 4])
    collate = Collator(model, 0, padding_free=True, seed=3)
    with torch.no_grad():
        drawn = torch.stack([model.bert(**_inputs(collate(rows))).last_hidden_state for _ in range(400)])
        model.eval()
        exact = model.bert(**_inputs(collate(rows))).last_hidden_state
    assert not torch.equal(drawn[0], drawn[1])
    # after a layer norm and a feed-forward layer, the means agree roughly
    assert (drawn.mean(0) - exact).abs().mean() < 0.1 * (drawn[0] - exact).abs().mean() + 0.02


def _inputs(batch: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in batch.items() if name != "labels"}


def test_computed_tokens_include_padding() -> None:
    model = model_of("bert")
    for padding_free, computed in ((True, 14), (False, 18)):
        collate = Collator(model, 0, padding_free=padding_free)
        collate(windows_of([5, 2]))
        collate(windows_of([4, 3]))
        assert collate.computed_tokens == computed


def test_unsupported_architecture_gets_padded_batches() -> None:
    model = transformers.MPNetForTokenClassification(transformers.MPNetConfig(**SIZES))
    collate, reason = padding_free_collator(model, 1, windows_of([4, 6]))
    assert not collate.padding_free
    assert "mpnet" in reason


def test_different_logits_lead_to_padded_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    # sentences that attend to each other, as if the encoder ignored the layout
    layout = BatchLayout.of
    monkeypatch.setattr(BatchLayout, "of", lambda lengths, *more: layout(lengths.sum().unsqueeze(0), *more))
    model = model_of("bert")
    collate, reason = padding_free_collator(model, 0, windows_of([4, 6]))
    assert not collate.padding_free
    assert re.search(r"logits differ .* by 0\.", reason)
    assert model.config._attn_implementation == "sdpa"
    assert model.training


def test_batch_without_its_layout_is_an_error() -> None:
    model = model_of("bert")
    batch = Collator(model, 0, padding_free=True)(windows_of([3]))
    del batch["layout"]
    with pytest.raises(ValueError, match="layout"):
        model(**batch)
