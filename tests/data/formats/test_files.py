"""Files and folders: round trips of every format, and errors with the line."""

import json
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import datasets
import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tune_ner.data.corpus import BODY, DISORDER, DRUG, Sentence, Span, SplitName
from tune_ner.data.formats.files import read_file, read_path
from tune_ner.data.loaders import load_corpus
from tune_ner.errors import DataError

Content = tuple[str, tuple[Span, ...]]
"""Text and spans of a sentence, which a file format must preserve."""

Range = tuple[int, int, str]
"""First token, token after the last one, and entity type."""

Tagged = tuple[list[str], list[Range]]
"""Tokens of a sentence and the entities in them."""

ENDINGS = (".txt", ".jsonl", ".json", ".conll", ".iob", ".iob2", ".bio", ".tsv", ".csv", ".conllu", ".parquet")


BRACKETS_NOTE = "read as bracket text: ( disorder ), [ drug ], { body part }, one sentence per line"


def columns_note(dialect: str) -> str:
    return f"read as columns: tokens from column 1 of 2, tags ({dialect}) from column 2"


def contents(sentences: Sequence[Sentence]) -> list[Content]:
    return [(sentence.text, sentence.spans) for sentence in sentences]


def written(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def fault_of(path: Path) -> str:
    with pytest.raises(DataError) as caught:
        read_path(path)
    return str(caught.value)


# ---- bracket text


def test_bracket_text_has_one_sentence_per_line_with_the_published_spans(tmp_path: Path) -> None:
    path = written(tmp_path, "notes.txt", "( Astma ) lindras av [ Alvedon ] .\nRing 1177.\n")
    sentences, notes = read_file(path)
    assert sentences == [
        Sentence(
            "notes_0",
            "( Astma ) lindras av [ Alvedon ] .",
            (Span(0, 9, DISORDER), Span(21, 32, DRUG)),
            f"{path}:1",
        ),
        Sentence("notes_1", "Ring 1177.", (), f"{path}:2"),
    ]
    assert notes == (BRACKETS_NOTE,)


@pytest.mark.parametrize(
    "content", ["( a )\n\n[ b ]\n", "( a )\r\n\r\n[ b ]\r\n", "( a )\n\n[ b ]", "\ufeff( a )\n\n[ b ]\n"]
)
def test_empty_lines_are_kept_with_a_note(tmp_path: Path, content: str) -> None:
    sentences, notes = read_file(written(tmp_path, "a.txt", content))
    assert [sentence.text for sentence in sentences] == ["( a )", "", "[ b ]"]
    assert notes == (BRACKETS_NOTE, "empty lines kept as sentences without words: 1")


def test_unbalanced_and_empty_brackets_are_noted_with_their_lines(tmp_path: Path) -> None:
    lines = ["( Astma ]", "[ Alvedon ]", ":)", "()", "{", "( ont i { ryggen } )"]
    path = written(tmp_path, "a.txt", "\n".join(lines))
    sentences, (_, note) = read_file(path)
    assert [sentence.text for sentence in sentences] == lines
    assert note.startswith("8 unbalanced or empty brackets in 5 lines")
    assert note.endswith(f"{path}:1, {path}:3, {path}:4 …")


@pytest.mark.parametrize("character", ["\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c", "\r"])
@pytest.mark.parametrize("ending", [".txt", ".jsonl"])
def test_only_line_feeds_end_lines(tmp_path: Path, character: str, ending: str) -> None:
    text = f"( Ast{character}ma )"
    row = json.dumps({"text": text, "spans": []}, ensure_ascii=False)
    (sentence,), _ = read_file(written(tmp_path, f"a{ending}", (text if ending == ".txt" else row) + "\n"))
    assert sentence.text == text


@pytest.mark.parametrize(
    ("content", "texts"),
    [
        ("Astma B-DISORDER\nhos O\nbarn O\n", ["Astma hos barn"]),
        ("Astma\tB-DISORDER\nhos\tO\nbarn\tO\n\nRing\tO\n", ["Astma hos barn", "Ring"]),
        ("( Astma ) hos barn\n", ["( Astma ) hos barn"]),
        ("Ring\n1177\n", ["Ring", "1177"]),
        ("Blodgrupp O\nBlodgrupp O är vanlig\nRing 1177\n", ["Blodgrupp O", "Blodgrupp O är vanlig", "Ring 1177"]),
    ],
    ids=["blanks", "tabs", "brackets", "single words", "few lines end in O"],
)
def test_plain_text_is_read_as_columns_if_most_lines_end_in_a_tag(
    tmp_path: Path, content: str, texts: list[str]
) -> None:
    sentences, _ = read_file(written(tmp_path, "a.txt", content))
    assert [sentence.text for sentence in sentences] == texts


# ---- JSONL


def test_jsonl_accepts_the_schema_of_the_hub(tmp_path: Path) -> None:
    entities = {"start": [0, 10], "end": [7, 15], "text": ["Alvedon", "astma"], "type": [1, 0]}
    row = {"sid": "1177_3", "sentence": "Alvedon - astma", "entities": entities}
    path = written(tmp_path, "a.jsonl", json.dumps(row))
    assert read_file(path)[0] == [
        Sentence("1177_3", "Alvedon - astma", (Span(0, 7, DRUG), Span(10, 15, DISORDER)), f"{path}:1")
    ]


def test_blank_lines_in_jsonl_are_skipped_but_counted(tmp_path: Path) -> None:
    path = written(tmp_path, "a.json", '\ufeff\n{"text": "a", "spans": []}\r\n\n{"text": "b", "spans": []}')
    sentences, _ = read_file(path)
    assert [(sentence.id, sentence.source) for sentence in sentences] == [("a_0", f"{path}:2"), ("a_1", f"{path}:4")]


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("{", "not JSON"),
        ("{'text': 'a'}", "not JSON"),
        ("Astma", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ('{"id": ' + "9" * 5000 + "}", "not JSON"),
        ("[]", "found list"),
        ('[{"text": "a", "spans": []}]', "found list"),
        ("null", "found NoneType"),
        ('"text"', "found str"),
    ],
)
def test_an_invalid_jsonl_line_is_named(tmp_path: Path, line: str, found: str) -> None:
    path = written(tmp_path, "a.jsonl", '{"text": "a", "spans": []}\n\n' + line + "\n")
    message = fault_of(path)
    assert message.startswith(f"{path}:3: {found}")


def test_an_invalid_row_is_named_with_its_line(tmp_path: Path) -> None:
    path = written(tmp_path, "a.jsonl", '{"text": "a", "spans": []}\n{"text": "a", "spans": [[0, 9, "DRUG"]]}\n')
    assert fault_of(path).startswith(f"{path}:2: span [0, 9, 'DRUG'] ")


# ---- CoNLL columns

DIALECTS = {
    "IOB1": "I-DRUG I-DRUG B-DRUG O I-BODY",
    "BIO": "B-DRUG I-DRUG B-DRUG O B-BODY",
    "BIOES": "B-DRUG E-DRUG S-DRUG O S-BODY",
    "BILOU": "B-DRUG L-DRUG U-DRUG O U-BODY",
}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_all_dialects_give_the_same_spans_and_are_noted(tmp_path: Path, dialect: str) -> None:
    rows = zip(["Alvedon", "forte", "Panodil", "mot", "huvudet"], DIALECTS[dialect].split(), strict=True)
    sentences, notes = read_file(written(tmp_path, "a.conll", "".join(f"{token} {tag}\n" for token, tag in rows)))
    assert contents(sentences) == [
        ("Alvedon forte Panodil mot huvudet", (Span(0, 13, DRUG), Span(14, 21, DRUG), Span(26, 33, BODY)))
    ]
    assert notes == (columns_note(dialect),)


def test_runs_of_inside_tags_are_one_entity(tmp_path: Path) -> None:
    sentences, notes = read_file(written(tmp_path, "a.conll", "svår I-DISORDER\nastma I-DISORDER\n"))
    assert contents(sentences) == [("svår astma", (Span(0, 10, DISORDER),))]
    assert notes == (columns_note("IO"),)


PLAIN_COLUMNS = "svår B-DISORDER\nastma I-DISORDER\n\nRing O\n"


@pytest.mark.parametrize(
    "content",
    [
        PLAIN_COLUMNS,
        PLAIN_COLUMNS.rstrip("\n"),
        PLAIN_COLUMNS + "\n\n",
        "\n\n" + PLAIN_COLUMNS,
        PLAIN_COLUMNS.replace(" ", "\t"),
        PLAIN_COLUMNS.replace(" ", " \t"),
        PLAIN_COLUMNS.replace(" ", "   "),
        PLAIN_COLUMNS.replace("\n", "  \n"),
        PLAIN_COLUMNS.replace(" ", "\t").replace("R\n", "R \n"),
        PLAIN_COLUMNS.replace("\n", "\r\n"),
        PLAIN_COLUMNS.replace("\n\n", "\n \t\n"),
        PLAIN_COLUMNS.replace(" ", " NN _ "),
        PLAIN_COLUMNS.replace(" ", "\tNN\t\t"),
        "\ufeff" + PLAIN_COLUMNS,
        "-DOCSTART- -X- O O\n\n" + PLAIN_COLUMNS,
        "-DOCSTART-\n" + PLAIN_COLUMNS,
        "# id = 1\n# text = svår astma\n" + PLAIN_COLUMNS.replace("Ring", "#\nRing"),
    ],
    ids=[
        "plain",
        "no final newline",
        "empty lines after",
        "empty lines before",
        "tabs",
        "blanks and tabs",
        "many blanks",
        "trailing blanks",
        "tabs and trailing blanks",
        "CRLF",
        "blank line",
        "more columns",
        "an empty column",
        "BOM",
        "DOCSTART columns",
        "only DOCSTART",
        "comments",
    ],
)
@pytest.mark.parametrize("ending", [".conll", ".txt", ".tsv"])
def test_all_column_layouts_are_read(tmp_path: Path, content: str, ending: str) -> None:
    sentences, _ = read_file(written(tmp_path, f"a{ending}", content))
    assert contents(sentences) == [("svår astma", (Span(0, 10, DISORDER),)), ("Ring", ())]


def test_a_hash_with_a_tag_is_a_token(tmp_path: Path) -> None:
    sentences, _ = read_file(written(tmp_path, "a.conll", "# O\n#astma B-DISORDER\n"))
    assert contents(sentences) == [("# #astma", (Span(2, 8, DISORDER),))]


def test_tokens_can_contain_no_break_spaces_and_between_tabs_spaces(tmp_path: Path) -> None:
    for line in ("10\u00a0mg B-DRUG", "10\u00a0mg\tB-DRUG"):
        assert contents(read_file(written(tmp_path, "a.conll", line))[0]) == [("10\u00a0mg", (Span(0, 5, DRUG),))]
    assert contents(read_file(written(tmp_path, "b.conll", "10 mg\tB-DRUG"))[0]) == [("10 mg", (Span(0, 5, DRUG),))]


def test_the_place_of_a_sentence_is_its_first_token(tmp_path: Path) -> None:
    path = written(tmp_path, "a.conll", "# one\nAstma O\nhos O\n\n# two\n\nRing O\n")
    assert [sentence.source for sentence in read_file(path)[0]] == [f"{path}:2", f"{path}:7"]


@pytest.mark.parametrize(
    "line", ["Astma", "Astma X-DRUG", "Astma B-", "\tO", "O", "Astma o", "Astma B-DRUG, forte", "Astma 1 O"]
)
def test_a_line_without_token_or_tag_is_named(tmp_path: Path, line: str) -> None:
    path = written(tmp_path, "a.conll", f"Ring O\n\n{line}\n")
    message = fault_of(path)
    assert message.startswith(f"{path}:3: found ")
    assert line in message or line.split()[-1] in message


def test_a_long_invalid_line_is_shortened(tmp_path: Path) -> None:
    assert len(fault_of(written(tmp_path, "a.conll", "x" * 1_000_000))) < 300 + len(str(tmp_path))


# ---- parquet

CLASS_NAMES = ["Disorder and Finding", "Pharmaceutical Drug", "Body Structure"]


def parquet(folder: Path, rows: list[dict[str, Any]], features: datasets.Features | None = None) -> Path:
    path = folder / "a.parquet"
    datasets.Dataset.from_list(rows, features=features).to_parquet(str(path))
    return path


def hub_features(names: list[str]) -> datasets.Features:
    entity = {
        "start": datasets.Value("int32"),
        "end": datasets.Value("int32"),
        "text": datasets.Value("string"),
        "type": datasets.ClassLabel(names=names),
    }
    return datasets.Features(
        {
            "sid": datasets.Value("string"),
            "sentence": datasets.Value("string"),
            "entities": {key: datasets.List(value) for key, value in entity.items()},
        }
    )


HUB_ROW = {
    "sid": "1177_0",
    "sentence": "Alvedon mot astma",
    "entities": {"start": [0, 12], "end": [7, 17], "text": ["Alvedon", "astma"], "type": [1, 0]},
}


@pytest.mark.parametrize(
    ("features", "labels"),
    [
        (None, (DRUG, DISORDER)),
        (hub_features(CLASS_NAMES), (DRUG, DISORDER)),
        (hub_features(["gene", "cell"]), ("cell", "gene")),
    ],
    ids=["no features", "the hub's class names", "other class names"],
)
def test_parquet_types_are_named_by_its_class_names(
    tmp_path: Path, features: datasets.Features | None, labels: tuple[str, str]
) -> None:
    path = parquet(tmp_path, [HUB_ROW], features)
    assert read_file(path)[0] == [
        Sentence("1177_0", "Alvedon mot astma", (Span(0, 7, labels[0]), Span(12, 17, labels[1])), f"{path}:1")
    ]


def test_parquet_entities_can_be_a_list_of_objects(tmp_path: Path) -> None:
    entity = {
        "start": datasets.Value("int32"),
        "end": datasets.Value("int32"),
        "type": datasets.ClassLabel(names=["gene"]),
    }
    features = datasets.Features({"sentence": datasets.Value("string"), "entities": datasets.List(entity)})
    path = parquet(tmp_path, [{"sentence": "BRCA1", "entities": [{"start": 0, "end": 5, "type": 0}]}], features)
    assert contents(read_file(path)[0]) == [("BRCA1", (Span(0, 5, "gene"),))]


TAGGED_ROW = {"tokens": ["svår", "astma"], "ner_tags": [1, 2]}


def test_parquet_tags_are_named_by_its_class_names(tmp_path: Path) -> None:
    tags = datasets.ClassLabel(names=["O", "B-DISORDER", "I-DISORDER"])
    features = datasets.Features({"tokens": datasets.List(datasets.Value("string")), "ner_tags": datasets.List(tags)})
    sentences, notes = read_file(parquet(tmp_path, [TAGGED_ROW], features))
    assert contents(sentences) == [("svår astma", (Span(0, 10, DISORDER),))]
    assert notes == ("read as rows of `tokens` and `ner_tags` (BIO)",)


def test_parquet_tags_without_class_names_are_refused_with_their_row(tmp_path: Path) -> None:
    path = parquet(tmp_path, [{"tokens": [], "ner_tags": []}, TAGGED_ROW])
    assert fault_of(path).startswith(f"{path}:2: tag 1 has no name")


def raw_parquet(folder: Path, table: pyarrow.Table) -> Path:
    pyarrow.parquet.write_table(table, folder / "a.parquet")
    return folder / "a.parquet"


def metadata_of(value: bytes) -> pyarrow.Table:
    return pyarrow.table({"text": ["a"], "spans": [[]]}).replace_schema_metadata({b"huggingface": value})


def invalid_utf8() -> pyarrow.Table:
    buffers = [None, pyarrow.py_buffer(b"\0\0\0\0\2\0\0\0"), pyarrow.py_buffer(b"\xff\xfe")]
    return pyarrow.table({"text": pyarrow.Array.from_buffers(pyarrow.string(), 1, buffers), "spans": [[]]})


@pytest.mark.parametrize(
    "table",
    [metadata_of(b"{"), metadata_of(b'{"info": {"features": {"text": 1}}}'), invalid_utf8()],
    ids=["broken metadata", "metadata of another form", "text that is not UTF-8"],
)
def test_a_parquet_file_with_broken_content_is_refused(tmp_path: Path, table: pyarrow.Table) -> None:
    path = raw_parquet(tmp_path, table)
    assert fault_of(path).startswith(f"{path}: not a readable parquet file (")


@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1PAR1", b"( Astma )", b"\x00" * 1000])
def test_an_invalid_parquet_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = written(tmp_path, "a.parquet", content)
    assert fault_of(path).startswith(f"{path}: not a readable parquet file (")


def test_a_parquet_file_without_rows_is_refused(tmp_path: Path) -> None:
    table = pyarrow.table({"text": pyarrow.array([], pyarrow.string()), "spans": pyarrow.array([], pyarrow.string())})
    path = raw_parquet(tmp_path, table)
    assert fault_of(path).startswith(f"{path}: no sentences")


# ---- folders and faults of whole files


@pytest.mark.parametrize(
    ("stem", "split_name"),
    [
        ("train", "train"),
        ("Training", "train"),
        ("dev", "validation"),
        ("devel", "validation"),
        ("val", "validation"),
        ("valid", "validation"),
        ("validation", "validation"),
        ("TEST", "test"),
        ("testing", "test"),
    ],
)
def test_a_folder_of_files_named_after_splits_has_these_splits(
    tmp_path: Path, stem: str, split_name: SplitName
) -> None:
    written(tmp_path, f"{stem}.txt", "( Astma )\n")
    assert [found for found, _ in read_path(tmp_path)[0]] == [split_name]


def test_the_splits_of_a_folder_can_have_different_formats(tmp_path: Path) -> None:
    written(tmp_path, "train.conll", "Astma B-DISORDER\n")
    written(tmp_path, "dev.jsonl", '{"text": "Astma", "spans": [[0, 5, "DISORDER"]]}\n')
    written(tmp_path, "test.TXT", "( Astma )\n( Eksem )\n")
    written(tmp_path, "README.md", "# ( About )")
    written(tmp_path, "LICENSE", "\xff")
    (tmp_path / "old.jsonl").mkdir()
    corpus = load_corpus(str(tmp_path))
    assert corpus.splits == {"train": (3,), "validation": (0,), "test": (1, 2)}
    assert corpus.notes == (
        "dev.jsonl: read as rows of `text` and `spans`",
        f"test.TXT: {BRACKETS_NOTE}",
        f"train.conll: {columns_note('BIO')}",
    )


def test_other_folders_are_read_in_the_order_of_file_names(tmp_path: Path) -> None:
    for stem in ("b", "c", "a"):
        written(tmp_path, f"{stem}.txt", f"( {stem} )\n")
    found, notes = read_path(tmp_path)
    assert [(split_name, sentence.id) for split_name, sentence in found] == [
        (None, "a_0"),
        (None, "b_0"),
        (None, "c_0"),
    ]
    assert notes == ("3 files without names of splits joined in this order: a.txt, b.txt, c.txt", BRACKETS_NOTE)


def test_a_single_file_is_unsplit_whatever_its_name(tmp_path: Path) -> None:
    assert load_corpus(str(written(tmp_path, "train.txt", "( Astma )\n"))).splits == {}


def test_equal_notes_of_files_are_given_once(tmp_path: Path) -> None:
    for stem in ("train", "test"):
        written(tmp_path, f"{stem}.conll", "Astma B-DISORDER\n")
    assert read_path(tmp_path)[1] == (columns_note("BIO"),)


def test_a_missing_path_is_named(tmp_path: Path) -> None:
    path = tmp_path / "nothing.txt"
    assert fault_of(path).startswith(f"{path}: no such file")


def test_a_path_that_the_system_rejects_is_a_data_error(tmp_path: Path) -> None:
    path = tmp_path / ("x" * 5000)
    assert fault_of(path).startswith(f"{path}: cannot read: ")


@pytest.mark.parametrize("ending", [ending for ending in ENDINGS if ending != ".parquet"])
@pytest.mark.parametrize("content", ["", "\n\n", " \t\r\n", "\ufeff", "\ufeff\n"])
def test_an_empty_file_is_refused(tmp_path: Path, ending: str, content: str) -> None:
    path = written(tmp_path, f"a{ending}", content)
    assert fault_of(path).startswith(f"{path}: the file is empty")


def test_a_file_with_only_comments_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, "a.conll", "# nothing\n-DOCSTART- -X- O O\n")
    assert fault_of(path).startswith(f"{path}: no sentences")


@pytest.mark.parametrize("ending", [".txt", ".jsonl", ".conll"])
@pytest.mark.parametrize(
    ("content", "line", "byte", "offset"),
    [
        (b"\xff", 1, "0xFF", 0),
        ("Hjärtat\nlår".encode() + "\nåder\n".encode("latin-1"), 3, "0xE5", 14),
        (b"\xef\xbb\xbfab\n\n\n\xff", 4, "0xFF", 8),
        (b"a\r\nb\r\n\xc3", 3, "0xC3", 6),
        ("a\n".encode("utf-16"), 1, "0xFF", 0),
    ],
    ids=["first byte", "Latin-1", "behind a byte order mark", "cut off", "UTF-16"],
)
def test_a_file_that_is_not_utf8_is_named_with_line_byte_and_offset(
    tmp_path: Path, ending: str, content: bytes, line: int, byte: str, offset: int
) -> None:
    path = written(tmp_path, f"a{ending}", content)
    assert fault_of(path).startswith(f"{path}:{line}: not UTF-8: byte {byte} at offset {offset};")


@pytest.mark.parametrize("name", ["a.xyz", "a", "a.txt.gz", ".txt"])
def test_an_unknown_ending_is_refused_with_the_known_ones(tmp_path: Path, name: str) -> None:
    path = written(tmp_path, name, "( Astma )")
    message = fault_of(path)
    assert message.startswith(f"{path}: unknown ending {path.suffix!r}; ")
    assert all(ending in message for ending in ENDINGS)


def test_a_folder_without_data_is_refused_with_the_known_endings(tmp_path: Path) -> None:
    written(tmp_path, "README.md", "( Astma )")
    (tmp_path / "deeper").mkdir()
    written(tmp_path / "deeper", "train.txt", "( Astma )")
    message = fault_of(tmp_path)
    assert message.startswith(f"{tmp_path}: ")
    assert all(ending in message for ending in ENDINGS)


# ---- writing and reading back

TYPES = st.sampled_from([DISORDER, DRUG, BODY, "gene", "CELL-LINE", "Åtgärd"])
TOKENS = st.one_of(
    st.sampled_from(
        ["Astma", "p-piller", "10\u00a0mg", ".", ",", "(", "]", "{", "#", "O", "B-DRUG", "\u2028x", "🫀", "\\"]
    ),
    st.text(st.characters(exclude_categories=["Z", "C"]), min_size=1, max_size=6),
)


@st.composite
def token_ranges(
    draw: st.DrawFn,
    words: st.SearchStrategy[str] = TOKENS,
    types: st.SearchStrategy[str] = TYPES,
    touching: bool = True,
) -> Tagged:
    """Draw tokens and disjoint entities in them, optionally none next to another of its type."""
    tokens: list[str] = []
    ranges: list[Range] = []
    for phrase, label in draw(
        st.lists(st.tuples(st.lists(words, min_size=1, max_size=3), st.none() | types), max_size=5)
    ):
        start = len(tokens)
        tokens += phrase
        if label and (touching or not ranges or ranges[-1][1:] != (start, label)):
            ranges.append((start, len(tokens), label))
    return (tokens, ranges) if tokens else (["ord"], [])


def content_of(tokens: list[str], ranges: list[Range]) -> Content:
    starts = [len("".join(f"{token} " for token in tokens[:position])) for position in range(len(tokens))]
    spans = (Span(starts[first], starts[after - 1] + len(tokens[after - 1]), label) for first, after, label in ranges)
    return " ".join(tokens), tuple(spans)


LETTERS = {"BIO": "BIIB", "BIOES": "BIES", "BILOU": "BILU", "IO": "IIII"}
"""The prefixes of the first, inner, last and only token of an entity in each dialect."""


def tags_of(number: int, ranges: list[Range], dialect: str) -> list[str]:
    tags = ["O"] * number
    end, open_type = -1, ""
    for first, after, label in ranges:
        if dialect == "IOB1":
            opening = "B" if (first, label) == (end, open_type) else "I"
            letters = opening + "I" * (after - first - 1)
        else:
            begin, inside, last, only = list(LETTERS[dialect])
            letters = only if after == first + 1 else begin + inside * (after - first - 2) + last
        tags[first:after] = [f"{letter}-{label}" for letter in letters]
        end, open_type = after, label
    return tags


Writer = Callable[[list[list[str]], list[list[str]]], str]


def columns(tokens: list[list[str]], tags: list[list[str]], between: str) -> str:
    pairs = (zip(words, names, strict=True) for words, names in zip(tokens, tags, strict=True))
    return "\n".join("".join(f"{token}{between}{tag}\n" for token, tag in pair) for pair in pairs)


def tagged_json(tokens: list[list[str]], tags: list[list[str]]) -> str:
    rows = ({"tokens": words, "ner_tags": names} for words, names in zip(tokens, tags, strict=True))
    return "\n".join(map(json.dumps, rows))


TAGGED_FORMATS: dict[str, tuple[str, Writer]] = {
    "blanks": (".conll", lambda tokens, tags: columns(tokens, tags, " ")),
    "tabs": (".tsv", lambda tokens, tags: columns(tokens, tags, "\t_\t")),
    "plain text": (".txt", lambda tokens, tags: columns(tokens, tags, " ")),
    "JSON": (".jsonl", tagged_json),
}


@settings(deadline=None, max_examples=40)
@pytest.mark.parametrize("dialect", ["IOB1", "BIO", "BIOES", "BILOU", "IO"])
@pytest.mark.parametrize("format_name", TAGGED_FORMATS)
@given(data=st.data())
def test_tags_are_read_back(format_name: str, dialect: str, data: st.DataObject) -> None:
    corpus = data.draw(st.lists(token_ranges(touching=dialect != "IO"), min_size=1, max_size=4))
    tags = [tags_of(len(tokens), ranges, dialect) for tokens, ranges in corpus]
    ending, write = TAGGED_FORMATS[format_name]
    with tempfile.TemporaryDirectory() as folder:
        path = written(Path(folder), f"a{ending}", write([tokens for tokens, _ in corpus], tags))
        sentences, _ = read_file(path)
    assert contents(sentences) == [content_of(*sentence) for sentence in corpus]


@st.composite
def span_contents(draw: st.DrawFn, characters: st.SearchStrategy[str]) -> Content:
    """Draw a text with any spans, including overlapping ones."""
    text = draw(st.text(characters, max_size=20))
    offsets = st.integers(0, len(text))
    pairs = draw(st.lists(st.tuples(offsets, offsets, TYPES), max_size=4))
    return text, tuple(sorted(Span(min(a, b), max(a, b), label) for a, b, label in pairs))


def as_lists(text: str, spans: Sequence[Span]) -> dict[str, Any]:
    return {"text": text, "spans": [[span.start, span.end, span.label] for span in spans]}


def as_objects(text: str, spans: Sequence[Span]) -> dict[str, Any]:
    return {"text": text, "spans": [{"start": s.start, "end": s.end, "label": s.label} for s in spans]}


def as_hub_objects(text: str, spans: Sequence[Span]) -> dict[str, Any]:
    return {"sentence": text, "entities": [{"start": s.start, "end": s.end, "type": s.label} for s in spans]}


def as_hub_lists(text: str, spans: Sequence[Span]) -> dict[str, Any]:
    entities = {"start": [s.start for s in spans], "end": [s.end for s in spans], "type": [s.label for s in spans]}
    return {"sentence": text, "entities": entities}


def trimmed(content: Content) -> Content:
    """The spans without white space around them; those that are nothing else are not read."""
    text, spans = content
    found = []
    for span in spans:
        inside = span.text_in(text)
        start = span.start + len(inside) - len(inside.lstrip())
        if inside.strip():
            found.append(Span(start, start + len(inside.strip()), span.label))
    return text, tuple(sorted(found))


ROW_FORMS = [as_lists, as_objects, as_hub_objects, as_hub_lists]
ANY_CHARACTER = st.one_of(st.characters(exclude_categories=["Cs"]), st.sampled_from('\u2028\x00\r\n"\\'))


@settings(deadline=None)
@pytest.mark.parametrize("escaped", [True, False], ids=["escaped", "UTF-8"])
@pytest.mark.parametrize("form", ROW_FORMS)
@given(data=st.data())
def test_jsonl_is_read_back(
    form: Callable[[str, Sequence[Span]], dict[str, Any]], escaped: bool, data: st.DataObject
) -> None:
    characters = ANY_CHARACTER if escaped else st.characters(exclude_categories=["Cs"])
    corpus = data.draw(st.lists(span_contents(characters), min_size=1, max_size=3))
    lines = [json.dumps(form(*content), ensure_ascii=escaped) for content in corpus]
    with tempfile.TemporaryDirectory() as folder:
        sentences, _ = read_file(written(Path(folder), "a.jsonl", "\n".join(lines)))
    assert contents(sentences) == list(map(trimmed, corpus))


@settings(deadline=None, max_examples=20)
@pytest.mark.parametrize("form", [as_objects, as_hub_objects, as_hub_lists])
@given(data=st.data())
def test_parquet_is_read_back(form: Callable[[str, Sequence[Span]], dict[str, Any]], data: st.DataObject) -> None:
    characters = st.characters(exclude_categories=["Cs"])
    corpus = data.draw(st.lists(span_contents(characters), min_size=1, max_size=3))
    with tempfile.TemporaryDirectory() as folder:
        sentences, _ = read_file(raw_parquet(Path(folder), pyarrow.Table.from_pylist([form(*c) for c in corpus])))
    assert contents(sentences) == list(map(trimmed, corpus))


BRACKETS = {DISORDER: "( {} )", DRUG: "[ {} ]", BODY: "{{ {} }}"}
BRACKETED_SENTENCES = st.lists(
    token_ranges(st.text(st.characters(categories=["L", "N"]), min_size=1), st.sampled_from([DISORDER, DRUG, BODY])),
    min_size=1,
    max_size=4,
)


@settings(deadline=None)
@given(BRACKETED_SENTENCES.filter(lambda corpus: any(ranges for _, ranges in corpus)))
def test_brackets_are_read_back_when_stripped(corpus: list[Tagged]) -> None:
    lines = []
    for tokens, ranges in corpus:
        phrases = list(tokens)
        for first, after, label in reversed(ranges):
            phrases[first:after] = [BRACKETS[label].format(" ".join(tokens[first:after]))]
        lines.append(" ".join(phrases))
    with tempfile.TemporaryDirectory() as folder:
        path = written(Path(folder), "a.txt", "\n".join(lines))
        sentences = load_corpus(str(path), markup="strip").sentences
    assert contents(sentences) == [content_of(*sentence) for sentence in corpus]


def test_the_fingerprint_is_the_same_for_the_same_data_in_every_format(tmp_path: Path) -> None:
    row = as_objects("Alvedon mot astma", [Span(0, 7, DRUG), Span(12, 17, DISORDER)])
    paths = [
        written(tmp_path, "a.conll", "Alvedon B-DRUG\nmot O\nastma B-DISORDER\n"),
        written(tmp_path, "b.tsv", "Alvedon\tU-DRUG\nmot\tO\nastma\tU-DISORDER"),
        written(tmp_path, "c.jsonl", json.dumps(row)),
        parquet(tmp_path, [HUB_ROW], hub_features(CLASS_NAMES)),
    ]
    assert len({load_corpus(str(path)).fingerprint for path in paths}) == 1


# ---- arbitrary bytes

VALID_FILES = [
    b"( Astma ) lindras av [ Alvedon ] .\n{ a } { b }\n\n",
    json.dumps(HUB_ROW).encode() + b"\n",
    json.dumps(as_lists("Hjärtat slår", [Span(0, 7, BODY)])).encode() + b"\n",
    json.dumps({"tokens": ["svår", "astma"], "ner_tags": ["B-A", "I-A"]}).encode(),
    b"svar\tB-DISORDER\nastma\tI-DISORDER\n\n-DOCSTART-\n# x\nRing O\r\n",
]
INSERTIONS = st.one_of(
    st.binary(max_size=3),
    st.sampled_from([b"\xff", b"\x00", b"\xef\xbb\xbf", b"\r", b"\n", b"\t", "\u2028".encode(), b"\\ud800"]),
    st.sampled_from([b"null", b"true", b"-1", b"1e999", b"NaN", b"[]", b"{}", b'""']),
    st.sampled_from([b"[" * 2000, b"[" * 500 + b"]" * 500, b"9" * 5000, b"x" * 100_000]),
)


@st.composite
def mutated_files(draw: st.DrawFn) -> bytes:
    content = draw(st.sampled_from(VALID_FILES))
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(content)))
        cut = draw(st.integers(0, 4))
        content = content[:start] + draw(INSERTIONS) + content[start + cut :]
    return content


def assert_read_or_refused(path: Path) -> None:
    try:
        sentences, _ = read_file(path)
    except DataError:
        return
    assert sentences
    for sentence in sentences:
        assert isinstance(sentence.text, str)
        assert all(0 <= span.start <= span.end <= len(sentence.text) and span.label for span in sentence.spans)


@settings(deadline=None, max_examples=150)
@pytest.mark.parametrize("ending", [".txt", ".jsonl", ".conll"])
@given(content=st.one_of(st.binary(max_size=200), mutated_files()))
def test_any_bytes_are_read_or_a_data_error(ending: str, content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        assert_read_or_refused(written(Path(folder), f"a{ending}", content))


JSON_VALUES = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(-2, 20), st.floats(), st.sampled_from(["", "DRUG", "B-A", "O", "0"])
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(["start", "end", "type", "label", "text"]), inner, max_size=4),
    ),
    max_leaves=12,
)
JSON_ROWS = st.sampled_from([("sentence", "entities"), ("text", "spans"), ("tokens", "ner_tags")]).flatmap(
    lambda keys: st.fixed_dictionaries(
        {keys[0]: st.one_of(st.just("Alvedon"), JSON_VALUES), keys[1]: JSON_VALUES}, optional={"sid": JSON_VALUES}
    )
)


@settings(deadline=None, max_examples=400)
@given(JSON_ROWS)
def test_any_json_values_in_a_row_are_read_or_a_data_error(row: dict[str, Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        assert_read_or_refused(written(Path(folder), "a.jsonl", json.dumps(row)))


@pytest.fixture(scope="module")
def valid_parquet(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return parquet(tmp_path_factory.mktemp("parquet"), [HUB_ROW], hub_features(CLASS_NAMES)).read_bytes()


@settings(deadline=None, max_examples=100)
@given(st.lists(st.tuples(st.integers(0, 100_000), st.integers(0, 255)), min_size=1, max_size=4))
def test_a_damaged_parquet_file_is_read_or_a_data_error(valid_parquet: bytes, damages: list[tuple[int, int]]) -> None:
    content = bytearray(valid_parquet)
    for position, byte in damages:
        content[position % len(content)] = byte
    with tempfile.TemporaryDirectory() as folder:
        assert_read_or_refused(written(Path(folder), "a.parquet", bytes(content)))


def test_shards_with_the_names_of_the_hub_are_splits(tmp_path: Path) -> None:
    for split_name in ("train", "validation", "test"):
        written(tmp_path, f"{split_name}-00000-of-00001.txt", f"Ont i {{{split_name}}}.\n")
    written(tmp_path, ".train.txt", "( gömd )\n")
    written(tmp_path, "LICENSE.txt", "( fri )\n")
    sentences, _ = read_path(tmp_path)
    assert [split_name for split_name, _ in sentences] == ["test", "train", "validation"]


def test_types_keep_their_spelling(tmp_path: Path) -> None:
    path = written(tmp_path, "a.conll", "Alvedon B-drug\nhjälper O\n")
    (sentence,), _ = read_file(path)
    assert sentence.spans == (Span(0, 7, "drug"),)


# ---- which files of a folder are read


def conll(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(exist_ok=True)
        written(folder, name, f"{name.replace('/', '_')} B-PER\n")
    return folder


@pytest.mark.parametrize(
    ("files", "left_out"),
    [
        ({"sv_train.conll": "train", "sv_dev.conll": "validation", "sv_test.conll": "test"}, ""),
        ({"eng.train": "train", "eng.testa": "validation", "eng.testb": "test"}, ""),
        ({"x-training-2.tsv": "train", "x-development-2.tsv": "validation"}, ""),
        ({"CDR_TrainingSet.conll": "train", "CDR_TestSet.conll": "test", "CDR_DevelopmentSet.conll": "validation"}, ""),
        ({"NCBItrainset_corpus.conll": "train", "NCBIdevelopset_corpus.conll": "validation"}, ""),
        (
            {"myTrainData.conll": "train", "latest.conll": None, "dataset.conll": None, "b_test.conll": "test"},
            "latest.conll",
        ),
        ({"train/a.conll": "train", "valid/b.conll": "validation", "test/c.conll": "test"}, ""),
        (
            {"train.conll": "train", "dev.conll": "validation", "labels.txt": None, "list.txt": None},
            "labels.txt, list.txt",
        ),
        ({"train.conll": "train", "test.conll": "test", "test_unlabeled.conll": None}, "test_unlabeled.conll"),
        ({"train-1.conll": "train", "train-2.conll": "train", "test.conll": "test"}, ""),
        ({"train.conll": "train", "test.gold": "test"}, ""),
    ],
)
def test_words_of_names_tell_the_splits(tmp_path: Path, files: dict[str, str | None], left_out: str) -> None:
    found, notes = read_path(conll(tmp_path, *files))
    expected = {name.replace("/", "_"): split for name, split in files.items() if split}
    assert {sentence.text: split for split, sentence in found} == expected
    noted = [note for note in notes if note.startswith("not read, since their names are not those of splits: ")]
    assert [note.endswith(left_out) for note in noted] == ([True] if left_out else [])


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("train_2020.conll", "train_2021.conll", "train_all.conll", "test.conll"), "3 files could be the split train"),
        (("train.txt", "train.conll", "test.conll"), "2 files could be the split train"),
        (("test.gold", "test.pred", "train.conll"), "2 files could be the split test"),
        (("dev.conll", "test.conll"), "no file is named after the split train"),
        (("train.conll", "other.conll"), "train.conll has the name of a split, but other.conll have not"),
        (("a.conll", "b.txt"), "files of several formats"),
    ],
)
def test_an_ambiguous_folder_is_refused(tmp_path: Path, names: tuple[str, ...], message: str) -> None:
    assert message in fault_of(conll(tmp_path, *names))


def test_a_format_can_be_given(tmp_path: Path) -> None:
    path = written(tmp_path, "a.xyz", "( Astma ) B-X\n")
    assert load_corpus(path, format="brackets").entity_types == (DISORDER,)
    assert "no such" in fault_of(tmp_path / "b.xyz")
