"""The optimizer of half-precision training, compared with torch's own."""

from copy import deepcopy
from typing import Any

import pytest
import torch
from torch.nn.functional import mse_loss

from tune_ner.training.half_precision import HalfPrecisionAdamW
from tune_ner.training.parameter_groups import ParameterGroup

BETAS = {"betas": (0.9, 0.99), "eps": 1e-8}


def a_model() -> torch.nn.Module:
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(5, 7), torch.nn.GELU(), torch.nn.LayerNorm(7), torch.nn.Linear(7, 3))


def batches(count: int, dtype: torch.dtype = torch.float32) -> list[tuple[torch.Tensor, torch.Tensor]]:
    random = torch.Generator().manual_seed(1)
    return [
        (torch.randn(11, 5, generator=random).to(dtype), torch.randn(11, 3, generator=random)) for _ in range(count)
    ]


def optimizer_of(
    model: torch.nn.Module, dtype: torch.dtype, lr: float = 0.01, other_lr: float | None = None, max_norm: float = 0.5
) -> HalfPrecisionAdamW:
    """An optimizer of the matrices, with weight decay, and of the other parameters."""
    trained = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    groups = [
        ParameterGroup({name: w for name, w in trained.items() if w.dim() == 2}, lr, 0.1),
        ParameterGroup({name: w for name, w in trained.items() if w.dim() == 1}, other_lr or lr, 0.0),
    ]
    return HalfPrecisionAdamW(model, dtype, groups, max_norm, lr=lr, **BETAS)


def train(model: Any, optimizer: HalfPrecisionAdamW, count: int, dtype: torch.dtype) -> None:
    for inputs, targets in batches(count, dtype):
        optimizer.backward(mse_loss(model(inputs).float(), targets))
        optimizer.step()


@pytest.mark.parametrize("parts", [1, 2])
def test_without_rounding_it_is_adamw_with_clipping(parts: int) -> None:
    """In fp32 the weights are those of torch's AdamW, with a schedule and with batches divided into parts."""
    expected, model = a_model(), a_model()
    groups = [
        {"params": [expected[0].weight, expected[3].weight], "weight_decay": 0.1},  # type: ignore[index]
        {"params": [w for w in expected.parameters() if w.dim() == 1], "weight_decay": 0.0},
    ]
    plain, ours = torch.optim.AdamW(groups, lr=0.01, **BETAS), optimizer_of(model, torch.float32)  # type: ignore[arg-type]
    schedules = [
        torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 / (1 + step)) for optimizer in (plain, ours)
    ]
    for inputs, targets in batches(20):
        for x, y in zip(inputs.chunk(parts), targets.chunk(parts), strict=True):
            loss: Any = mse_loss(expected(x), y, reduction="sum") / targets.numel()
            loss.backward()
            ours.backward(mse_loss(model(x), y, reduction="sum") / targets.numel())
        torch.nn.utils.clip_grad_norm_(expected.parameters(), 0.5)
        plain.step()
        plain.zero_grad()
        ours.read_schedule()
        ours.step()
        for schedule in schedules:
            schedule.step()
    for (name, weights), (_, same) in zip(expected.named_parameters(), model.named_parameters(), strict=True):
        torch.testing.assert_close(same, weights, atol=1e-6, rtol=0)
        torch.testing.assert_close(ours.weights[name], weights, atol=1e-6, rtol=0)


def test_groups_have_learning_rates_of_their_own_and_max_norm_0_does_not_clip() -> None:
    expected, model = a_model(), a_model()
    groups = [
        {"params": [w for w in expected.parameters() if w.dim() == 2], "weight_decay": 0.1, "lr": 0.01},
        {"params": [w for w in expected.parameters() if w.dim() == 1], "weight_decay": 0.0, "lr": 0.1},
    ]
    plain = torch.optim.AdamW(groups, lr=0.01, **BETAS)  # type: ignore[arg-type]
    ours = optimizer_of(model, torch.float32, other_lr=0.1, max_norm=0.0)
    for inputs, targets in batches(20):
        mse_loss(expected(inputs), targets).backward()  # type: ignore[no-untyped-call]
        plain.step()
        plain.zero_grad()
        ours.backward(mse_loss(model(inputs), targets))
        ours.step()
    for name, weights in expected.named_parameters():
        torch.testing.assert_close(ours.weights[name], weights, atol=1e-6, rtol=0)


def test_frozen_parameters_keep_their_fp32_weights() -> None:
    model: Any = a_model()
    model[0].requires_grad_(False)
    before = model[0].weight.detach().clone()
    optimizer = optimizer_of(model, torch.bfloat16)
    train(model, optimizer, 5, torch.bfloat16)
    assert torch.equal(optimizer.weights["0.weight"], before)
    assert torch.equal(model[0].weight, before.to(torch.bfloat16))
    assert not torch.equal(optimizer.weights["3.weight"], a_model().get_parameter("3.weight"))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_model_has_the_weights_of_the_optimizer_in_half_precision(dtype: torch.dtype) -> None:
    model = a_model()
    optimizer = optimizer_of(model, dtype)
    train(model, optimizer, 5, dtype)
    for name, weights in model.named_parameters():
        assert weights.dtype == dtype
        assert optimizer.weights[name].dtype == torch.float32
        torch.testing.assert_close(weights, optimizer.weights[name].to(dtype), atol=0, rtol=0)


def test_updates_below_the_resolution_of_half_precision_add_up() -> None:
    model = a_model()
    optimizer = optimizer_of(model, torch.bfloat16, lr=1e-5)
    before = {name: weights.clone() for name, weights in optimizer.weights.items()}
    train(model, optimizer, 50, torch.bfloat16)
    moved = (optimizer.weights["0.weight"] - before["0.weight"]).abs().max()
    assert 1e-4 < moved < 6e-4  # fifty steps of about 1e-5


def test_infinite_gradient_of_fp16_skips_the_step_and_halves_the_scale() -> None:
    model = a_model()
    optimizer = optimizer_of(model, torch.float16)
    train(model, optimizer, 3, torch.float16)
    before, state = {name: w.clone() for name, w in optimizer.weights.items()}, optimizer.scale_state
    moments = {name: value.clone() for name, value in optimizer.state[optimizer.param_groups[0]["params"][0]].items()}
    inputs, targets = batches(1, torch.float16)[0]
    optimizer.backward(mse_loss(model(inputs).float(), targets) * 1e8)
    optimizer.step()
    assert optimizer.scale_state == {"scale": state["scale"] / 2, "good_steps": 0}
    for name, weights in optimizer.weights.items():
        torch.testing.assert_close(weights, before[name], atol=0, rtol=0)
    for name, value in optimizer.state[optimizer.param_groups[0]["params"][0]].items():
        torch.testing.assert_close(value, moments[name], atol=0, rtol=0)
    optimizer.backward(mse_loss(model(inputs).float(), targets))
    optimizer.step()
    assert not torch.equal(optimizer.weights["0.weight"], before["0.weight"])
    assert optimizer.scale_state == {"scale": state["scale"] / 2, "good_steps": 1}


def test_scale_grows_after_two_thousand_good_steps() -> None:
    model = a_model()
    optimizer = optimizer_of(model, torch.float16)
    optimizer.load_scale_state({"scale": 8.0, "good_steps": 1998})
    train(model, optimizer, 3, torch.float16)
    assert optimizer.scale_state == {"scale": 16.0, "good_steps": 1}


def test_parameter_that_a_loss_does_not_depend_on_keeps_no_gradient_of_the_step_before() -> None:
    model: Any = a_model()
    optimizer = optimizer_of(model, torch.float32)
    ((inputs, targets),) = batches(1)
    optimizer.backward(mse_loss(model(inputs), targets))
    optimizer.step()
    optimizer.backward(model[0](inputs).sum())
    before = optimizer.weights["3.weight"].clone()
    moment = optimizer.state[optimizer.param_groups[0]["params"][0]]["exp_avg"].abs().sum().item()
    for _ in range(200):
        optimizer.backward(model[0](inputs).sum() * 0.0)
        optimizer.step()
    left = optimizer.state[optimizer.param_groups[0]["params"][0]]["exp_avg"].abs().sum().item()
    assert left < 1e-6 * moment  # nothing feeds the moments any more
    assert not torch.equal(optimizer.weights["3.weight"], before)  # they and the decay move it for a while


def test_step_without_gradients_does_nothing() -> None:
    model = a_model()
    optimizer = optimizer_of(model, torch.bfloat16)
    before = optimizer.weights["0.weight"].clone()
    optimizer.step()
    assert torch.equal(optimizer.weights["0.weight"], before)


def test_optimizer_resumes_from_its_state() -> None:
    model, resumed = a_model(), a_model()
    optimizer = optimizer_of(model, torch.bfloat16)
    train(model, optimizer, 5, torch.bfloat16)
    other = optimizer_of(resumed, torch.bfloat16)
    other.load_weights(optimizer.weights)
    other.load_state_dict(deepcopy(optimizer.state_dict()))
    for trained, its_optimizer in ((model, optimizer), (resumed, other)):
        train(trained, its_optimizer, 5, torch.bfloat16)
    for name, weights in optimizer.weights.items():
        torch.testing.assert_close(other.weights[name], weights, atol=0, rtol=0)
