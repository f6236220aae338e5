"""How to read a corpus, where its files leave a choice."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from tune_ner.data.corpus import Sentence

FormatName = Literal["brackets", "columns", "jsonl", "parquet", "brat", "pubtator", "bioc", "webanno", "cas", "spacy"]
Role = Literal["text", "spans", "tokens", "tags"]


Reading = tuple[list[Sentence], tuple[str, ...]]
"""The sentences of a file, and notes on how it was read."""


def _as_mapping(value: Any) -> Any:
    """Return a mapping whose keys are texts: YAML reads `0: O` with a number, and commands have a list of `0=O`."""
    if isinstance(value, Mapping):
        return {str(key): item for key, item in value.items()}
    if not value:
        return {}
    if not isinstance(value, list):
        return value
    pairs = [str(item).partition("=") for item in value]
    if wrong := next((str(item) for item, pair in zip(value, pairs, strict=True) if not (pair[0] and pair[2])), None):
        raise ValueError(f"found {wrong[:60]!r}; expected OLD=NEW")
    return {old: new for old, _, new in pairs}


Discontinuous = Literal["omit", "cover", "error"]
"""What an entity of several parts is read as, see `ReadOptions`."""


class ReadOptions(BaseModel):
    """What a user may decide about the reading of a corpus.

    Attributes:
        format: the format; by default that of the ending and the content.
        token_column, tag_column: columns of a CoNLL-like file, by number from 1 or by name in its header. In WebAnno
            TSV and UIMA CAS, `tag_column` is the layer and feature of entities (`NamedEntity.value`); in `.spacy`
            files, a group of `doc.spans`.
        columns: keys of the rows that hold text, spans, tokens or tags: `{"tags": "ner"}`.
        labels: new names of entity types, or names of integer tags: `{"Drug": "DRUG"}`, `{"1": "B-PER"}`.
        group_by: what must not be divided between splits: `document`, `file`, or a key or column of the data.
        discontinuous: what an entity of several parts is (brat, BioC, BigBio): left out (`omit`), one entity from the
            first to the last character (`cover`), or an `error`.
        multiple_labels: whether a tag with several labels (`B-PER,B-ORG`) is an error or means its first label.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: FormatName | None = None
    token_column: str | int | None = None
    tag_column: str | int | None = None
    columns: Annotated[dict[Role, str], BeforeValidator(_as_mapping)] = Field(default_factory=dict)
    labels: Annotated[dict[str, str], BeforeValidator(_as_mapping)] = Field(default_factory=dict)
    group_by: str | None = None
    discontinuous: Annotated[Discontinuous, BeforeValidator(lambda value: value or "omit")] = "omit"
    multiple_labels: Annotated[Literal["error", "first"], BeforeValidator(lambda value: value or "error")] = "error"

    @property
    def group_key(self) -> str:
        """The key or column that `group_by` names; empty for documents and files."""
        return "" if self.group_by in (None, "document", "file") else str(self.group_by)

    @property
    def arguments(self) -> str:
        """The options as arguments of a command: ` --tag-column 3`; empty if none is set."""
        arguments = ""
        for name, value in self.model_dump(include=set(READING_OPTIONS), exclude_defaults=True).items():
            given = [(name, value)]
            if isinstance(value, dict):  # `labels` is the repeatable option `--label OLD=NEW`
                given = [(name.removesuffix("s"), f"{old}={new}") for old, new in value.items()]
            arguments += "".join(f" --{key.replace('_', '-')} {shlex.quote(str(each))}" for key, each in given)
        return arguments


DEFAULT = ReadOptions()
READING_OPTIONS = tuple(ReadOptions.model_fields)
