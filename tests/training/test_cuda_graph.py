"""Steps captured as CUDA graphs, compared with the same steps run kernel by kernel; skipped without a GPU."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.training.test_checkpoints import configuration, interrupt, run
from tune_ner.training import trainer, trial
from tune_ner.training.checkpoints import TrialCheckpoint
from tune_ner.training.cuda_graph import GraphedStep
from tune_ner.training.result import TrialResult

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA GPU on this machine"),
]


def trained(monkeypatch: pytest.MonkeyPatch, *, graphed: bool, **changes: Any) -> TrialResult:
    if not graphed:
        monkeypatch.setattr(trainer, "GraphedStep", lambda step: step)
        monkeypatch.setattr(trial, "GraphedStep", lambda step: step)
    result = run(configuration(**{"precision": "auto", "batching": "padding_free", "epochs": 4, **changes}))
    monkeypatch.undo()
    return result


@pytest.mark.parametrize("precision", ["fp16", "bf16"])
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"label_smoothing": 0.1, "trim_vocabulary": True},
        {"head": "crf"},
        {"class_weights": "sqrt", "focal_gamma": 2.0, "max_grad_norm": 0.0},
        {"frozen_layers": 1, "head_learning_rate": 1e-2},
    ],
)
def test_graphed_steps_have_the_losses_of_eager_ones(
    monkeypatch: pytest.MonkeyPatch, precision: str, changes: dict[str, Any]
) -> None:
    both = [
        trained(monkeypatch, graphed=graphed, precision=precision, dropout=0.0, **changes) for graphed in (True, False)
    ]
    graphed, eager = both
    assert graphed.batching_used == eager.batching_used == "cuda_graph"
    assert graphed.train_loss == pytest.approx(eager.train_loss, rel=2e-3)
    for ours, theirs in zip(graphed.epochs, eager.epochs, strict=True):
        assert ours.validation_loss == pytest.approx(theirs.validation_loss, rel=0.02)


def test_graphed_steps_learn_as_padded_batches_in_fp32_do(monkeypatch: pytest.MonkeyPatch) -> None:
    graphed = trained(monkeypatch, graphed=True, dropout=0.0)
    plain = trained(monkeypatch, graphed=True, dropout=0.0, batching="padded", precision="fp32")
    assert (graphed.batching_used, plain.batching_used) == ("cuda_graph", "padded")
    assert graphed.train_loss == pytest.approx(plain.train_loss, rel=0.01)
    assert graphed.metrics["test"].spans.f1 == pytest.approx(plain.metrics["test"].spans.f1, abs=0.05)


@pytest.mark.parametrize("decoding", ["argmax", "viterbi"])
def test_graphed_evaluation_finds_the_spans_of_an_eager_one(monkeypatch: pytest.MonkeyPatch, decoding: str) -> None:
    graphed = trained(monkeypatch, graphed=True, dropout=0.0, decoding=decoding)
    monkeypatch.setattr(trial, "GraphedStep", lambda step: step)
    eager = trained(monkeypatch, graphed=True, dropout=0.0, decoding=decoding)
    assert [epoch.validation_loss for epoch in graphed.epochs] == pytest.approx(
        [epoch.validation_loss for epoch in eager.epochs], rel=2e-3
    )
    assert graphed.predicted_spans["test"] == eager.predicted_spans["test"]


def test_each_replay_draws_another_dropout() -> None:
    states = torch.ones(1000, device="cuda")

    def dropped(batch: dict[str, torch.Tensor]) -> torch.Tensor:
        return torch.nn.functional.dropout(batch["states"], 0.5).clone()

    step = GraphedStep(dropped)
    drawn = [step({"states": states}) for _ in range(5)]
    assert len({tuple(values.tolist()) for values in drawn}) == 5


def test_each_shape_has_its_graph_and_reads_its_batch() -> None:
    total = torch.zeros((), device="cuda")

    def add(batch: dict[str, torch.Tensor]) -> torch.Tensor:
        total.add_(batch["values"].sum())
        return batch["values"].max()

    step = GraphedStep(add)
    expected = 0.0
    for number in range(12):
        values = torch.full((2 + number % 3,), float(number), device="cuda")
        assert step({"values": values}).item() == number
        expected += float(values.sum())
    assert total.item() == expected


def test_resumed_trial_equals_an_uninterrupted_one(tmp_path: Path) -> None:
    config, file = (
        configuration(precision="auto", batching="padding_free"),
        tmp_path / "checkpoints" / "trial.safetensors",
    )
    complete = run(config)
    assert complete.batching_used == "cuda_graph"
    interrupt(config, file, 3)
    resumed = run(config, TrialCheckpoint(file, config.trial_id, 1))
    losses, others = ([epoch.validation_loss for epoch in result.epochs] for result in (complete, resumed))
    np.testing.assert_allclose(losses, others, rtol=0.02)
