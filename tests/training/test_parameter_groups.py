"""Learning rate and weight decay of each parameter."""

from typing import Any

import pytest
import torch
import transformers

from tune_ner.config.trial_config import TrialConfig
from tune_ner.errors import EncoderError
from tune_ner.training.parameter_groups import parameter_groups

SMALL = {"vocab_size": 50, "hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 32}
DISTIL = {"vocab_size": 50, "dim": 16, "n_layers": 3, "n_heads": 2, "hidden_dim": 32}
# by model_type: settings, prefix of the layers, and a parameter of the encoder outside of them
FAMILIES: dict[str, tuple[dict[str, int], str, str]] = {
    "bert": (SMALL, "bert.encoder.layer.", "bert.embeddings.word_embeddings.weight"),
    "roberta": (SMALL, "roberta.encoder.layer.", "roberta.embeddings.LayerNorm.weight"),
    "electra": (SMALL, "electra.encoder.layer.", "electra.embeddings.word_embeddings.weight"),
    "distilbert": (DISTIL, "distilbert.transformer.layer.", "distilbert.embeddings.word_embeddings.weight"),
    "deberta-v2": (SMALL, "deberta.encoder.layer.", "deberta.embeddings.word_embeddings.weight"),
    "modernbert": (SMALL | {"pad_token_id": 0}, "model.layers.", "model.embeddings.tok_embeddings.weight"),
}


def config(**changes: Any) -> TrialConfig:
    return TrialConfig(data_fingerprint="d", model="folder", learning_rate=1e-3, weight_decay=0.1, **changes)


def a_model(family: str = "bert") -> Any:
    settings: dict[str, Any] = FAMILIES[family][0]
    return transformers.AutoModelForTokenClassification.from_config(
        transformers.AutoConfig.for_model(family, num_labels=3, **settings)
    )


def rates(model: Any, **changes: Any) -> dict[str, float]:
    decayed = [name for name, parameter in model.named_parameters() if parameter.dim() == 2]
    groups = parameter_groups(config(**changes), model, decayed)
    for group in groups:
        assert {parameter.dim() == 2 for parameter in group.parameters.values()} == {group.weight_decay > 0}
    found = [(name, group.learning_rate) for group in groups for name in group.parameters]
    assert len(found) == len(dict(found))
    return dict(found)


@pytest.mark.parametrize("family", FAMILIES)
def test_learning_rate_falls_from_layer_to_layer(family: str) -> None:
    _, layers, embedding = FAMILIES[family]
    found = rates(a_model(family), layer_learning_rate_decay=0.5, head_learning_rate=0.01)
    for number, rate in enumerate([0.25e-3, 0.5e-3, 1e-3]):
        assert {found[name] for name in found if name.startswith(f"{layers}{number}.")} == {rate}
    assert found[embedding] == 0.125e-3
    assert found["classifier.weight"] == found["classifier.bias"] == 0.01


@pytest.mark.parametrize("family", FAMILIES)
def test_frozen_layers_have_no_gradient(family: str) -> None:
    _, layers, embedding = FAMILIES[family]
    model = a_model(family)
    found = rates(model, frozen_layers=2)
    assert {name for name, parameter in model.named_parameters() if parameter.requires_grad} == set(found)
    assert embedding not in found
    assert {name.removeprefix(layers)[0] for name in found if name.startswith(layers)} == {"2"}
    assert {"classifier.weight", "classifier.bias"} <= set(found)


def test_defaults_are_the_two_groups_of_the_hf_trainer() -> None:
    model = a_model()
    groups = parameter_groups(config(), model, [name for name, w in model.named_parameters() if w.dim() == 2])
    assert [(group.learning_rate, group.weight_decay) for group in groups] == [(1e-3, 0.1), (1e-3, 0.0)]
    assert sum(len(group.parameters) for group in groups) == len(list(model.parameters()))


def test_all_layers_can_be_frozen_and_more_are_an_error() -> None:
    assert all(not name.startswith("bert.encoder.layer") for name in rates(a_model(), frozen_layers=3))
    with pytest.raises(EncoderError, match="frozen_layers is 4; expected up to 3"):
        rates(a_model(), frozen_layers=4)


def test_model_without_layers_is_an_error_only_where_they_matter() -> None:
    class Flat(torch.nn.Module):
        base_model_prefix = "encoder"

        def __init__(self) -> None:
            super().__init__()
            self.encoder, self.classifier = torch.nn.Linear(4, 4), torch.nn.Linear(4, 3)
            self.config = transformers.BertConfig()

        @property
        def base_model(self) -> torch.nn.Module:
            return self.encoder

    assert set(rates(Flat(), head_learning_rate=0.1).values()) == {1e-3, 0.1}
    for changes in ({"frozen_layers": 1}, {"layer_learning_rate_decay": 0.9}):
        with pytest.raises(EncoderError, match="are not found"):
            rates(Flat(), **changes)
