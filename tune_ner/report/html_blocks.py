"""What a page says, as plain data: the same sentences and tables that a terminal gets, divided into sections."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar, Literal

from tune_ner.report.figure import Figure
from tune_ner.utils.renderers import Sheet
from tune_ner.utils.text import visible, visible_lines

Tone = Literal["plain", "good", "note", "warning", "error", "quiet"]

_TONES: Mapping[str, Tone] = {
    "bold red": "error",
    "red": "error",
    "yellow": "warning",
    "green": "good",
    "dim": "quiet",
}


@dataclass(frozen=True)
class Paragraph:
    """A sentence with a word before it."""

    kind: ClassVar[str] = "paragraph"

    text: str
    label: str = ""
    tone: Tone = "plain"


@dataclass(frozen=True)
class Points:
    """Sentences that belong together."""

    kind: ClassVar[str] = "points"

    items: tuple[Paragraph, ...]


@dataclass(frozen=True)
class Heading:
    """The title of a part of a section."""

    kind: ClassVar[str] = "heading"

    text: str


@dataclass(frozen=True)
class Facts:
    """Names and what they are."""

    kind: ClassVar[str] = "facts"

    facts: Mapping[str, str]


@dataclass(frozen=True)
class Table:
    """A table under its title."""

    kind: ClassVar[str] = "table"

    sheet: Sheet


@dataclass(frozen=True)
class Links:
    """Files beside the page and what each holds."""

    kind: ClassVar[str] = "links"

    links: Mapping[str, str]


Block = Paragraph | Points | Heading | Facts | Table | Links


@dataclass(frozen=True)
class Section:
    """A part of a page: `name` is its anchor; its figures stand between its blocks and `after`.

    `explorer` names the part of the page that its script fills: `curves` or `errors`, nothing for most.
    """

    name: str
    title: str
    blocks: tuple[Block, ...] = ()
    figures: tuple[Figure, ...] = ()
    after: tuple[Block, ...] = ()
    explorer: str = ""

    @property
    def empty(self) -> bool:
        """Whether there is nothing to show."""
        return not (self.blocks or self.figures or self.after or self.explorer)


@dataclass
class BlockLayout:
    """A `Layout` that keeps what it is told as blocks; texts are made visible, and escaped where they are shown."""

    blocks: list[Block] = field(default_factory=list)

    @property
    def width(self) -> int | None:
        """None: a page breaks its lines itself."""
        return None

    def title(self, text: str) -> None:
        """A heading."""
        self.heading(text)

    def heading(self, text: str) -> None:
        """A heading."""
        self.blocks.append(Heading(visible(text)))

    def facts(self, facts: Mapping[str, str]) -> None:
        """A list of names and what they are."""
        self.blocks.append(Facts({visible(name): visible(value) for name, value in facts.items() if value}))

    def line(self, text: str, label: str = "", colour: str = "") -> None:
        """A paragraph."""
        self.blocks.append(_paragraph(text, label, colour))

    def item(self, text: str, label: str = "", colour: str = "") -> None:
        """One more point of the list that is open, or the first of a new one."""
        last = self.blocks[-1] if self.blocks else None
        item = _paragraph(text, label, colour)
        if isinstance(last, Points):
            self.blocks[-1] = Points((*last.items, item))
        else:
            self.blocks.append(Points((item,)))

    def table(self, sheet: Sheet) -> None:
        """A table."""
        self.blocks.append(Table(_visible_sheet(sheet)))

    def gap(self) -> None:
        """Nothing: a page has its own rooms."""


def blocks_of(print_to: Callable[[BlockLayout], None]) -> tuple[Block, ...]:
    """What a function prints to a layout, as blocks."""
    layout = BlockLayout()
    print_to(layout)
    return tuple(layout.blocks)


def _paragraph(text: str, label: str, colour: str) -> Paragraph:
    return Paragraph(visible_lines(text), visible(label), _TONES.get(colour, "plain"))


def _visible_sheet(sheet: Sheet) -> Sheet:
    return Sheet(
        visible(sheet.title),
        tuple(
            replace(column, heading=visible_lines(column.heading), group=visible(column.group))
            for column in sheet.columns
        ),
        tuple(tuple(map(visible_lines, row)) for row in sheet.rows),
    )
