"""Predictions of a split in sorted, large batches, compared with one window at a time and the HF Trainer's loss."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.training.padding_free.test_collator import model_of, pad_id, windows_of
from tune_ner.training.evaluation_loop import SplitOutput, logits_of, predict
from tune_ner.training.padding_free.collator import Batch, BucketCollator, Collator

LENGTHS = [7, 2, 31, 12, 12, 3]


@pytest.fixture(scope="module")
def model() -> Any:
    return model_of("bert").eval()


@pytest.mark.parametrize("padding_free", [True, False])
@pytest.mark.parametrize("tokens", [1, 40, 4096])
def test_output_of_a_window_does_not_depend_on_its_batch(model: Any, padding_free: bool, tokens: int) -> None:
    windows = windows_of(LENGTHS)
    collate = Collator(model, pad_id(model), padding_free=padding_free)
    found = predict(model, windows, collate, with_scores=True, tokens_per_batch=tokens)
    assert found.output.shape == (sum(LENGTHS), 5)
    plain = Collator(model, pad_id(model), padding_free=False)
    outputs = np.split(found.output, windows.starts[1:-1])
    for index, length in enumerate(LENGTHS):
        batch = plain(windows[index])
        with torch.no_grad():
            answer = model(**batch)
        labelled = range(1, length, 2)
        assert outputs[index][labelled] == pytest.approx(answer.logits[0, labelled].numpy(), abs=1e-5)
        assert not np.delete(outputs[index], labelled, axis=0).any()
        assert found.labelled[index] == len(labelled)
        assert found.losses[index] / len(labelled) == pytest.approx(answer.loss.item(), rel=1e-4)


@pytest.mark.parametrize("rows", [1, 4, 6, 32])
def test_bucketed_batches_have_the_same_output(model: Any, rows: int) -> None:
    windows = windows_of(LENGTHS)
    plain = predict(model, windows, Collator(model, pad_id(model), padding_free=False), with_scores=True)
    shapes = []

    def forward(batch: Batch) -> torch.Tensor:
        shapes.append(batch["input_ids"].shape)
        return logits_of(model, batch)

    collate = BucketCollator(model, pad_id(model), rows)
    bucketed = predict(model, windows, collate, with_scores=True, forward=forward)
    assert shapes == [(rows, 32)] * -(-len(LENGTHS) // rows)
    assert bucketed.output == pytest.approx(plain.output, abs=1e-5)
    assert bucketed.losses == pytest.approx(plain.losses, rel=1e-4)
    assert bucketed.labelled.tolist() == plain.labelled.tolist()


def test_labels_have_the_best_scores(model: Any) -> None:
    windows, collate = windows_of(LENGTHS), Collator(model, pad_id(model), padding_free=True)
    labels = predict(model, windows, collate).output
    scores = predict(model, windows, collate, with_scores=True).output
    assert labels.tolist() == scores.argmax(axis=-1).tolist()
    assert len(set(labels.tolist())) > 1


def test_dropout_is_off() -> None:
    model = model_of("bert").train()
    windows, collate = windows_of(LENGTHS), Collator(model, pad_id(model), padding_free=True)
    assert predict(model, windows, collate).losses.tolist() == predict(model, windows, collate).losses.tolist()


@given(st.lists(st.tuples(st.floats(0, 9), st.integers(0, 5)), min_size=1, max_size=20), st.integers(1, 7))
def test_loss_is_the_mean_over_windows_of_the_mean_of_their_batch(
    values: list[tuple[float, int]], batch_size: int
) -> None:
    losses = np.array([loss if labelled else 0.0 for loss, labelled in values])
    labelled = np.array([count for _, count in values])
    repeated = []
    for start in range(0, len(values), batch_size):
        labels = labelled[start : start + batch_size]
        mean = losses[start : start + batch_size].sum() / labels.sum() if labels.sum() else 0.0
        repeated += [mean] * len(labels)
    found = SplitOutput(np.zeros(1), losses, labelled).loss(batch_size)
    assert found == pytest.approx(np.mean(repeated))
