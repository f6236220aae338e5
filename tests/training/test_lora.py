"""Low-rank updates: what is trained, and that the merged weights compute what the updated model does."""

from pathlib import Path
from typing import Any

import peft
import pytest
import torch

from tests.factories import a_config
from tests.model_folders import TEXTS
from tune_ner.errors import EncoderError
from tune_ner.training import lora
from tune_ner.training.encoders import load_model, load_tokenizer, resolve_encoder
from tune_ner.training.lora import add_lora, merge_lora, save_adapter
from tune_ner.utils import extras

pytestmark = pytest.mark.slow  # peft takes seconds to import


def a_model() -> Any:
    encoder = resolve_encoder("tiny:2x32")
    return load_model(encoder, ["O", "B-X", "I-X"], load_tokenizer(encoder, TEXTS), 0)


@pytest.mark.parametrize(("targets", "layers"), [("attention", 4), ("all-linear", 12)])
def test_updates_and_the_head_are_trained(targets: str, layers: int) -> None:
    model = a_model()
    add_lora(a_config(lora_rank=4, lora_targets=targets), model)
    trained = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    updates = {name for name in trained if ".lora_" in name}
    assert len(updates) == 2 * layers
    assert trained - updates == {"classifier.weight", "classifier.bias"}


@pytest.mark.parametrize("alpha", [None, 3.0])
@pytest.mark.parametrize("targets", ["attention", "all-linear"])
def test_merged_weights_compute_the_logits_of_the_updated_model(targets: str, alpha: float | None) -> None:
    config, model, plain = a_config(lora_rank=4, lora_alpha=alpha, lora_targets=targets), a_model().eval(), a_model()
    ids = torch.arange(1, 21)[None]
    add_lora(config, model)
    before = model(ids).logits
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if ".lora_B." in name:  # zero at first
                parameter.normal_()
    plain.load_state_dict(merge_lora(config, model.state_dict()))
    logits = model(ids).logits
    assert not torch.allclose(before, logits, atol=0.01)
    torch.testing.assert_close(plain.eval()(ids).logits, logits, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("targets", ["attention", "all-linear"])
def test_a_saved_adapter_computes_the_logits_of_the_updated_model(targets: str, tmp_path: Path) -> None:
    config, model, plain = a_config(lora_rank=4, lora_targets=targets), a_model().eval(), a_model()
    add_lora(config, model)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.normal_()
    save_adapter(config, model.state_dict(), "bert", tmp_path)
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) < 100_000
    ids = torch.arange(1, 21)[None]
    loaded = peft.PeftModel.from_pretrained(plain, str(tmp_path)).eval()
    torch.testing.assert_close(loaded(ids).logits, model(ids).logits, atol=1e-4, rtol=1e-4)


def test_unknown_architecture_is_an_error_with_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    model = a_model()
    monkeypatch.setattr(type(model.config), "model_type", "unheard-of")
    with pytest.raises(EncoderError, match="expected lora_targets all-linear"):
        add_lora(a_config(lora_rank=4), model)


def test_missing_package_is_an_error_with_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Any:
        raise ImportError(f"No module named {name!r}")

    monkeypatch.setattr(extras, "import_module", missing)
    with pytest.raises(EncoderError, match=r"lora_rank needs the package peft.*pip install -e '.\[lora\]'"):
        lora.add_lora(a_config(lora_rank=4), a_model())
