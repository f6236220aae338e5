"""Training in fp16 or bf16 with fp32 weights in the optimizer.

The model computes with half-precision weights, which are cast from those of the optimizer once per step. Autocast
casts every weight in every forward pass, and every gradient in every backward pass.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from tune_ner.training.checkpoints import Tensors
from tune_ner.training.parameter_groups import ParameterGroup

_ALIGNMENT = 64  # elements; matrix products are slower with weights at odd addresses
_FIRST_SCALE = 2.0**12
_GROWTH_INTERVAL = 2000


def _aligned_size(parameter: torch.Tensor) -> int:
    return -(-parameter.numel() // _ALIGNMENT) * _ALIGNMENT


class _Group:
    """Parameters with one learning rate and weight decay.

    Their fp32 weights and the half-precision copies are in one flat tensor each.
    """

    def __init__(self, parameters: Mapping[str, torch.nn.Parameter], dtype: torch.dtype) -> None:
        self.parameters = dict(parameters)
        size = sum(map(_aligned_size, self.parameters.values()))
        device = next(iter(self.parameters.values())).device
        self.weights = torch.nn.Parameter(torch.zeros(size, device=device))
        self.gradient = self.weights.grad = torch.zeros_like(self.weights)
        self._half = torch.zeros(size, device=device, dtype=dtype)
        with torch.no_grad():
            for view, parameter in zip(self.views(self.weights), self.parameters.values(), strict=True):
                view.copy_(parameter)
            for view, parameter in zip(self.views(self._half), self.parameters.values(), strict=True):
                parameter.data = view
        self.cast()

    def views(self, flat: torch.Tensor) -> list[torch.Tensor]:
        """Return the part of a flat tensor that belongs to each parameter, in the parameter's shape."""
        found, start = [], 0
        for parameter in self.parameters.values():
            found.append(flat[start : start + parameter.numel()].view(parameter.shape))
            start += _aligned_size(parameter)
        return found

    def named(self) -> Tensors:
        """Return the fp32 weights of each parameter, as views."""
        return dict(zip(self.parameters, self.views(self.weights.detach()), strict=True))

    def cast(self) -> None:
        """Cast the weights into the model."""
        self._half.copy_(self.weights.detach())


class HalfPrecisionAdamW(torch.optim.AdamW):
    """AdamW for a model whose parameters are in half precision, with gradient clipping and fp16's loss scaling.

    A step never waits for the device, so it can be part of a CUDA graph.

    Args:
        model: the model, with fp32 weights, on its device. Its parameters become half-precision.
        dtype: type of the model's weights.
        groups: the parameters to train. The others are cast, but keep their fp32 weights in `weights`.
        max_norm: norm to which the gradient of all parameters is clipped; 0 for no clipping.
        named: other arguments of `torch.optim.AdamW`.
    """

    def __init__(
        self,
        model: torch.nn.Module,
        dtype: torch.dtype,
        groups: Sequence[ParameterGroup],
        max_norm: float,
        **named: Any,
    ) -> None:
        self._groups = [_Group(group.parameters, dtype) for group in groups]
        frozen = {name: parameter for name, parameter in model.named_parameters() if not parameter.requires_grad}
        self._frozen = {name: parameter.detach() for name, parameter in frozen.items()}
        for parameter in frozen.values():
            parameter.data = parameter.data.to(dtype)
        flat = [{**group.settings, "params": [own.weights]} for group, own in zip(groups, self._groups, strict=True)]
        device = self._groups[0].weights.device
        super().__init__(flat, fused=True, capturable=device.type == "cuda", **named)
        self._max_norm = max_norm or math.inf
        self._has_gradients = False
        self._rates = [torch.tensor(group.learning_rate, device=device) for group in groups]
        self._scales = dtype == torch.float16
        self._scale = torch.tensor(_FIRST_SCALE if self._scales else 1.0, device=device)
        self._good_steps = torch.zeros((), device=device)

    @property
    def weights(self) -> Tensors:
        """Return the fp32 weights of all parameters, as views."""
        return {**self._frozen, **{name: view for group in self._groups for name, view in group.named().items()}}

    def load_weights(self, weights: Mapping[str, torch.Tensor]) -> None:
        """Replace the weights of the optimizer and the model."""
        for group in self._groups:
            for name, view in group.named().items():
                view.copy_(weights[name])
            group.cast()

    @property
    def scale_state(self) -> dict[str, float]:
        """Return the state of loss scaling."""
        return {"scale": self._scale.item(), "good_steps": self._good_steps.item()}

    def load_scale_state(self, state: Mapping[str, float]) -> None:
        """Continue from a state of loss scaling."""
        self._scale.fill_(state["scale"])
        self._good_steps.fill_(state["good_steps"])

    def read_schedule(self) -> None:
        """Copy the learning rates, which a schedule sets as numbers, to the device."""
        for rate, settings in zip(self._rates, self.param_groups, strict=True):
            rate.fill_(settings["lr"])

    def backward(self, loss: torch.Tensor) -> None:
        """Compute the gradient of a loss and add it to that of the next step."""
        (loss * self._scale).backward()  # type: ignore[no-untyped-call]
        for group in self._groups:
            for view, parameter in zip(group.views(group.gradient), group.parameters.values(), strict=True):
                if parameter.grad is None:  # the loss does not depend on it
                    if not self._has_gradients:
                        view.zero_()
                elif self._has_gradients:
                    view.add_(parameter.grad)
                else:
                    view.copy_(parameter.grad)
                parameter.grad = None
        self._has_gradients = True

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Update the weights with the gradients since the last step; without any, do nothing.

        The gradient is clipped as by `torch.nn.utils.clip_grad_norm_`. If it is infinite because of fp16's range, the
        step is skipped and the scale of the loss halved, as by `torch.amp.GradScaler`.
        """
        if not self._has_gradients:
            return
        self._has_gradients = False
        gradients = [group.gradient for group in self._groups]
        norm = torch.stack([torch.linalg.vector_norm(gradient) for gradient in gradients]).norm() / self._scale
        factor = (self._max_norm / (norm + 1e-6)).clamp(max=1.0) / self._scale
        factor = torch.where(norm.isfinite(), factor, 0.0)  # NaN would stay between the parameters
        for gradient in gradients:
            gradient.mul_(factor)
        if self._scales:
            self.found_inf = (~norm.isfinite()).float()  # read by the fused AdamW
        scheduled = [group["lr"] for group in self.param_groups]
        for settings, rate in zip(self.param_groups, self._rates, strict=True):
            settings["lr"] = rate
        super().step()
        for settings, rate in zip(self.param_groups, scheduled, strict=True):
            settings["lr"] = rate
        for group in self._groups:
            group.cast()
        if self._scales:
            self._update_scale()

    def _update_scale(self) -> None:
        skipped = self.found_inf.bool()
        self._good_steps.copy_(torch.where(skipped, 0.0, self._good_steps + 1))
        grows = self._good_steps >= _GROWTH_INTERVAL
        self._scale.mul_(torch.where(skipped, 0.5, torch.where(grows, 2.0, 1.0)))
        self._good_steps.copy_(torch.where(grows, 0.0, self._good_steps))

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Do nothing: `backward` frees the gradients of the model."""
