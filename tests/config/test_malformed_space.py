"""Malformed search spaces and options: each is read, or refused with a message that names the file or option."""

import contextlib
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.damages import MANY, ODD_TEXTS, Damage, a_folder, damages, refusal
from tune_ner.config.loading import MAX_SPACE_BYTES, load_space
from tune_ner.config.search_space import SearchSpace
from tune_ner.errors import SchedulingError, SpaceError, StudyError
from tune_ner.tuning.experiment import prepare
from tune_ner.tuning.options import SearchSettings, parse_time
from tune_ner.tuning.samplers import StudySampler

ABSURD = {
    "a bomb of aliases": "a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\nmodel: [*c, *c]\n",
    "an alias of itself": "model: &x [*x]\n",
    "an object": "!!python/object/apply:os.mkdir ['was-here']\n",
    "a function": "model: !!python/name:os.system\n",
    "no number": "learning_rate: .nan\n",
    "infinity": "learning_rate: [.inf, -.inf, 0, -0.0, 1e999]\n",
    "a large number": "epochs: 99999999999999999999999999\n",
    "a number of many digits": f"epochs: {'9' * 5_000}\n",
    "half a number": "seed: 0x_\n",
    "keys for a value": "data: {}\n",
    "a list for a key": "? [complex, key]\n: 1\n",
    "keys for a key": "? {a: 1}\n: 1\n",
    "a merge of nothing": "<<: 3\n",
    "no date": "model: 2020-13-45\n",
    "a date": "model: 2020-01-01\n",
    "a time": "model: 1:60:60\n",
    "braces": "{" * 5_000,
    "brackets": "[" * 100_000,
    "dashes": "- " * 50_000,
    "a long name": "model: " + "x" * 900_000,
    "many values": "model:\n" + "".join(f"- tiny:1x{place}\n" for place in range(3, 20_000)),
    "too many bytes": "#" * (MAX_SPACE_BYTES + 1),
    "nul": "\x00",
    "two documents": "---\nmodel: a\n---\nmodel: b\n",
    "another version": "%YAML 9.9\n---\nmodel: a\n",
    "keys that are no names": "true: 1\nnull: 2\n1: 3\n",
    "initial points as a list": "initial_points: [1]\n",
    "initial points of a seed": "initial_points: {seed: [1]}\n",
    "initial points that are no values": "initial_points: {learning_rate: [{}], model: [[x]]}\n",
}


def space_of(folder: Path, content: bytes) -> SearchSpace | None:
    """The space of a file with this content, or None if it is refused."""
    file = folder / "space.yaml"
    file.write_bytes(content)
    found: list[SearchSpace] = []
    message = refusal(SpaceError, lambda: found.append(load_space(str(file))))
    assert found or "space.yaml" in message
    assert len(message) < 20_000
    return found[0] if found else None


@pytest.mark.parametrize("content", ABSURD.values(), ids=ABSURD)
def test_absurd_space_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str) -> None:
    monkeypatch.chdir(tmp_path)
    assert space_of(tmp_path, content.encode()) is None
    assert [path.name for path in tmp_path.iterdir()] == ["space.yaml"]


def test_byte_order_mark_and_windows_line_ends_are_accepted(tmp_path: Path) -> None:
    space = space_of(tmp_path, "\ufeffdata: synthetic\r\nmodel: [tiny:1x32]\r\nlearning_rate: [1.0e-3]\r\n".encode())
    assert space is not None
    assert space.model == ["tiny:1x32"]


SPACE = b"""\
# python -m tune_ner.search space.yaml
data: synthetic:300
model: [tiny:1x32, tiny:2x32]
tagging_scheme: [BIO, BIOES]
learning_rate: {loguniform: [1.0e-5, 1.0e-3]}
split: {validation_size: 0.1, test_size: 0.1, seed: 67}
initial_points: {learning_rate: [1.0e-4], model: [tiny:1x32]}
epochs: 10
seed: 42
"""


@MANY
@given(found=st.lists(damages(), min_size=1, max_size=3))
def test_damaged_space_is_read_or_refused(found: list[Damage]) -> None:
    content = SPACE
    for damage in found:
        content = damage(content)
    with a_folder() as folder:
        if space := space_of(folder, content):
            assert len(refusal(SpaceError, space.check_search)) < 20_000


@MANY
@given(said=st.text(max_size=12) | st.from_regex(r"[0-9.]{1,400}[smhd]", fullmatch=True))
@example("9" * 400 + "d")
@example("²h")
def test_time_limit_is_parsed_or_refused(said: str) -> None:
    message = refusal(SchedulingError, lambda: SearchSettings(seconds=parse_time(said)))
    assert message.startswith("--time " if message else "")
    assert len(message) < 500


@MANY
@given(url=st.text(max_size=40) | st.sampled_from(ODD_TEXTS).map(lambda odd: f"postgresql://me:secret@{odd}"))
@example("postgresql://me:secret@127.0.0.1:1/x")
@example("mysql+nothing://me:secret@host/x")
@example("sqlite:////nowhere/secret@x")
@example("://")
def test_invalid_storage_is_refused_without_its_password(url: str) -> None:
    experiment = prepare(load_space("search", {"data": "synthetic:60", "model": ["tiny:1x32"]}))
    with a_folder() as folder:
        with contextlib.chdir(folder):
            message = refusal(StudyError, lambda: StudySampler(experiment, SearchSettings(), url, "night"))
        assert message.startswith("study storage " if message else "")
        assert ":secret" not in message
