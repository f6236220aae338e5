"""The layout of padding-free batches: blocks of sentences of similar length."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tune_ner.training.padding_free.attention import BatchLayout, Dropout, DropoutMasks, replace_dropout

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


@given(p=st.floats(0, 0.95), seed=st.integers(0, 2**32 - 1))
@settings(max_examples=30, deadline=None)
def test_share_p_is_dropped_and_the_mean_is_kept(p: float, seed: int) -> None:
    factors = DropoutMasks(seed).draw((200, 501), p)
    share = (factors == 0).double().mean().item()
    assert share == pytest.approx(p, abs=5 * (p * (1 - p) / factors.numel()) ** 0.5 + 1e-4)
    kept = factors[factors != 0]
    assert kept.min() == kept.max()
    assert kept[0].item() == pytest.approx(1 / (1 - p), rel=1e-3)


def test_adjacent_elements_are_dropped_independently() -> None:
    dropped = (DropoutMasks(1).draw((100_000, 4), 0.5) == 0).double()
    correlation = torch.corrcoef(dropped.T) - torch.eye(4)
    assert correlation.abs().max().item() < 0.02


def test_masks_depend_on_the_seed() -> None:
    one, same, other = DropoutMasks(5), DropoutMasks(5), DropoutMasks(6)
    first = one.draw((64,), 0.5)
    assert torch.equal(first, same.draw((64,), 0.5))
    assert not torch.equal(first, one.draw((64,), 0.5))
    assert not torch.equal(first, other.draw((64,), 0.5))


def test_random_state_of_torch_is_unchanged() -> None:
    before = torch.get_rng_state()
    Dropout(0.5, DropoutMasks(0))(torch.ones(100))
    assert torch.equal(torch.get_rng_state(), before)


def test_nothing_is_dropped_in_evaluation_or_with_p_of_zero() -> None:
    states = torch.randn(50)
    assert torch.equal(Dropout(0.5, DropoutMasks(0)).eval()(states), states)
    assert torch.equal(Dropout(0.0, DropoutMasks(0)).train()(states), states)


def test_gradient_is_the_mask_in_the_precision_of_the_states() -> None:
    states = torch.ones(1000, dtype=torch.bfloat16, requires_grad=True)
    out = Dropout(0.25, DropoutMasks(2))(states)
    out.sum().backward()
    assert out.dtype == torch.bfloat16
    assert states.grad is not None
    assert torch.equal(states.grad, out.detach())


def test_replacement_keeps_the_mode_and_dropout_of_one() -> None:
    model = torch.nn.Sequential(torch.nn.Dropout(0.1), torch.nn.Sequential(torch.nn.Dropout(1.0))).eval()
    replace_dropout(model, DropoutMasks(0))
    _, ours, _, whole = model.modules()
    assert isinstance(ours, Dropout)
    assert not ours.training
    assert type(whole) is torch.nn.Dropout
