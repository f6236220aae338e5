"""How to read a corpus, where its files leave a choice."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

FormatName = Literal["brackets", "columns", "jsonl", "parquet", "brat", "pubtator", "bioc", "webanno", "cas", "spacy"]
Role = Literal["text", "spans", "tokens", "tags"]


def _with_text_keys(value: Any) -> Any:
    """Return a mapping whose keys are texts; YAML reads `0: O` with a number."""
    return {str(key): item for key, item in value.items()} if isinstance(value, Mapping) else value


READING_OPTIONS = ("format", "token_column", "tag_column", "group_by")
"""Options of reading that commands have, too."""


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
        multiple_labels: whether a tag with several labels (`B-PER,B-ORG`) is an error or means its first label.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: FormatName | None = None
    token_column: str | int | None = None
    tag_column: str | int | None = None
    columns: dict[Role, str] = Field(default_factory=dict)
    labels: Annotated[dict[str, str], BeforeValidator(_with_text_keys)] = Field(default_factory=dict)
    group_by: str | None = None
    multiple_labels: Literal["error", "first"] = "error"

    @property
    def group_key(self) -> str:
        """The key or column that `group_by` names; empty for documents and files."""
        return "" if self.group_by in (None, "document", "file") else str(self.group_by)

    @property
    def arguments(self) -> str:
        """The options as arguments of a command: ` --tag-column 3`; empty if none of those that have one is set."""
        given = {name: getattr(self, name) for name in READING_OPTIONS}
        return "".join(f" --{name.replace('_', '-')} {value}" for name, value in given.items() if value)


DEFAULT = ReadOptions()
