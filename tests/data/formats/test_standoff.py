"""brat folders and PubTator files."""

from pathlib import Path

import pytest

from tune_ner.data.corpus import Corpus
from tune_ner.data.loaders import load_corpus
from tune_ner.errors import DataError


def entities(corpus: Corpus) -> list[tuple[str, list[tuple[str, str]]]]:
    return [(s.text, [(span.text_in(s.text), span.label) for span in s.spans]) for s in corpus.sentences]


def brat(folder: Path, text: str, annotation: str, name: str = "d") -> Path:
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.txt").write_bytes(text.encode())
    (folder / f"{name}.ann").write_bytes(annotation.encode())
    return folder


def refused(path: Path) -> str:
    with pytest.raises(DataError) as caught:
        load_corpus(path)
    return str(caught.value)


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_each_line_of_a_document_is_a_sentence(tmp_path: Path, end: str) -> None:
    text = f"Anna (nurse) left.{end}{end}Bo saw Rom."
    bo = len(f"Anna (nurse) left.{end}{end}")
    annotation = (
        f"T1\tPER 0 4\tAnna\nR1\tx Arg1:T1 Arg2:T2\nT2\tPER {bo} {bo + 2}\tBo\nT3\tLOC {bo + 7} {bo + 10}\tRom\n"
    )
    corpus = load_corpus(brat(tmp_path / "c", text, annotation))
    assert entities(corpus) == [
        ("Anna (nurse) left.", [("Anna", "PER")]),
        ("Bo saw Rom.", [("Bo", "PER"), ("Rom", "LOC")]),
    ]
    assert corpus.sentences[1].source.endswith("d.txt:3")


def test_lines_that_an_entity_crosses_are_one_sentence(tmp_path: Path) -> None:
    corpus = load_corpus(brat(tmp_path / "c", "in New\nYork\nnow", "T1\tLOC 3 11\tNew York\n"))
    assert entities(corpus) == [("in New\nYork", [("New\nYork", "LOC")]), ("now", [])]


def test_discontinuous_entities_are_counted(tmp_path: Path) -> None:
    corpus = load_corpus(
        brat(tmp_path / "c", "left and right arm", "T1\tB 0 4;15 18\tleft arm\nT2\tB 9 18\tright arm\n")
    )
    assert entities(corpus)[0][1] == [("right arm", "B")]
    assert "discontinuous entities left out: 1" in corpus.notes


def test_discontinuous_entities_can_be_covered_or_an_error(tmp_path: Path) -> None:
    folder = brat(tmp_path / "c", "left and right arm", "T1\tB 0 4;15 18\tleft arm\n")
    corpus = load_corpus(folder, discontinuous="cover")
    assert entities(corpus)[0][1] == [("left and right arm", "B")]
    assert "discontinuous entities, read from their first to their last character: 1" in corpus.notes
    with pytest.raises(DataError, match=r"d\.ann:1: an entity of 2 parts; `--discontinuous cover`"):
        load_corpus(folder, discontinuous="error")
    with pytest.raises(DataError, match="discontinuous"):
        load_corpus(folder, discontinuous="first")
    wrong = brat(tmp_path / "w", "left and right arm", "T1\tB 1 4;15 18\tleft arm\n")
    with pytest.raises(DataError, match="the entity 'left arm' is not at its offsets, where the text is 'eft arm'"):
        load_corpus(wrong, discontinuous="cover")


@pytest.mark.parametrize(("mention", "is_read"), [('a " b " c', True), ("a   b   c", True), ("a ' b ' d", False)])
def test_the_text_of_an_entity_may_differ_in_punctuation(tmp_path: Path, mention: str, is_read: bool) -> None:
    folder = brat(tmp_path / "c", "a ' b ' c", f"T1\tX 0 9\t{mention}\n")
    if is_read:
        assert "entities whose text differs in punctuation, read by their offsets: 1" in load_corpus(folder).notes
    else:
        assert "is not at its offsets" in refused(folder)


def test_nested_entities_are_kept(tmp_path: Path) -> None:
    corpus = load_corpus(brat(tmp_path / "c", "New York City", "T1\tLOC 0 13\tNew York City\nT2\tLOC 0 8\tNew York\n"))
    assert len(corpus.sentences[0].spans) == 2


def test_folders_named_after_splits_are_splits(tmp_path: Path) -> None:
    for name in ("train", "dev", "test"):
        brat(tmp_path / name, "Anna left.", "T1\tPER 0 4\tAnna\n")
    assert load_corpus(tmp_path).splits == {"train": (2,), "validation": (0,), "test": (1,)}


@pytest.mark.parametrize(
    ("annotation", "found"),
    [
        ("T1\tPER 0 3\tAnna\n", "the entity 'Anna' is not at its offsets 0 to 3, where the text is 'Ann'"),
        ("T1\tPER 0 40\tAnna\n", "outside of its text"),
        ("T1 PER 0 4 Anna\n", "expected `T1<tab>TYPE START END<tab>TEXT`"),
    ],
)
def test_a_wrong_annotation_is_named_with_its_line(tmp_path: Path, annotation: str, found: str) -> None:
    message = refused(brat(tmp_path / "c", "Anna left.", f"\n{annotation}"))
    assert "d.ann:2: " in message
    assert found in message


def test_an_annotation_without_its_text_is_refused(tmp_path: Path) -> None:
    brat(tmp_path / "c", "", "")
    (tmp_path / "c" / "d.txt").unlink()
    assert "there is no d.txt next to it" in refused(tmp_path / "c")


PUBTATOR = """1|t|A study of fever (pyrexia).
1|a|Aspirin helps.
1\t11\t16\tfever\tDisease\tD1
1\t28\t35\tAspirin\tChemical\tD2
1\tCID\tD1\tD2

2|t|No entity.
2|a|Nothing.
"""


def test_titles_and_abstracts_of_pubtator_are_sentences(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(PUBTATOR)
    corpus = load_corpus(tmp_path / "a.txt")
    assert entities(corpus) == [
        ("A study of fever (pyrexia).", [("fever", "Disease")]),
        ("Aspirin helps.", [("Aspirin", "Chemical")]),
        ("No entity.", []),
        ("Nothing.", []),
    ]
    assert "relations skipped: 1" in corpus.notes


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("1\t11\t15\tfever\tDisease", "is not at its offsets 11 to 15"),
        ("3\t11\t16\tfever\tDisease", "expected `ID|t|title`"),
        ("fever", "expected `ID|t|title`"),
    ],
)
def test_a_wrong_line_of_pubtator_is_named(tmp_path: Path, line: str, found: str) -> None:
    (tmp_path / "a.pubtator").write_text(f"1|t|A study of fever.\n1|a|Aspirin.\n{line}\n")
    message = refused(tmp_path / "a.pubtator")
    assert "a.pubtator:3: " in message
    assert found in message
