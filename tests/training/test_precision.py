"""The precision that is used, by what the hardware computes fast."""

import pytest
import torch
import transformers

from tune_ner.training import precision
from tune_ner.training.precision import (
    SMALLEST_HIDDEN,
    bf16_speedup,
    model_precision,
    precision_note,
    used_precision,
)


@pytest.mark.parametrize(
    ("cuda", "speedup", "hidden", "half"),
    [
        (True, 4.0, 768, "fp16"),
        (True, 0.4, 32, "fp16"),
        (False, 4.0, 768, "bf16"),
        (False, 4.0, SMALLEST_HIDDEN, "bf16"),
        (False, 4.0, SMALLEST_HIDDEN - 1, "fp32"),
        (False, 4.0, 0, "fp32"),
        (False, 1.4, 768, "fp32"),
        (False, 0.4, 768, "fp32"),
    ],
)
@pytest.mark.parametrize("requested", ["auto", "fp32", "fp16", "bf16"])
def test_used_precision_is_the_requested_one_if_the_device_supports_it(
    monkeypatch: pytest.MonkeyPatch, requested: str, cuda: bool, speedup: float, hidden: int, half: str
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(precision, "bf16_speedup", lambda: speedup)
    assert used_precision(requested, hidden) == {"auto": half, "fp16": half}.get(requested, requested)


def test_device_decides_before_the_presence_of_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(precision, "bf16_speedup", lambda: 4.0)
    assert used_precision("auto", 768, "cpu") == "bf16"
    assert used_precision("auto", 768, "cuda") == "fp16"


@pytest.mark.parametrize(
    ("family", "has_bf16", "used"),
    [
        ("bert", True, "fp16"),
        ("t5", True, "bf16"),
        ("mt5", False, "fp32"),
        ("deberta-v2", True, "bf16"),
        ("deberta", True, "fp32"),
    ],
)
def test_families_that_fail_in_fp16_use_another_precision_with_a_note(
    monkeypatch: pytest.MonkeyPatch, family: str, has_bf16: bool, used: str
) -> None:
    class Model:
        config = transformers.AutoConfig.for_model(family)

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: has_bf16)
    for requested in ("auto", "fp16"):
        assert model_precision(requested, Model) == used
        note = f"{family} encoders cannot be trained in fp16; trained in {used}"
        assert precision_note(requested, Model) == ("" if used == "fp16" else note)
    assert model_precision("fp32", Model) == "fp32"
    assert model_precision("bf16", Model) == ("fp32" if family == "deberta" else "bf16")


def test_speedup_is_measured_once() -> None:
    assert bf16_speedup() > 0
    assert bf16_speedup() == bf16_speedup()
