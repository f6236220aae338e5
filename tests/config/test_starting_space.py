"""The search space that `init` writes for a corpus."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.factories import CORPUS
from tune_ner.config.loading import load_space, parse_space, schema_file
from tune_ner.config.starting_space import LANGUAGES, MULTILINGUAL, detect_language, starting_space
from tune_ner.data.corpus import Corpus, Sentence, Span
from tune_ner.data.synthetic.generator import synthetic_corpus
from tune_ner.errors import SpaceError

TEXTS = {
    "sv": "Ta ibuprofen mot feber och ont i halsen, men inte om du är gravid.",
    "en": "Take ibuprofen for fever and a sore throat, but not if you are pregnant.",
    "de": "Nehmen Sie Ibuprofen gegen Fieber und Halsschmerzen, aber nicht in der Schwangerschaft.",
    "no": "Ta ibuprofen mot feber og vondt i halsen, men ikke hvis du er gravid.",
    "fi": "Ota ibuprofeenia kuumeeseen ja kurkkukipuun, mutta älä jos olet raskaana.",
    "zh": "如果发烧和喉咙痛，可以服用布洛芬，但怀孕时不要服用。",
}


def corpus_of(text: str, count: int = 20, groups: int = 0, splits: dict[str, tuple[int, ...]] | None = None) -> Corpus:
    sentences = tuple(
        Sentence(str(i), text, (Span(0, 2, "X"),), group=f"d{i % groups}" if groups else "") for i in range(count)
    )
    return Corpus("made", sentences, ("X",), splits=splits or {})  # type: ignore[arg-type]


def written(corpus: Corpus, reading: dict[str, Any] | None = None, **settings: Any) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load(starting_space("corpus.jsonl", corpus, reading, **settings))
    return content


@pytest.mark.parametrize("language", TEXTS)
def test_encoders_are_those_of_the_language(language: str) -> None:
    corpus = corpus_of(TEXTS[language])
    assert detect_language(corpus) == language
    assert written(corpus)["model"] == [LANGUAGES[language][1], MULTILINGUAL]


def test_a_language_can_be_given() -> None:
    assert written(corpus_of(TEXTS["sv"]), language="da")["model"][0] == LANGUAGES["da"][1]
    with pytest.raises(SpaceError, match=r"--language svv: expected one of .*did you mean 'sv'"):
        starting_space("x", CORPUS, language="svv")


def test_a_language_without_an_encoder_gets_a_multilingual_one() -> None:
    assert written(corpus_of("ગુજરાતી ભાષામાં લખાયેલું વાક્ય છે."))["model"] == [MULTILINGUAL]


def test_documents_stay_in_one_split() -> None:
    content = written(corpus_of(TEXTS["sv"], groups=7))
    assert content["data"] == {"path": "corpus.jsonl", "group_by": "document"}
    assert "method" not in content["split"]
    assert written(corpus_of(TEXTS["sv"]))["split"]["method"] == "grouped"


def test_a_published_split_is_used() -> None:
    corpus = corpus_of(TEXTS["sv"], groups=7, splits={"train": tuple(range(15)), "test": tuple(range(15, 20))})
    content = written(corpus)
    assert "split" not in content
    assert content["data"] == "corpus.jsonl"


def test_options_of_reading_are_kept() -> None:
    content = written(corpus_of(TEXTS["sv"]), {"tag_column": 3}, markup="strip")
    assert content["data"] == {"path": "corpus.jsonl", "tag_column": 3}
    assert content["markup"] == "strip"


@pytest.mark.parametrize(("count", "epochs", "seeds"), [(20, 20, 3), (2500, 10, 2), (80_000, 3, 2)])
def test_small_corpora_get_more_epochs_and_seeds(count: int, epochs: int, seeds: int) -> None:
    content = written(corpus_of(TEXTS["sv"], count))
    assert (content["epochs"], len(content["seed"])) == (epochs, seeds)


@pytest.mark.parametrize("corpus", [CORPUS, synthetic_corpus(30), corpus_of(TEXTS["de"], groups=3)])
def test_it_is_a_search_space_with_a_comment_on_each_choice(tmp_path: Path, corpus: Corpus) -> None:
    text = starting_space("corpus.jsonl", corpus, schema=schema_file())
    space = parse_space(yaml.safe_load(text), "test")
    assert len(space.grid_points()) == len(space.model) * 2 * 3 * len(space.seed)
    file = tmp_path / "a.yaml"
    file.write_text(text, encoding="utf-8")
    assert load_space(str(file)) == space
    keys = re.findall(r"^(\w+):", text, re.MULTILINE)
    commented = re.findall(r"^# .*\n(\w+):", text, re.MULTILINE)
    assert set(keys) - set(commented) <= {"markup"}
    assert max(map(len, text.splitlines()[3:])) <= 160
