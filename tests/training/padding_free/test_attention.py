"""The layout of padding-free batches: blocks of sentences of similar length."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tune_ner.training.padding_free.attention import BatchLayout

lengths_of_batches = st.lists(st.integers(2, 40), min_size=1, max_size=6)


@given(lengths=lengths_of_batches)
@settings(deadline=None)
def test_gather_is_the_inverse_of_scatter(lengths: list[int]) -> None:
    layout = BatchLayout.of(torch.tensor(lengths))
    states = torch.randn(1, 2, sum(lengths), 3)
    blocks = layout.scatter(states)
    assert sum(len(block) for block in blocks) == len(lengths)
    assert blocks[0].shape[1:] == (2, max(lengths), 3)
    assert torch.equal(layout.gather(blocks), states.transpose(1, 2))


@given(lengths=lengths_of_batches)
@settings(deadline=None)
def test_block_has_sentences_of_similar_length(lengths: list[int]) -> None:
    blocks = BatchLayout.of(torch.tensor(lengths)).blocks
    ordered, first = sorted(lengths, reverse=True), 0
    for block in blocks:
        members = ordered[first : first + block.sentences]
        assert block.longest == members[0]
        assert members[-1] >= 0.7 * members[0]
        assert (block.mask is None) == (len(set(members)) == 1)
        first += block.sentences
    assert first == len(lengths)
    assert len(BatchLayout.of(torch.tensor(lengths), similar=0).blocks) == 1


def test_gradients_of_scatter_and_gather_are_correct() -> None:
    layout = BatchLayout.of(torch.tensor([2, 3, 1]))
    states = torch.randn(1, 2, 6, 2, dtype=torch.double, requires_grad=True)
    weights = [torch.randn_like(block) for block in layout.scatter(states)]

    def weighted(states: torch.Tensor) -> torch.Tensor:
        return layout.gather([a * b for a, b in zip(layout.scatter(states), weights, strict=True)])

    assert len(weights) == 3
    assert torch.autograd.gradcheck(weighted, states)


def test_layout_moves_to_another_device() -> None:
    layout = BatchLayout.of(torch.tensor([5, 4]), labelled=torch.tensor([1])).to("meta", non_blocking=True)
    moved = [layout.offsets, layout.positions, layout.widths, layout.labelled, layout.blocks[0].mask]
    assert [tensor.device.type for tensor in moved if tensor is not None] == ["meta"] * 5
    assert layout.cells(2).device.type == "meta"
