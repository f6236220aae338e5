"""`--data`: what it can name, and what is said when that cannot be a corpus."""

from pathlib import Path
from typing import Any

import pytest

from tune_ner.data import loaders
from tune_ner.data.corpus import BODY, DISORDER, DRUG, MEDICAL_TYPES, Sentence, Span, SplitName
from tune_ner.data.loaders import load_corpus
from tune_ner.data.markup import MarkupMode
from tune_ner.errors import DataError


def fault_of(data: str) -> str:
    with pytest.raises(DataError) as caught:
        load_corpus(data)
    return str(caught.value)


@pytest.fixture
def bracket_file(tmp_path: Path) -> Path:
    path = tmp_path / "notes.txt"
    path.write_text("{ hjärtat } och { lungan }\n[ Alvedon ] .\n", encoding="utf-8")
    return path


def test_synthetic_has_the_medical_types() -> None:
    corpus = load_corpus("synthetic")
    assert corpus.entity_types == MEDICAL_TYPES
    assert len(corpus) == 1200
    assert load_corpus("synthetic:").fingerprint == corpus.fingerprint


@pytest.mark.parametrize("size", [20, 21])
def test_synthetic_has_the_requested_size(size: int) -> None:
    corpus = load_corpus(f"synthetic:{size}")
    assert len(corpus) == size
    assert corpus.name == f"synthetic:{size}"


@pytest.mark.parametrize("size", ["0", "-3", "1.5", "many", " 5", "1_000", "²", "9" * 10, "9" * 5000])
def test_an_invalid_synthetic_size_is_refused(size: str) -> None:
    message = fault_of(f"synthetic:{size}")
    assert message.startswith(f"synthetic:{size:.20}: ")
    assert "expected a number of sentences" in message
    assert len(message) < 200


def test_stripping_a_corpus_without_markup_is_noted() -> None:
    kept, stripped = load_corpus("synthetic:50"), load_corpus("synthetic:50", markup="strip")
    assert stripped.fingerprint == kept.fingerprint
    assert "nothing to strip" in stripped.notes[-1]


@pytest.mark.parametrize("data", ["hub:", "hub::1177"])
def test_a_hub_source_without_a_name_is_refused(data: str) -> None:
    message = fault_of(data)
    assert message.startswith(f"{data}: no data set named")
    assert "expected hub:OWNER/NAME or hub:OWNER/NAME:CONFIG" in message


@pytest.mark.parametrize(
    ("data", "asked"),
    [
        ("hub:owner/name", ("owner/name", None)),
        ("hub:owner/name:1177", ("owner/name", "1177")),
        ("hub:n:", ("n", None)),
    ],
)
def test_a_hub_source_names_a_data_set_and_its_configuration(
    data: str, asked: tuple[str, str | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[tuple[str, str | None]] = []

    def read_hub(
        name: str, config: str | None, _: object
    ) -> tuple[list[tuple[SplitName | None, Sentence]], tuple[str, ...]]:
        calls.append((name, config))
        return [("test", Sentence("0", "Astma", (Span(0, 5, DISORDER),))), ("train", Sentence("1", "Ring"))], ("noted",)

    monkeypatch.setattr(loaders, "read_hub", read_hub)
    corpus = load_corpus(data)
    assert calls == [asked]
    assert corpus.name == data
    assert corpus.splits == {"train": (1,), "test": (0,)}
    assert corpus.entity_types == (DISORDER,)
    assert corpus.notes == ("noted",)


@pytest.mark.parametrize(
    ("markup", "texts", "entities"),
    [
        ("keep", ["{ hjärtat } och { lungan }", "[ Alvedon ] ."], ["{ hjärtat } och { lungan }", "[ Alvedon ]"]),
        ("strip", ["hjärtat och lungan", "Alvedon."], ["hjärtat", "lungan", "Alvedon"]),
    ],
)
def test_markup_is_kept_or_stripped(
    bracket_file: Path, markup: MarkupMode, texts: list[str], entities: list[str]
) -> None:
    corpus = load_corpus(str(bracket_file), markup)
    assert [sentence.text for sentence in corpus.sentences] == texts
    assert [span.text_in(sentence.text) for sentence in corpus.sentences for span in sentence.spans] == entities
    assert corpus.entity_types == (DRUG, BODY)
    assert corpus.name == "notes.txt"


def test_a_path_object_is_read_like_its_string(bracket_file: Path) -> None:
    assert load_corpus(bracket_file) == load_corpus(str(bracket_file))


def test_a_path_object_never_names_the_generator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match="synthetic: no such file"):
        load_corpus(Path("synthetic"))


@pytest.mark.parametrize("markup", ["foo", "Strip", "", None])
def test_an_unknown_markup_mode_is_refused_with_the_known_ones(bracket_file: Path, markup: Any) -> None:
    with pytest.raises(DataError, match=r"markup.*keep, strip"):
        load_corpus(bracket_file, markup)
    with pytest.raises(DataError, match=r"markup.*keep, strip"):
        load_corpus(bracket_file, markup=markup)


def test_the_fingerprint_does_not_depend_on_the_path(bracket_file: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere" / "other.txt"
    elsewhere.parent.mkdir()
    elsewhere.write_bytes(bracket_file.read_bytes())
    assert load_corpus(str(elsewhere)).fingerprint == load_corpus(str(bracket_file)).fingerprint


def test_a_tilde_is_the_home_folder(bracket_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(bracket_file.parent))
    assert len(load_corpus("~/notes.txt")) == 2


def test_an_unknown_home_folder_is_refused() -> None:
    message = fault_of("~unknown-user/notes.txt")
    assert message.startswith("~unknown-user/notes.txt: ")
    assert "give the full path" in message


def test_the_corpus_of_the_current_folder_has_its_name(bracket_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(bracket_file.parent)
    assert load_corpus(".").name == bracket_file.parent.name


def test_a_corpus_without_entities_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "plain.txt"
    path.write_text("Ring 1177.\nSök vård.\n", encoding="utf-8")
    message = fault_of(str(path))
    assert message.startswith(f"{path}: 2 sentences without any entity")
    assert "expected annotated text: brackets ( ) [ ] { } around entities, or spans, or tags" in message


@pytest.mark.parametrize("data", ["nothing.txt", "synthetics", "Synthetic:5", "a\0b.txt"])
def test_unknown_sources_are_refused_as_missing_paths(data: str) -> None:
    assert fault_of(data).startswith(f"{data}: no such file or folder")


# ---- groups

COLUMNS = "Ada B-PER\nruns O\n\nBob B-PER\n\n"


@pytest.fixture
def corpus_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "corpus"
    folder.mkdir()
    return folder


def groups_of(source: Any, **reading: Any) -> list[str]:
    return [sentence.group for sentence in load_corpus(source, **reading).sentences]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (
            f"-DOCSTART- O\n\n{COLUMNS}-DOCSTART- O\n\n{COLUMNS}",
            ["corpus/a:1", "corpus/a:1", "corpus/a:2", "corpus/a:2"],
        ),
        (
            f"-DOCSTART- -X- O\n{COLUMNS}-DOCSTART- -X- O\n{COLUMNS}",
            ["corpus/a:1", "corpus/a:1", "corpus/a:2", "corpus/a:2"],
        ),
        (f"# newdoc id = w01\n{COLUMNS}# newdoc id = w02\n{COLUMNS}", ["w01", "w01", "w02", "w02"]),
        (f"# newdoc\n{COLUMNS}# newdoc\n{COLUMNS}", ["corpus/a:1", "corpus/a:1", "corpus/a:2", "corpus/a:2"]),
        (
            f"#begin document (x); part 000\n{COLUMNS}#begin document (y)\n{COLUMNS}",
            ["corpus/a:1", "corpus/a:1", "corpus/a:2", "corpus/a:2"],
        ),
        (f"-DOCSTART- O\n\n{COLUMNS}", ["", ""]),
        (f"# newdoc id = w01\n{COLUMNS}", ["w01", "w01"]),
        (COLUMNS, ["", ""]),
    ],
)
def test_sentences_of_columns_know_their_document(corpus_folder: Path, content: str, expected: list[str]) -> None:
    file = corpus_folder / "a.conll"
    file.write_text(content)
    assert groups_of(file) == expected


def test_sentences_of_brat_files_know_their_document(corpus_folder: Path) -> None:
    for name in ("one", "two"):
        (corpus_folder / f"{name}.txt").write_text("Ada runs\nBob\n")
        (corpus_folder / f"{name}.ann").write_text("T1\tPER 0 3\tAda\n")
    assert groups_of(corpus_folder) == ["corpus/one", "corpus/one", "corpus/two", "corpus/two"]


@pytest.mark.parametrize("row", [{"doc_id": 7}, {"meta": {"document_id": 7}}, {"document": "7"}])
def test_rows_know_their_document(row: dict[str, Any]) -> None:
    given = [{"text": "Ada runs", "spans": [[0, 3, "PER"]], **row}]
    assert groups_of(given) == ["7"]


@pytest.mark.parametrize("nested", [False, True])
def test_rows_are_grouped_by_any_key(nested: bool) -> None:
    def row(patient: str) -> dict[str, Any]:
        key = {"patient": patient}
        return {"text": "Ada runs", "spans": [[0, 3, "PER"]], "doc_id": 1, **({"meta": key} if nested else key)}

    corpus = load_corpus([row("x"), row("y"), row("x")], group_by="patient")
    assert [sentence.group for sentence in corpus.sentences] == ["x", "y", "x"]
    assert corpus.group_by == "patient"
    assert any("2 groups" in note for note in corpus.notes)


def test_columns_are_grouped_by_a_column_of_their_header(tmp_path: Path) -> None:
    file = tmp_path / "a.tsv"
    file.write_text("token\tpatient\tner\nAda\tp1\tB-PER\nruns\tp1\tO\n\nBob\tp2\tB-PER\n\nBo\tp1\tB-PER\n")
    assert groups_of(file, group_by="patient") == ["p1", "p2", "p1"]


def test_files_are_groups_on_request(corpus_folder: Path) -> None:
    for name in ("x", "y"):
        (corpus_folder / f"{name}.conll").write_text(COLUMNS)
    assert groups_of(corpus_folder, group_by="file") == [
        "corpus/x.conll",
        "corpus/x.conll",
        "corpus/y.conll",
        "corpus/y.conll",
    ]
    assert groups_of(corpus_folder) == ["", "", "", ""]


@pytest.mark.parametrize(
    ("group_by", "found"),
    [("document", "has no document"), ("patient", "no text or number"), ("id", "all 2 sentences have the same")],
)
def test_a_corpus_without_the_groups_is_refused(group_by: str, found: str) -> None:
    row = {"text": "Ada runs", "spans": [[0, 3, "PER"]], "id": 3}
    with pytest.raises(DataError, match=found):
        load_corpus([row, row], group_by=group_by)


def test_a_sentence_of_two_groups_is_refused_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "a.tsv"
    file.write_text("token\tpatient\tner\nAda\tp1\tB-PER\n\nBo\tp1\tO\nruns\tp2\tO\n")
    with pytest.raises(DataError, match=r"a.tsv:4: group_by 'patient': found 2 values"):
        load_corpus(file, group_by="patient")


def test_the_fingerprint_depends_on_groups_that_must_not_be_divided() -> None:
    rows = [{"text": "Ada runs", "spans": [[0, 3, "PER"]], "doc_id": i, "patient": i // 2} for i in range(4)]
    plain, by_document, by_patient = (load_corpus(rows, group_by=name) for name in (None, "document", "patient"))
    without = load_corpus([{key: row[key] for key in ("text", "spans")} for row in rows])
    assert plain.fingerprint == without.fingerprint
    assert len({plain.fingerprint, by_document.fingerprint, by_patient.fingerprint}) == 3


def test_files_of_the_same_name_in_split_folders_are_different_documents(tmp_path: Path) -> None:
    for split in ("train", "test"):
        (tmp_path / split).mkdir()
        (tmp_path / split / "a.conll").write_text(f"-DOCSTART- O\n\n{COLUMNS}-DOCSTART- O\n\n{COLUMNS}")
    assert sorted(set(groups_of(tmp_path))) == ["test/a:1", "test/a:2", "train/a:1", "train/a:2"]


def test_a_mark_of_a_document_may_be_quoted(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    rows = '"Ada",B-PER\nruns,O\n\n'
    file.write_text(f'"-DOCSTART-",O\n\n{rows}"-DOCSTART-",O\n\n{rows}')
    assert len(set(groups_of(file))) == 2
    assert [sentence.text for sentence in load_corpus(file).sentences] == ["Ada runs", "Ada runs"]


@pytest.mark.parametrize("value", [True, "", None, [1]])
def test_what_is_no_name_is_no_document(value: object) -> None:
    assert groups_of([{"text": "Ada runs", "spans": [[0, 3, "PER"]], "document": value}]) == [""]


def test_a_text_is_no_document() -> None:
    rows = [{"document": "Ada runs", "spans": [[0, 3, "PER"]]}]
    assert groups_of(rows, columns={"text": "document"}) == [""]


def test_known_documents_are_said() -> None:
    rows = [{"text": "Ada runs", "spans": [[0, 3, "PER"]], "doc_id": i} for i in range(3)]
    assert any(note.startswith("documents: 3;") for note in load_corpus(rows).notes)


def test_the_fingerprint_does_not_depend_on_the_names_of_groups() -> None:
    def rows(prefix: str) -> list[dict[str, Any]]:
        return [{"text": "Ada runs", "spans": [[0, 3, "PER"]], "doc_id": f"{prefix}{i // 2}"} for i in range(6)]

    one, other = (load_corpus(rows(prefix), group_by="document").fingerprint for prefix in ("x", "y"))
    assert one == other
