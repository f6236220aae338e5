"""Which parameters of a model are trained, and with which learning rate and weight decay."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from tune_ner.config.trial_config import TrialConfig
from tune_ner.errors import EncoderError


@dataclass(frozen=True)
class ParameterGroup:
    """Parameters with one peak learning rate and one weight decay."""

    parameters: Mapping[str, torch.nn.Parameter]
    learning_rate: float
    weight_decay: float

    @property
    def settings(self) -> dict[str, Any]:
        """The group as optimizers of torch take it."""
        return {
            "params": list(self.parameters.values()),
            "lr": self.learning_rate,
            "weight_decay": self.weight_decay,
        }


def parameter_groups(config: TrialConfig, model: Any, decayed: Iterable[str]) -> list[ParameterGroup]:
    """Freeze the lowest layers if the trial does not train them, and return groups of the parameters that it trains.

    The topmost encoder layer has the learning rate of the configuration, each one below that of its upper neighbour
    times `layer_learning_rate_decay`, and the embeddings, with what else is not part of a layer, the lowest.

    Args:
        config: the configuration.
        model: the model, with `base_model` as its encoder.
        decayed: names of the parameters with weight decay.

    Raises:
        EncoderError: the model has fewer layers than are to be frozen, or its layers cannot be found.
    """
    depths = _depths(config, model)
    decayed = set(decayed)
    top = max(depths.values(), default=0)
    groups: dict[tuple[float, float], dict[str, torch.nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        depth = depths.get(name)
        if depth is None:
            rate = config.head_learning_rate or config.learning_rate
        else:
            rate = config.learning_rate * config.layer_learning_rate_decay ** (top - depth)
            if config.frozen_layers and depth <= config.frozen_layers:
                parameter.requires_grad_(False)
                continue
        groups.setdefault((rate, config.weight_decay if name in decayed else 0.0), {})[name] = parameter
    return [ParameterGroup(parameters, *settings) for settings, parameters in groups.items()]


def _depths(config: TrialConfig, model: Any) -> dict[str, int]:
    """Return the depth of each parameter of the encoder: 0 for the embeddings, 1 for the lowest layer."""
    number = getattr(model.config, "num_hidden_layers", 0)
    lists = (name for name, module in model.base_model.named_modules() if _is_layers(module, number))
    prefix = next(lists, None)
    if prefix is None and (config.frozen_layers or config.layer_learning_rate_decay != 1):
        raise EncoderError(
            f"model {config.model!r}: the layers of a {model.config.model_type} encoder are not found; expected "
            "frozen_layers 0 and layer_learning_rate_decay 1"
        )
    if config.frozen_layers > number:
        raise EncoderError(
            f"model {config.model!r}: frozen_layers is {config.frozen_layers}; expected up to {number}, the number of "
            "its layers"
        )
    base = f"{model.base_model_prefix}."
    depths = {}
    for name, _ in model.named_parameters():
        if name.startswith(base):
            inner = name.removeprefix(base)
            is_in_layer = prefix is not None and inner.startswith(f"{prefix}.")
            depths[name] = int(inner.removeprefix(f"{prefix}.").partition(".")[0]) + 1 if is_in_layer else 0
    return depths


def _is_layers(module: torch.nn.Module, number: int) -> bool:
    return isinstance(module, torch.nn.ModuleList) and len(module) == number
