"""Low-rank updates of an encoder (LoRA, Hu et al. 2021): few weights are trained, and merged for the export."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from tune_ner.config.trial_config import TrialConfig
from tune_ner.errors import EncoderError
from tune_ner.utils.extras import imported
from tune_ner.utils.text import first_line

_ADAPTER = "default"


def add_lora(config: TrialConfig, model: Any) -> None:
    """Freeze the encoder and add low-rank updates to its linear layers; the layers above it are trained as usual.

    Raises:
        EncoderError: peft is not installed, or does not know which layers of this architecture to update.
    """
    peft = imported("peft", "lora", "lora_rank", EncoderError)
    base = f"{model.base_model_prefix}."
    above = {name: parameter for name, parameter in model.named_parameters() if not name.startswith(base)}
    settings = peft.LoraConfig(
        r=config.lora_rank,
        lora_alpha=config.scaled_lora_alpha,
        # None is what peft recommends for the architecture: for most, the projections of queries and values
        target_modules="all-linear" if config.lora_targets == "all-linear" else None,
        exclude_modules=sorted({name.rpartition(".")[0] for name in above}),
        task_type="TOKEN_CLS",
    )
    try:
        peft.inject_adapter_in_model(settings, model, adapter_name=_ADAPTER)
    except ValueError as error:
        way_out = "lora_rank 0" if config.lora_targets == "all-linear" else "lora_targets all-linear"
        raise EncoderError(
            f"model {config.model!r}: lora_targets {config.lora_targets} fails: {first_line(error)[:300]}; "
            f"expected {way_out} for this architecture"
        ) from error
    for parameter in above.values():
        parameter.requires_grad_(True)


def merge_lora(config: TrialConfig, weights: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return the weights of the plain model: W + (alpha / rank) · B · A of each updated layer."""
    scaling = config.scaled_lora_alpha / config.lora_rank
    merged = {}
    for name, value in weights.items():
        if ".lora_" in name:
            continue
        layer, is_base, kind = name.partition(".base_layer.")
        if is_base and kind == "weight":
            down, up = (weights[f"{layer}.lora_{part}.{_ADAPTER}.weight"] for part in "AB")
            value = value + scaling * up @ down
        merged[f"{layer}.{kind}" if is_base else name] = value
    return merged


def save_adapter(config: TrialConfig, weights: Mapping[str, torch.Tensor], base: str, folder: Path) -> None:
    """Write the updates and the layers above the encoder in the format of peft, without the encoder.

    `PeftModel.from_pretrained(model, folder)` adds them to a token classification model with the pretrained encoder and
    as many labels.

    Args:
        config: the configuration of the trial.
        weights: the weights of the trained model.
        base: the prefix of the encoder's weights, such as `bert`.
        folder: an empty or new folder.

    Raises:
        OSError, SafetensorError: the files cannot be written.
    """
    peft = imported("peft", "lora", "lora_rank", EncoderError)
    folder.mkdir(parents=True, exist_ok=True)
    updates = {name.replace(f".{_ADAPTER}.", "."): value for name, value in weights.items() if ".lora_" in name}
    above = {name: value for name, value in weights.items() if not name.startswith(f"{base}.")}
    settings = peft.LoraConfig(
        r=config.lora_rank,
        lora_alpha=config.scaled_lora_alpha,
        target_modules=sorted({name.partition(".lora_")[0] for name in updates}),
        modules_to_save=sorted({name.rpartition(".")[0] for name in above}),
        task_type="TOKEN_CLS",
        base_model_name_or_path=config.model,
        inference_mode=True,
    )
    settings.save_pretrained(folder)
    saved = {f"base_model.model.{name}": value.contiguous() for name, value in (updates | above).items()}
    save_file(saved, folder / "adapter_model.safetensors", metadata={"format": "pt"})
