"""The reference of search spaces, generated from the tables of hyperparameters and settings."""

from __future__ import annotations

from types import NoneType
from typing import Any, Literal, get_args, get_origin

import pandas as pd
import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from tune_ner.config.hyperparameters import HYPERPARAMETERS, Hyperparameter, Hyperparameters
from tune_ner.config.search_space import SearchSpace, SpaceSettings, SplitSettings

_NAMES = {str: "text", int: "integer", float: "number", bool: "`true`, `false`", NoneType: "null"}
_BOUNDS = {"ge": "minimum", "gt": "exclusiveMinimum", "le": "maximum", "lt": "exclusiveMaximum"}
_SIGNS = {"gt": ">", "ge": "≥", "lt": "<", "le": "≤"}


def hyperparameter_reference() -> str:
    """Return Markdown tables of hyperparameters, run settings and split settings."""
    sections: dict[str, tuple[str, type[BaseModel]]] = {
        "Hyperparameters": ("One value, a list of values, or one of the listed distributions.", Hyperparameters),
        "Settings": ("One value for all trials of a run.", SpaceSettings),
        "Split": ("Keys of `split`.", SplitSettings),
    }
    return "\n\n".join(f"## {title}\n\n{text}\n\n{_table(model)}" for title, (text, model) in sections.items())


def search_space_schema() -> dict[str, Any]:
    """Return a JSON schema of search space files, by which editors complete and check them."""
    schema = _with_standard_bounds(SearchSpace.model_json_schema())
    for name, each in HYPERPARAMETERS.items():
        values = schema["properties"][name]
        ends = {"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2}
        kinds = {int: ["int"], float: ["uniform", "loguniform"]}[each.base_type] if each.row.has_range else []
        ranges = [
            {"type": "object", "properties": {kind: ends}, "required": [kind], "additionalProperties": False}
            for kind in kinds
        ]
        schema["properties"][name] = {
            "description": each.row.help,
            "anyOf": [values["items"], {**values, "title": f"Values of {name}"}, *ranges],
        }
    points = schema["$defs"]["InitialPoints"]["properties"]
    points |= {name: {"anyOf": [values["items"], values]} for name, values in points.items()}
    schema["properties"]["data"]["anyOf"].append({"type": "string"})
    for name, field in SpaceSettings.model_fields.items():
        schema["properties"][name].setdefault("description", Hyperparameter(name, field).row.help)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "Search space of tune_ner"}


def _with_standard_bounds(schema: Any) -> Any:
    """Return a schema in which bounds that pydantic writes by its own names have those of JSON schema."""
    if isinstance(schema, dict):
        return {_BOUNDS.get(key, key): _with_standard_bounds(value) for key, value in schema.items()}
    return [_with_standard_bounds(item) for item in schema] if isinstance(schema, list) else schema


def _table(model: type[BaseModel]) -> str:
    table = pd.DataFrame([_row(Hyperparameter(name, field)) for name, field in model.model_fields.items()])
    return table.loc[:, (table != "").any()].to_markdown(index=False)  # without empty columns


def _row(each: Hyperparameter) -> dict[str, str]:
    ranges = {int: "`int`", float: "`loguniform`, `uniform`"}
    return {
        "Key": f"`{each.name}`",
        "Values": _values(each.field),
        "Default": _default(each.field),
        "Distributions": ranges[each.base_type] if each.row.has_range else "",
        "Option": f"`--{each.row.option}`" if each.row.option else "",
        "Description": each.row.help,
    }


def _values(field: FieldInfo) -> str:
    """Return the allowed values in words, such as `number ≥ 0, < 1`."""
    annotation: Any = field.annotation
    if get_origin(annotation) is Literal:
        return ", ".join(f"`{value}`" for value in get_args(annotation))
    if annotation not in _NAMES:
        parts = [_values(FieldInfo.from_annotation(part)) for part in get_args(annotation)]
        return " or ".join(parts) if NoneType in get_args(annotation) else "keys with values"
    limits = {name: getattr(bound, name) for bound in field.metadata for name in _SIGNS if hasattr(bound, name)}
    if "gt" in limits:
        limits.pop("ge", None)
    bounds = [f"{sign} {limits[name]}" for name, sign in _SIGNS.items() if name in limits and limits[name] < 2**32]
    return " ".join([_NAMES[annotation], ", ".join(bounds)]).strip()


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    default = field.get_default(call_default_factory=True)
    if isinstance(default, BaseModel):
        return "see below"
    return f"`{yaml.safe_dump(default, default_flow_style=True).split()[0]}`"
