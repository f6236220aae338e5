"""The JSON schema of search spaces, compared with what the program accepts."""

from typing import Any

import jsonschema
import pytest
import yaml

from tune_ner.config.loading import bundled_spaces
from tune_ner.config.reference import search_space_schema

VALID = {"model": "tiny:1x32", "learning_rate": 1e-3}
SCHEMA = jsonschema.Draft202012Validator(search_space_schema())


def test_schema_is_valid() -> None:
    jsonschema.Draft202012Validator.check_schema(search_space_schema())


@pytest.mark.parametrize("name", bundled_spaces())
def test_schema_accepts_the_bundled_spaces(name: str) -> None:
    SCHEMA.validate(yaml.safe_load(bundled_spaces()[name].read_text(encoding="utf-8")))


@pytest.mark.parametrize(
    "more",
    [
        {"data": "corpus.jsonl"},
        {"data": {"path": "corpus.conll", "tag_column": "3"}},
        {"learning_rate": {"loguniform": [1e-5, 1e-3]}, "dropout": {"uniform": [0, 0.3]}, "epochs": {"int": [2, 9]}},
        {"dropout": None, "seed": [1, 2], "split": {"method": "grouped"}},
    ],
)
def test_schema_accepts_values_lists_and_distributions(more: dict[str, Any]) -> None:
    SCHEMA.validate({**VALID, **more})


@pytest.mark.parametrize(
    "wrong",
    [
        {"lernrate": 1e-3},
        {"learning_rate": -1.0},
        {"learning_rate": {"normal": [0, 1]}},
        {"tagging_scheme": "BIOX"},
        {"epochs": 0},
        {"max_length": [2]},
        {"split": {"tests": 0.2}},
        {"precision": "fp8"},
    ],
)
def test_schema_refuses_what_the_program_refuses(wrong: dict[str, Any]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        SCHEMA.validate({**VALID, **wrong})
