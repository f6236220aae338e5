"""WebAnno TSV 3 and UIMA CAS, as INCEpTION exports them."""

from pathlib import Path
from typing import Any

import cassis
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tune_ner.data.corpus import Corpus
from tune_ner.data.loaders import load_corpus
from tune_ner.errors import DataError

ENTITY = "de.tudarmstadt.ukp.dkpro.core.api.ner.type.NamedEntity"
SENTENCE = "de.tudarmstadt.ukp.dkpro.core.api.segmentation.type.Sentence"
TYPES = cassis.load_dkpro_core_typesystem().to_xml()
EXPECTED = [
    ("Anna 😀 såg New York.", [("Anna", "PER"), ("New", "ORG"), ("New York", "LOC")]),
    ("Det regnade i Ro-m.", [("Ro", "A|B")]),
]
HEADER = f"#FORMAT=WebAnno TSV 3.3\n#T_SP={ENTITY}|identifier|value\n#T_RL=x.Rel|kind|BT_{ENTITY}\n"
TSV = (
    HEADER
    + """

#Text=Anna 😀 såg New York.
1-1	0-4	Anna	*	PER	_	_
1-2	5-7	😀	_	_	_	_
1-3	8-11	såg	_	_	_	_
1-4	12-15	New	*[1]	LOC[1]|ORG[2]	_	_
1-5	16-20	York	*[1]	LOC[1]	_	_
1-6	20-21	.	_	_	_	_

#Text=Det regnade i Ro-m.
2-1	22-25	Det	_	_	_	_
2-2	26-33	regnade	_	*	_	_
2-3	34-35	i	_	_	_	_
2-4	36-40	Ro-m	_	_	_	_
2-4.1	36-38	Ro	*	A\\|B	_	_
2-5	40-41	.	_	_	_	_
"""
)


def entities(corpus: Corpus) -> list[tuple[str, list[tuple[str, str]]]]:
    return [(s.text, [(span.text_in(s.text), span.label) for span in s.spans]) for s in corpus.sentences]


def tsv(folder: Path, content: str) -> Path:
    path = folder / "a.tsv"
    path.write_text(content, encoding="utf-8")
    return path


def test_stacked_and_long_entities_and_parts_of_tokens_are_read(tmp_path: Path) -> None:
    corpus = load_corpus(tsv(tmp_path, TSV))
    assert entities(corpus) == EXPECTED
    assert corpus.sentences[1].source.endswith("a.tsv:15")
    assert corpus.notes[:2] == (
        "read as WebAnno TSV 3, types from NamedEntity.value",
        "annotations without a value left out: 1",
    )


def test_the_layer_of_entities_can_be_chosen(tmp_path: Path) -> None:
    content = TSV.replace(f"{ENTITY}|identifier|value", "webanno.custom.Finding|certainty|kind")
    with pytest.raises(DataError, match=r"found Finding\.certainty \(2\), Finding\.kind \(4\)") as caught:
        load_corpus(tsv(tmp_path, content), tag_column="colour")
    assert "--tag-column LAYER.FEATURE" in str(caught.value)
    with pytest.raises(DataError, match="2 features can hold the types of entities"):
        load_corpus(tsv(tmp_path, content))
    for name in ("kind", "Finding.kind"):
        assert entities(load_corpus(tsv(tmp_path, content), tag_column=name)) == EXPECTED


def test_entities_can_begin_and_end_inside_of_tokens_and_have_no_width(tmp_path: Path) -> None:
    rows = ["1-1\t0-6\taaaaaa\tA[1]|B[2]", "1-1.1\t3-6\taaa\tC[3]|C[4]", "1-1.2\t6-6\t\tE[6]",
            "1-2\t7-13\tbbbbbb\tA[1]", "1-2.1\t7-10\tbbb\tC[3]", "1-2.2\t9-10\tb\tD[5]",
            "1-3\t14-15\tc\t_"]  # fmt: skip
    lines = ["#FORMAT=WebAnno TSV 3.2", "#T_SP=webanno.custom.Span|value", "", "#Text=aaaaaa bbbbbb c", *rows]
    corpus = load_corpus(tsv(tmp_path, "\n".join(lines)))
    assert sorted((x.start, x.end, x.label) for x in corpus.sentences[0].spans) == [
        (0, 6, "B"), (0, 13, "A"), (3, 6, "C"), (3, 10, "C"), (9, 10, "D"),
    ]  # fmt: skip
    assert "empty spans left out: 1" in corpus.notes


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("5-7\t😀", "5-6\t😀", "a.tsv:8: the token '😀' is not at its offsets 5-6"),
        ("1-2\t5-7", "1-2\tx", "a.tsv:8: found"),
        ("#Text=Anna 😀 såg New York.\n", "", "a.tsv:6: found"),
        ("såg\t", "sag\t", "a.tsv:9: the token 'sag'"),
    ],
)
def test_invalid_lines_are_named(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in TSV
    with pytest.raises(DataError) as caught:
        load_corpus(tsv(tmp_path, TSV.replace(old, new)))
    assert message in str(caught.value)


def type_system() -> Any:
    return cassis.load_typesystem(TYPES)


def a_cas(parts: list[tuple[str, bool]], layer: str = ENTITY, with_sentences: bool = True) -> Any:
    """Return a CAS whose sentences begin with an entity where the flag is true."""
    types = type_system()
    if layer != ENTITY:
        types.create_feature(types.create_type(layer, "uima.tcas.Annotation"), "value", "uima.cas.String")
    cas = cassis.Cas(typesystem=types)
    cas.sofa_string = " ".join(text for text, _ in parts)
    offset = 0
    for text, is_annotated in parts:
        if with_sentences:
            cas.add(types.get_type(SENTENCE)(begin=offset, end=offset + len(text)))
        if is_annotated:
            cas.add(types.get_type(layer)(begin=offset, end=offset + len(text.split()[0]), value="PER"))
        offset += len(text) + 1
    return cas


def written(cas: Any, folder: Path, kind: str) -> Path:
    path = folder / f"a.{kind}"
    if kind == "json":
        cas.to_json(path)
    else:
        cas.to_xmi(path)
        cas.typesystem.to_xml(folder / "TypeSystem.xml")
    return path


@pytest.mark.parametrize("kind", ["xmi", "json"])
@settings(max_examples=10, deadline=None)
@given(parts=st.lists(st.tuples(st.sampled_from(["Anna såg Rom.", "😀 log", "två ord"]), st.booleans()), max_size=5))
def test_a_cas_written_by_cassis_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, kind: str, parts: list[tuple[str, bool]]
) -> None:
    folder = tmp_path_factory.mktemp("cas")
    every = [("Bo ler", True), *parts]
    path = written(a_cas(every), folder, kind)
    for source in (path, folder):
        corpus = load_corpus(source)
        assert entities(corpus) == [(text, [(text.split()[0], "PER")] if flag else []) for text, flag in every]


def test_without_sentences_lines_are_sentences_and_custom_layers_are_found(tmp_path: Path) -> None:
    cas = a_cas([("Bo ler\nhär", True)], "webanno.custom.Drug", with_sentences=False)
    assert entities(load_corpus(written(cas, tmp_path, "xmi"))) == [("Bo ler", [("Bo", "PER")]), ("här", [])]


@pytest.mark.parametrize(
    ("content", "message"),
    [("<xmi>", "not a readable UIMA CAS"), ("no XML", "not a readable UIMA CAS"), ("", "not a readable UIMA CAS")],
)
def test_other_files_are_refused(tmp_path: Path, content: str, message: str) -> None:
    path = written(a_cas([("Bo ler", True)]), tmp_path, "xmi")
    path.write_text(content)
    with pytest.raises(DataError, match=message):
        load_corpus(path)
    (tmp_path / "TypeSystem.xml").unlink()
    with pytest.raises(DataError, match=r"there is no TypeSystem\.xml"):
        load_corpus(path)


def test_a_cas_without_a_text_is_refused(tmp_path: Path) -> None:
    cas = cassis.Cas(typesystem=type_system())
    cas.to_json(tmp_path / "a.json")
    with pytest.raises(DataError, match="without a text"):
        load_corpus(tmp_path / "a.json", format="cas")
    cas.sofa_string = "Anna"
    cas.to_json(tmp_path / "a.json", pretty_print=True)
    with pytest.raises(DataError, match="no layer of spans has a feature with a text"):
        load_corpus(tmp_path / "a.json")
