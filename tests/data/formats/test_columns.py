"""CoNLL-like columns: which are read, how tags are written, and what is refused."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import conllu
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tune_ner.data.corpus import Corpus
from tune_ner.data.formats.columns import read_columns
from tune_ner.data.formats.options import ReadOptions
from tune_ner.data.loaders import load_corpus
from tune_ner.errors import DataError

Entities = list[list[tuple[str, str]]]


def loaded(folder: Path, content: str, name: str = "a.conll", **reading: Any) -> Corpus:
    path = folder / name
    path.write_text(content, encoding="utf-8")
    return load_corpus(path, **reading)


def refused(folder: Path, content: str, name: str = "a.conll", **reading: Any) -> str:
    with pytest.raises(DataError) as caught:
        loaded(folder, content, name, **reading)
    return str(caught.value)


def entities(corpus: Corpus) -> Entities:
    return [[(span.text_in(s.text), span.label) for span in s.spans] for s in corpus.sentences]


ANNA: Entities = [[("Anna Berg", "PER")], [("Rom", "LOC")]]
PLAIN = "Anna B-PER\nBerg I-PER\nler O\n\nRom B-LOC\när O\n"


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (PLAIN, "eng.testa"),
        (PLAIN, "corpus"),
        ("1 Anna B-PER\n2 Berg I-PER\n3 ler O\n\n1 Rom B-LOC\n2 är O\n", "a.tsv"),
        ("0 Anna B-PER\n1 Berg I-PER\n2 ler O\n\n0 Rom B-LOC\n1 är O\n", "a.conll"),
        ("s1 Anna B-PER\ns1 Berg I-PER\ns1 ler O\n\ns2 Rom B-LOC\ns2 är O\n", "a.conll"),
        ("Anna B-PER NNP B-NP\nBerg I-PER NNP I-NP\nler O VB O\n\nRom B-LOC NNP B-NP\när O VB B-VP\n", "a.conll"),
        ("Anna NNP B-NP B-PER\nBerg NNP I-NP I-PER\nler VB O O\n\nRom NNP B-NP B-LOC\när VB B-VP O\n", "a.conll"),
        ("Anna,B-PER\nBerg,I-PER\nler,O\n\nRom,B-LOC\när,O\n", "a.csv"),
        ("word;ner\nAnna;B-PER\nBerg;I-PER\nler;O\n\nRom;B-LOC\när;O\n", "a.csv"),
        ('Sentence #,Word,POS,Tag\n1,Anna,NN,B-PER\n,Berg,NN,I-PER\n,ler,VB,O\n2,Rom,NN,B-LOC\n,"är",VB,O\n', "a.csv"),
        ("id word tag\n1 Anna B-PER\n1 Berg I-PER\n1 ler O\n\n2 Rom B-LOC\n2 är O\n", "a.ssv"),
        ("Anna\tB-PER\t\nBerg\tI-PER\t\nler\tO\t\n\nRom\tB-LOC\t\när\tO\t\n", "a.conll"),
        ("1-2\tAnnaBerg\t_\n1\tAnna\tB-PER\n2\tBerg\tI-PER\n3\tler\tO\n\n1\tRom\tB-LOC\n2\tär\tO\n", "a.conllu"),
    ],
    ids=[
        "any ending",
        "no ending",
        "index from 1",
        "index from 0",
        "sentence ids",
        "chunks last",
        "chunks first",
        "CSV",
        "CSV with a header",
        "numbered sentences without empty lines",
        "header and ids",
        "trailing tabs",
        "multiword tokens",
    ],
)
def test_tokens_and_tags_are_found_in_any_layout(tmp_path: Path, content: str, name: str) -> None:
    corpus = loaded(tmp_path, content, name)
    assert entities(corpus) == ANNA
    assert [sentence.text for sentence in corpus.sentences] == ["Anna Berg ler", "Rom är"]
    assert corpus.notes[0].startswith("read as columns: ")


@pytest.mark.parametrize(
    ("content", "name"),
    [
        ('"\tO\nAnna\tB-PER\n\nler\tO\n"\tO\n', "a.csv"),
        ('"""",O\nAnna,B-PER\n\nler,O\n"""",O\n', "a.csv"),
        ('" O\nAnna B-PER\n\nler O\n" O\n', "a.conll"),
    ],
)
def test_a_quotation_mark_is_a_token(tmp_path: Path, content: str, name: str) -> None:
    corpus = loaded(tmp_path, content, name)
    assert [sentence.text for sentence in corpus.sentences] == ['" Anna', 'ler "']
    assert entities(corpus) == [[("Anna", "PER")], []]


def test_a_quotation_mark_that_is_not_closed_is_refused(tmp_path: Path) -> None:
    assert "a.csv:2: found '\"Anna,B-PER', which is not comma-separated" in refused(
        tmp_path, 'ler,O\n"Anna,B-PER\n\nler,O\n', "a.csv"
    )


TWO = "1\tAnna\tB-PER\tO\n2\tin\tO\tO\n3\tOld\tB-ORG\tO\n4\tBonn\tI-ORG\tB-LOC\n"


def test_several_tag_columns_are_listed_for_choice(tmp_path: Path) -> None:
    message = refused(tmp_path, TWO)
    assert "2 columns have tags: column 3 has " in message
    assert "column 4 has B-LOC" in message
    assert "--tag-column 3" in message
    assert entities(loaded(tmp_path, TWO, tag_column=3)) == [[("Anna", "PER"), ("Old Bonn", "ORG")]]
    assert entities(loaded(tmp_path, TWO, tag_column="4")) == [[("Bonn", "LOC")]]


def test_columns_can_be_chosen_by_the_names_of_a_header(tmp_path: Path) -> None:
    content = "token,lemma,ner,nested\nBonns,Bonn,B-LOC,O\när,vara,O,B-X\n"
    assert entities(loaded(tmp_path, content, "a.csv", tag_column="ner")) == [[("Bonns", "LOC")]]
    assert entities(loaded(tmp_path, content, "a.csv", tag_column="ner", token_column="lemma")) == [[("Bonn", "LOC")]]
    message = refused(tmp_path, content, "a.csv", tag_column="net")
    assert "tag_column 'net': no such column; expected 1 to 4, or one of token, lemma, ner, nested" in message


@pytest.mark.parametrize("column", [0, 5, "x"])
def test_a_column_that_does_not_exist_is_refused(tmp_path: Path, column: object) -> None:
    assert "no such column; expected 1 to 2" in refused(tmp_path, PLAIN, tag_column=column)


@pytest.mark.parametrize(
    ("tags", "style"),
    [
        ("B-PER I-PER O B-LOC O", ""),
        ("I-PER I-PER O I-LOC O", "IO"),
        ("B-PER E-PER O S-LOC O", "BIOES"),
        ("B-PER L-PER O U-LOC O", "BILOU"),
        ("B-PER M-PER O S-LOC O", "BIOES"),
        ("B-PER E-PER O W-LOC O", "BIOES"),
        ("B_PER I_PER O B_LOC O", "PREFIX_TYPE"),
        ("b-PER i-PER o b-LOC o", "lower-case prefix-type"),
        ("PER-B PER-I O LOC-B O", "TYPE-PREFIX"),
        ("PER_B PER_I O LOC_B O", "TYPE_PREFIX"),
        ("PER PER O LOC O", "types without a prefix"),
        ("PER PER OUT LOC OUT", "types without a prefix"),
        ("B-PER I-PER _ B-LOC _", "BIO"),
        ("B-PER I-PER 0 B-LOC 0", "BIO"),
    ],
)
def test_tags_may_be_written_in_any_usual_way(tmp_path: Path, tags: str, style: str) -> None:
    rows = [f"{token} {tag}" for token, tag in zip(["Anna", "Berg", "ler", "Rom", "är"], tags.split(), strict=True)]
    corpus = loaded(tmp_path, "\n".join([*rows[:3], "", *rows[3:]]))
    assert entities(corpus) == ANNA
    assert style in corpus.notes[0]


def test_numbers_in_the_column_of_tags_can_be_named(tmp_path: Path) -> None:
    content = "Anna 1\nBerg 2\nler 0\n"
    refused(tmp_path, content)
    corpus = loaded(tmp_path, content, tag_column=2, labels={0: "O", 1: "B-PER", 2: "I-PER"})
    assert entities(corpus) == [[("Anna Berg", "PER")]]


@pytest.mark.parametrize("values", ["S S _ P S", "M M _ M M"])
def test_single_letters_are_tags_only_with_the_usual_outside_tag(tmp_path: Path, values: str) -> None:
    rows = zip(["Anna", "Berg", "ler", "Rom", "är"], values.split(), strict=True)
    refused(tmp_path, "".join(f"{token} {value}\n" for token, value in rows))


def test_prefixes_without_types_have_one_type(tmp_path: Path) -> None:
    corpus = loaded(tmp_path, "Anna B\nBerg I\nler O\n")
    assert entities(corpus) == [[("Anna Berg", "ENTITY")]]
    assert "prefixes without a type" in corpus.notes[0]


@pytest.mark.parametrize("label", ["drug", "Drug", "PER-LOC", "C++", "a,b", "Åtgärd"])
def test_types_keep_their_spelling(tmp_path: Path, label: str) -> None:
    assert loaded(tmp_path, f"Alvedon B-{label}\nhjälper O\n").entity_types == (label,)


def test_types_that_differ_in_case_are_named(tmp_path: Path) -> None:
    content = "A B-PER\n\nB B-PER\n\nC B-PEr\n"
    (note,) = loaded(tmp_path, content).notes[1:]
    assert note.startswith("types that differ in case only: PER, PEr;")
    assert loaded(tmp_path, content, labels={"PEr": "PER"}).entity_counts() == {"PER": 3}


def test_a_label_that_does_not_occur_is_refused(tmp_path: Path) -> None:
    assert "labels: PRE: no such entity type in the corpus; found LOC, PER" in refused(
        tmp_path, PLAIN, labels={"PRE": "PER"}
    )


@pytest.mark.parametrize("separator", [",", "|", ";", "+"])
def test_several_labels_in_a_tag_are_refused_or_the_first_is_used(tmp_path: Path, separator: str) -> None:
    content = f"Anna B-PER{separator}B-ORG\nler O\n\nBo B-PER\n"
    message = refused(tmp_path, content)
    assert ":1: found the tag " in message
    assert "`multiple_labels: first`" in message
    assert entities(loaded(tmp_path, content, multiple_labels="first")) == [[("Anna", "PER")], [("Bo", "PER")]]


@pytest.mark.parametrize(
    ("content", "line", "found"),
    [
        ("Anna B-PER\nNew York B-LOC\nler O\n", 2, "found 3 columns in 'New York B-LOC'; expected 2"),
        ("Anna B-PER\nler\nRom B-LOC\n", 2, "found 'ler'"),
        ("Anna B-PER\nler O\nRom B-\n", 3, "found the tag 'B-'"),
        ("Anna B-PER\nler O\nRom X-LOC\n", 3, "found the tag 'X-LOC'"),
        ("Anna NN\nler VB\n", 1, "found 'Anna NN'"),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, content: str, line: int, found: str) -> None:
    assert f"a.conll:{line}: {found}" in refused(tmp_path, content)


@pytest.mark.parametrize(
    "comment", ["# text = grupp O", "# id B-PER", "# text = Vitamin B-12", "#begin document", "# x"]
)
def test_comments_are_no_tokens(tmp_path: Path, comment: str) -> None:
    assert entities(loaded(tmp_path, f"{comment}\n{PLAIN}")) == ANNA


def test_sentence_ids_with_a_hyphen_are_no_multiword_tokens(tmp_path: Path) -> None:
    corpus = loaded(tmp_path, "2020-1 Anna B-PER\n2020-1 ler O\n\n2020-2 Bo B-PER\n2020-2 åt O\n")
    assert [sentence.text for sentence in corpus.sentences] == ["Anna ler", "Bo åt"]


def test_a_hashtag_with_a_space_is_no_comment(tmp_path: Path) -> None:
    assert "a.conll:2: found 3 columns in '#1 fan O'; expected 2" in refused(tmp_path, "Anna B-PER\n#1 fan O\nler O\n")


@pytest.mark.parametrize("border", ["-DOCSTART- O", "-DOCSTART-", "-DOCSTART-\tO", "\n-DOCSTART- -X- O O\n"])
def test_a_document_ends_its_last_sentence(tmp_path: Path, border: str) -> None:
    corpus = loaded(tmp_path, f"Anna B-PER\n{border}\nBerg I-PER\n")
    assert entities(corpus) == [[("Anna", "PER")], [("Berg", "PER")]]


def test_a_file_without_empty_lines_is_refused(tmp_path: Path) -> None:
    assert "no empty line between sentences in 1,200 lines" in refused(tmp_path, "Anna B-PER\nler O\n" * 600)


def test_an_entity_without_characters_is_refused(tmp_path: Path) -> None:
    assert "a.jsonl:1: an entity of type P" in refused(tmp_path, '{"tokens": [""], "ner_tags": ["B-P"]}', "a.jsonl")


def test_a_language_code_before_each_token_is_removed(tmp_path: Path) -> None:
    marked = "".join(f"sv:{line}\n" if line else "\n" for line in PLAIN.splitlines())
    corpus = loaded(tmp_path, marked)
    assert entities(corpus) == ANNA
    assert "each token began with 'sv:', which is removed" in corpus.notes[0]
    mixed = loaded(tmp_path, marked.replace("sv:Rom", "Rom"))
    assert entities(mixed) == [[("sv:Anna sv:Berg", "PER")], [("Rom", "LOC")]]


FORMS = st.text(st.sampled_from("abåÄ.,'-3"), min_size=1, max_size=4)
WORDS = st.tuples(
    FORMS, st.sampled_from(["_", "name=B-PER", "name=O|SpaceAfter=No", "Gloss=x|name=B-LOC", "name=I-PER"])
)


@given(
    st.lists(st.tuples(st.lists(WORDS, min_size=1, max_size=5), st.booleans(), st.booleans()), min_size=1, max_size=4)
)
def test_conll_u_is_read_as_the_library_conllu_reads_it(
    sentences: list[tuple[list[tuple[str, str]], bool, bool]],
) -> None:
    lines = ["# newdoc id = d"]
    for words, has_multiword, has_empty in [([("Anna", "name=B-PER")], False, False), *sentences]:
        lines.append("# text = ...")
        if has_multiword:
            lines.append("1-2\tx" + "\t_" * 8)
        for number, (form, misc) in enumerate(words, start=1):
            lines.append(f"{number}\t{form}\t{form}\tNOUN\t_\t_\t0\troot\t_\t{misc}")
        if has_empty:
            lines.append(f"{len(words)}.1\ty" + "\t_" * 8)
        lines.append("")
    parsed = conllu.parse("\n".join(lines) + "\n")
    expected = [[token for token in sentence if isinstance(token["id"], int)] for sentence in parsed]
    read, _ = read_columns(Path("a.conllu"), lines, ReadOptions())
    assert [s.text.split() for s in read] == [[token["form"] for token in tokens] for tokens in expected]
    tags = [[(token["misc"] or {}).get("name", "O") for token in tokens] for tokens in expected]
    assert [len(sentence.spans) for sentence in read] == [
        sum(tag[0] == "B" or (tag[0] == "I" and before[2:] != tag[2:]) for before, tag in pairwise(["O", *row]))
        for row in tags
    ]
    assert {s.group for s in read} == {"d"}
