"""Packed batches against padded ones: the same logits, losses and gradients for every architecture."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from hypothesis import given, settings
from hypothesis import strategies as st

from tune_ner.training.dataset import Windows
from tune_ner.training.encoders import PACKABLE
from tune_ner.training.padding_free.collator import Collator, Packing, collator_for, labelled_logits

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
    "distilbert": transformers.DistilBertConfig(  # type: ignore[call-arg]
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
    model = transformers.AutoModelForTokenClassification.from_config(config)  # type: ignore[no-untyped-call]
    if not dropout:
        for layer in model.modules():
            if isinstance(layer, torch.nn.Dropout):
                layer.p = 0.0
    return model


def pad_id(model: Any) -> int:
    return model.config.pad_token_id or 0


def windows_of(lengths: Sequence[int], seed: int = 0) -> Windows:
    """Windows of which every other subword has a label."""
    random = torch.Generator().manual_seed(seed)
    rows = []
    for length in lengths:
        labels = torch.randint(0, LABELS, (length,), generator=random)
        labels[::2] = -100
        ids = torch.randint(5, VOCABULARY, (length,), generator=random)
        rows.append((ids.tolist(), labels.tolist()))
    return Windows.of(rows)


def logits(model: Any, windows: Windows, *, packed: bool) -> torch.Tensor:
    batch = Collator(model, pad_id(model), packed=packed)(windows)
    labels = batch.pop("labels")
    with torch.no_grad():
        return labelled_logits(labels, model(**batch).logits)[1]


def test_every_packable_architecture_is_tried_here() -> None:
    assert set(CONFIGS) == PACKABLE


@pytest.mark.parametrize("architecture", sorted(PACKABLE))
@given(lengths=lengths_of_batches)
@settings(max_examples=12, deadline=None)
def test_packed_logits_are_the_padded_ones(architecture: str, lengths: list[int]) -> None:
    model = model_of(architecture).eval()
    rows = windows_of(lengths)
    packed = logits(model, rows, packed=True)
    assert packed.shape == (sum(length // 2 for length in lengths), LABELS)
    torch.testing.assert_close(packed, logits(model, rows, packed=False), atol=1e-5, rtol=0)


@pytest.mark.parametrize("architecture", sorted(PACKABLE))
def test_a_sentence_does_not_see_its_neighbours(architecture: str) -> None:
    model = model_of(architecture).eval()
    windows = windows_of([20, 9, 3])
    alone = logits(model, windows.take([1]), packed=True)
    torch.testing.assert_close(logits(model, windows, packed=True)[10:14], alone)


@pytest.mark.parametrize("architecture", ["bert", "roberta", "distilbert"])
def test_losses_and_gradients_stay_those_of_padded_batches_over_twenty_steps(architecture: str) -> None:
    def losses_and_gradients(packed: bool) -> tuple[list[float], dict[str, torch.Tensor]]:
        model = model_of(architecture, dropout=False).train()
        collate = Collator(model, pad_id(model), packed=packed)
        optimiser = torch.optim.AdamW(model.parameters(), lr=1e-3)
        losses = []
        for step in range(20):
            optimiser.zero_grad()
            loss = model(**collate(windows_of([5, 31, 2, 17], seed=step))).loss
            loss.backward()
            optimiser.step()
            losses.append(loss.item())
        return losses, {name: weights.grad for name, weights in model.named_parameters() if weights.grad is not None}

    padded, packed = losses_and_gradients(packed=False), losses_and_gradients(packed=True)
    assert packed[0] == pytest.approx(padded[0], rel=1e-4)
    assert padded[0][-1] != pytest.approx(padded[0][0], rel=1e-3)
    assert set(packed[1]) == set(padded[1])
    for name, gradient in padded[1].items():
        torch.testing.assert_close(packed[1][name], gradient, atol=1e-5, rtol=1e-3)


@given(lengths=lengths_of_batches)
@settings(deadline=None)
def test_spreading_and_gathering_undo_each_other(lengths: list[int]) -> None:
    packing = Packing.of(torch.tensor(lengths))
    states = torch.randn(1, 2, sum(lengths), 3)
    blocks = packing.spread(states)
    assert sum(len(block) for block in blocks) == len(lengths)
    assert blocks[0].shape[1:] == (2, max(lengths), 3)
    assert torch.equal(packing.gather(blocks), states.transpose(1, 2))


@given(lengths=lengths_of_batches)
@settings(deadline=None)
def test_a_block_has_sentences_of_similar_length(lengths: list[int]) -> None:
    blocks = Packing.of(torch.tensor(lengths)).blocks
    ordered, first = sorted(lengths, reverse=True), 0
    for block in blocks:
        members = ordered[first : first + block.sentences]
        assert block.longest == members[0]
        assert members[-1] >= 0.7 * members[0]
        assert (block.mask is None) == (len(set(members)) == 1)
        first += block.sentences
    assert first == len(lengths)
    assert len(Packing.of(torch.tensor(lengths), similar=0).blocks) == 1


def test_gradients_of_spreading_and_gathering_are_right() -> None:
    packing = Packing.of(torch.tensor([2, 3, 1]))
    states = torch.randn(1, 2, 6, 2, dtype=torch.double, requires_grad=True)
    weights = [torch.randn_like(block) for block in packing.spread(states)]

    def weighted(states: torch.Tensor) -> torch.Tensor:
        return packing.gather([a * b for a, b in zip(packing.spread(states), weights, strict=True)])

    assert len(weights) == 3
    assert torch.autograd.gradcheck(weighted, states)


@pytest.mark.parametrize("architecture", sorted(PACKABLE))
def test_behind_the_last_attention_only_labelled_tokens_are_computed(architecture: str) -> None:
    model = model_of(architecture)
    batch = Collator(model, pad_id(model), packed=True)(windows_of([9, 6, 3]))
    assert model(**batch).logits.shape == (1, 4 + 3 + 1, LABELS)
    windows = windows_of([9, 6])
    unlabelled = Windows(windows.ids, np.full(15, -100), windows.starts)
    assert model(**Collator(model, pad_id(model), packed=True)(unlabelled)).logits.shape == (1, 15, LABELS)


def test_attention_with_dropout_is_on_average_that_without() -> None:
    model = model_of("bert").train()
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    model.bert.encoder.layer[1].attention.self.dropout.p = 0.3
    rows = windows_of([12, 11, 4])
    collate = Collator(model, 0, packed=True, seed=3)
    with torch.no_grad():
        drawn = torch.stack([model.bert(**_inputs(collate(rows))).last_hidden_state for _ in range(400)])
        model.eval()
        exact = model.bert(**_inputs(collate(rows))).last_hidden_state
    assert not torch.equal(drawn[0], drawn[1])
    # a layer norm and a feed-forward layer lie behind it, so that means agree roughly only
    assert (drawn.mean(0) - exact).abs().mean() < 0.1 * (drawn[0] - exact).abs().mean() + 0.02


def _inputs(batch: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in batch.items() if name != "labels"}


def test_batches_are_counted_with_their_padding() -> None:
    model = model_of("bert")
    for packed, computed in ((True, 14), (False, 18)):
        collate = Collator(model, 0, packed=packed)
        collate(windows_of([5, 2]))
        collate(windows_of([4, 3]))
        assert collate.computed_tokens == computed


def test_an_architecture_that_was_not_tried_is_padded_and_says_so() -> None:
    model = transformers.MPNetForTokenClassification(transformers.MPNetConfig(**SIZES))
    collate, why = collator_for(model, 1, packed=True, sample=windows_of([4, 6]))
    assert not collate.packed
    assert why == "packed batches are not made for the architecture 'mpnet'; batches were padded"


def test_packed_logits_that_differ_are_not_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    # sentences that see each other, as they would if the encoder left the packing unread
    whole = Packing.of
    monkeypatch.setattr(Packing, "of", lambda lengths, *more: whole(lengths.sum().unsqueeze(0), *more))
    model = model_of("bert")
    collate, why = collator_for(model, 0, packed=True, sample=windows_of([4, 6]))
    assert not collate.packed
    assert why.startswith("packed logits differ from padded ones by 0.")
    assert model.config._attn_implementation == "sdpa"
    assert model.training


def test_a_packed_batch_without_its_packing_is_refused() -> None:
    model = model_of("bert")
    batch = Collator(model, 0, packed=True)(windows_of([3]))
    del batch["packing"]
    with pytest.raises(ValueError, match="packed batch without its packing"):
        model(**batch)


def test_a_packing_moves_with_its_batch() -> None:
    packing = Packing.of(torch.tensor([5, 4]), labelled=torch.tensor([1])).to("meta", non_blocking=True)
    moved = [packing.starts, packing.places, packing.widths, packing.labelled, packing.blocks[0].mask]
    assert [tensor.device.type for tensor in moved if tensor is not None] == ["meta"] * 5
    assert packing.cells(2).device.type == "meta"
