"""The search space: the files that come with the package, and what can be wrong with a file of one's own."""

import re
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from tune_ner.config.distributions import Distribution
from tune_ner.config.loading import MAX_SPACE_BYTES, bundled_spaces, load_space, parse_space
from tune_ner.config.search_space import SearchSpace
from tune_ner.config.trial_config import TrialConfig
from tune_ner.errors import SpaceError
from tune_ner.tagging.schemes import SCHEMES

MINIMAL: dict[str, Any] = {"model": "tiny:1x32", "learning_rate": 1e-3}
NOTEBOOK_AXES: dict[str, list[Any]] = {
    "model": ["KB/bert-base-swedish-cased", "google-bert/bert-base-multilingual-cased"],
    "tagging_scheme": ["BIO", "BIOES"],
    "learning_rate": [1e-5, 2e-5, 5e-5],
    "lr_schedule": ["linear"],
    "warmup": [0.0],
    "epochs": [5],
    "batch_size": [16],
    "weight_decay": [0.01],
    "label_smoothing": [0.0],
    "dropout": [None],
    "max_length": [256],
    "word_tokenizer": ["whitespace"],
    "stride": [0],
    "subword_labels": ["first"],
    "decoding": ["argmax"],
    "seed": [42],
}
every_bundled = pytest.mark.parametrize("name", bundled_spaces())
every_grid = pytest.mark.parametrize("name", [name for name in bundled_spaces() if not load_space(name).distributions])


def space(**changes: Any) -> SearchSpace:
    return parse_space({**MINIMAL, **changes}, "here")


def problems_of(content: dict[Any, Any]) -> list[str]:
    """The lines of the message that refuses this space, without its head."""
    with pytest.raises(SpaceError) as caught:
        parse_space(content, "here")
    head, *lines = str(caught.value).splitlines()
    count = "1 problem" if len(lines) == 1 else f"{len(lines)} problems"
    assert head == f"here: {count} in this search space"
    return [line.strip() for line in lines]


def file_with(folder: Path, content: str | bytes) -> str:
    file = folder / "space.yaml"
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return str(file)


# ---- the bundled spaces


def test_the_spaces_come_with_the_package() -> None:
    assert {"notebook", "clean", "demo", "minilm", "search"} <= set(bundled_spaces())


@every_bundled
def test_every_bundled_space_loads_by_its_name_and_by_its_path(name: str) -> None:
    found = load_space(name)
    assert found == load_space(str(bundled_spaces()[name]))
    found.check_search() if found.distributions else found.check_grid()


@every_bundled
def test_the_first_line_of_a_bundled_space_is_the_command_that_runs_it(name: str) -> None:
    first = bundled_spaces()[name].read_text(encoding="utf-8").partition("\n")[0]
    command = f"search( {name})?" if load_space(name).distributions else f"grid {name}"
    assert re.fullmatch(rf"# python -m tune_ner\.{command}( .+)?", first)


@every_grid
def test_every_point_of_a_bundled_grid_is_a_trial_of_its_own(name: str) -> None:
    found = load_space(name)
    trials = [
        TrialConfig.model_validate({**point, "data_fingerprint": "d", "precision": found.precision})
        for point in found.points()
    ]
    assert len({trial.trial_id for trial in trials}) == len(trials)


def test_the_notebook_space_is_the_notebooks_protocol() -> None:
    found = load_space("notebook")
    assert found.axes == NOTEBOOK_AXES
    assert found.data == "hub:community-datasets/swedish_medical_ner:1177"
    assert found.markup == "keep"
    assert (found.split.test_size, found.split.validation_size, found.split.seed) == (0.2, 0.1, 67)
    assert len(found.points()) == 12


def test_the_defaults_are_the_notebooks() -> None:
    searched = {name: NOTEBOOK_AXES[name] for name in ("model", "tagging_scheme", "learning_rate")}
    assert parse_space({**searched, "selection_metric": "seqeval_f1"}, "here") == load_space("notebook")


def test_former_names_are_accepted() -> None:
    assert load_space("honest") == load_space("clean")
    assert load_space("demo", {"batching": "packed"}).batching == "padding_free"


def test_the_clean_space_is_the_notebooks_grid_on_clean_text_with_three_seeds() -> None:
    found = load_space("clean")
    assert found.axes == {**NOTEBOOK_AXES, "word_tokenizer": ["punctuation"], "seed": [1, 2, 3]}
    assert found.markup == "strip"


def test_the_demo_needs_neither_the_hub_nor_a_file() -> None:
    found = load_space("demo")
    assert found.data.startswith("synthetic")
    assert all(model.startswith("tiny:") for model in found.model)


# ---- a space and its grid


def test_the_grid_is_the_product_of_all_axes_and_the_last_varies_fastest() -> None:
    found = space(model=["a", "b"], seed=[1, 2], tagging_scheme=["BIO", "IO"])
    points = [(point["model"], point["tagging_scheme"], point["seed"]) for point in found.points()]
    assert points == [(m, t, s) for m in ("a", "b") for t in ("BIO", "IO") for s in (1, 2)]
    assert all(list(point) == list(SearchSpace.AXES) for point in found.points())


def test_one_value_is_an_axis_of_one() -> None:
    assert space(epochs=3).axes["epochs"] == [3] == space(epochs=[3]).axes["epochs"]


def test_every_scheme_may_be_searched() -> None:
    assert space(tagging_scheme=list(SCHEMES)).axes["tagging_scheme"] == list(SCHEMES)


@pytest.mark.parametrize("written", ["1e-5", "1.0e-5", "0.00001", "[1e-5]", "'1e-5'"])
def test_a_number_without_a_point_is_a_number(tmp_path: Path, written: str) -> None:
    found = load_space(file_with(tmp_path, f"model: m\nlearning_rate: {written}\n"))
    assert found.learning_rate == [1e-5]


def test_overrides_replace_what_the_file_says() -> None:
    found = load_space("notebook", {"model": ["tiny:1x32"], "epochs": 1, "data": "synthetic"})
    assert found.axes == {**NOTEBOOK_AXES, "model": ["tiny:1x32"], "epochs": [1]}
    assert found.data == "synthetic"


def test_a_faulty_override_is_told_like_a_faulty_file() -> None:
    with pytest.raises(SpaceError, match=r"notebook\.yaml: 1 problem .*\n  tagging_scheme\[0\]: found 'bioes'"):
        load_space("notebook", {"tagging_scheme": ["bioes"]})


def test_a_file_goes_before_the_bundled_space_of_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "demo").write_text("model: mine\nlearning_rate: 0.1\n")
    monkeypatch.chdir(tmp_path)
    assert load_space("demo").model == ["mine"]


names = st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), min_size=1)


def distributions(kind: str, numbers: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, list[Any]]]:
    ends = st.lists(numbers, min_size=2, max_size=2, unique=True).map(sorted)
    return ends.map(lambda pair: {kind: pair})


valid_spaces = st.builds(
    lambda **content: parse_space(content, "drawn"),
    data=names,
    model=st.lists(names, min_size=1, max_size=3, unique=True),
    learning_rate=st.lists(st.floats(0, 1, exclude_min=True, exclude_max=True), min_size=1, max_size=3, unique=True),
    weight_decay=st.floats(0, 10) | distributions("uniform", st.floats(0, 10)),
    warmup=st.floats(0, 0.9),
    dropout=st.none() | distributions("uniform", st.floats(0, 0.9)),
    batch_size=st.integers(1, 64) | distributions("int", st.integers(1, 64)),
    seed=st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=3, unique=True),
    epochs=st.integers(1, 10**6),
    split=st.fixed_dictionaries({"test_size": st.floats(0.01, 0.99), "seed": st.integers(0, 2**32 - 1)}),
    word_tokenizer=st.sampled_from(["whitespace", "punctuation"]),
    markup=st.sampled_from(["keep", "strip"]),
)


@given(valid_spaces)
def test_a_space_written_as_yaml_is_read_as_the_same_space(drawn: SearchSpace) -> None:
    written = yaml.safe_load(drawn.to_yaml())
    assert parse_space(written, "written") == drawn
    assert set(written) == set(SearchSpace.model_fields)


@every_bundled
def test_a_bundled_space_survives_its_own_writing(name: str, tmp_path: Path) -> None:
    assert load_space(file_with(tmp_path, load_space(name).to_yaml())) == load_space(name)


# ---- distributions


def test_numbers_may_have_a_distribution() -> None:
    found = space(learning_rate={"loguniform": ["1e-6", 1e-4]}, epochs={"int": [2, 8]}, dropout={"uniform": [0, 0.3]})
    assert found.distributions == {
        "learning_rate": Distribution("loguniform", 1e-6, 1e-4),
        "epochs": Distribution("int", 2, 8),
        "dropout": Distribution("uniform", 0.0, 0.3),
    }


def test_a_grid_of_distributions_says_for_each_what_to_change() -> None:
    found = space(learning_rate={"loguniform": [1e-6, 1e-4]}, epochs={"int": [2, 8]})
    with pytest.raises(SpaceError) as caught:
        found.points()
    first, second = str(caught.value).splitlines()
    assert first.startswith("learning_rate: found the distribution {loguniform: [1e-06, 0.0001]}, and a grid has lists")
    assert "python -m tune_ner.search" in first
    assert second.startswith("epochs: found the distribution {int: [2, 8]}")


@pytest.mark.parametrize(("value", "held"), [(1.0, False), (2, True), (2.5, False), (3.0, True), (4, True), (5, False)])
def test_a_distribution_of_whole_numbers_holds_its_ends_and_no_fraction(value: float, held: bool) -> None:
    assert Distribution("int", 2, 4).holds(value) == held
    assert Distribution("uniform", 2, 4).holds(value) == (2 <= value <= 4)


# ---- what can be wrong with its content


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        (
            {"lerning_rate": 1},
            r"lerning_rate: unknown key \(did you mean 'learning_rate'\?\); known are data, .*, seed",
        ),
        ({"zzz": 1}, r"zzz: unknown key; known are data, markup, .*"),
        ({"split": {"tst_size": 0.1}}, r"split\.tst_size: unknown key \(did you mean 'test_size'\?\); known are .*"),
        ({"split": 5}, r"split: found 5, expected keys with values"),
        ({"split": None}, r"split: found None, expected keys with values"),
        ({"split": {"test_size": 1}}, r"split\.test_size: found 1(\.0)?, expected a number below 1(\.0)?"),
        ({"split": {"validation_size": 0}}, r"split\.validation_size: found 0(\.0)?, expected a number above 0(\.0)?"),
        ({"split": {"seed": -1}}, r"split\.seed: found -1, expected a number from 0 on"),
        ({"model": []}, r"model: an empty axis; expected at least one value"),
        ({"model": ""}, r"model\[0\]: empty; expected a name"),
        ({"model": 5}, r"model\[0\]: found 5, expected a name"),
        ({"model": ["a", None]}, r"model\[1\]: found None, expected a name"),
        ({"model": {"a": 1}}, r"model: found \{'a': 1\}; only numbers have distributions: expected one value or .*"),
        ({"seed": {"int": [1, 5]}}, r"seed: seeds are replicates and cannot be searched; expected one or a list .*"),
        (
            {"learning_rate": {"int": [1, 5]}},
            r"learning_rate: found int, expected loguniform or uniform, .* real .*",
        ),
        ({"epochs": {"uniform": [1, 5]}}, r"epochs: found uniform, expected int, since its values are whole numbers"),
        (
            {"learning_rate": {"loguniforn": [1e-5, 1e-4]}},
            r"learning_rate: found the distribution 'loguniforn', expected loguniform or uniform "
            r"\(did you mean 'loguniform'\?\)",
        ),
        ({"learning_rate": {}}, r"learning_rate: found 0 keys, expected one of loguniform, uniform with .*"),
        ({"learning_rate": {"uniform": 1e-5}}, r"learning_rate: found uniform: 1e-05, expected two numbers, .*"),
        (
            {"learning_rate": {"uniform": [0.1, 0.2, 0.3]}},
            r"learning_rate: found uniform: \[.*, expected two numbers, .*",
        ),
        ({"learning_rate": {"uniform": [0.1, 0.1]}}, r"learning_rate: the range from 0\.1 to 0\.1 is empty; .*"),
        (
            {"learning_rate": {"loguniform": [0.1, 1e-5]}},
            r"learning_rate: the range from 0\.1 to 1e-05 is inverted.*",
        ),
        (
            {"learning_rate": {"uniform": [0.1, 2]}},
            r"learning_rate\[1\]: found 2(\.0)?, expected a number below 1(\.0)?",
        ),
        ({"weight_decay": {"loguniform": [0, 0.1]}}, r"weight_decay: loguniform from 0: zero has no logarithm; .*"),
        ({"dropout": {"uniform": [None, 0.1]}}, r"dropout: found uniform: \[None, 0\.1\], expected two numbers, .*"),
        ({"epochs": {"int": [0, 5]}}, r"epochs\[0\]: found 0, expected a number from 1 on"),
        ({"lr_schedule": "cosin"}, r"lr_schedule\[0\]: found 'cosin', expected one of linear, cosine, constant .*"),
        ({"warmup": 1}, r"warmup\[0\]: found 1(\.0)?, expected a number below 1(\.0)?"),
        ({"model": ["a", "b", "a"]}, r"model: 'a' stands twice in it; every value may be tried once"),
        ({"learning_rate": [0.1, "1e-1"]}, r"learning_rate: 0\.1 stands twice in it; .*"),
        ({"learning_rate": "fast"}, r"learning_rate\[0\]: found 'fast', expected a number"),
        ({"learning_rate": True}, r"learning_rate\[0\]: found True, expected a number"),
        ({"learning_rate": 0}, r"learning_rate\[0\]: found 0(\.0)?, expected a number above 0(\.0)?"),
        ({"learning_rate": 5}, r"learning_rate\[0\]: found 5(\.0)?, expected a number below 1(\.0)?"),
        ({"learning_rate": 10**400}, r"learning_rate\[0\]: found 1000\S*000, expected a number"),
        ({"weight_decay": "inf"}, r"weight_decay\[0\]: found \S*inf\S*, expected a finite number"),
        ({"weight_decay": -0.1}, r"weight_decay\[0\]: found -0\.1, expected a number from 0(\.0)? on"),
        ({"epochs": 0}, r"epochs\[0\]: found 0, expected a number from 1 on"),
        ({"epochs": "5"}, r"epochs\[0\]: found '5', expected a whole number"),
        ({"epochs": 1.5}, r"epochs\[0\]: found 1\.5, expected a whole number"),
        ({"batch_size": False}, r"batch_size\[0\]: found False, expected a whole number"),
        ({"max_length": 2}, r"max_length\[0\]: found 2, expected a number from 3 on"),
        ({"seed": [1, True]}, r"seed\[1\]: found True, expected a whole number"),
        ({"seed": 2**32}, r"seed\[0\]: found 4294967296, expected a number below 4294967296"),
        ({"data": ""}, r"data: empty; expected a name"),
        ({"data": None}, r"data: found None, expected a name"),
        ({"markup": "stripp"}, r"markup: found 'stripp', expected one of keep, strip \(did you mean 'strip'\?\)"),
        ({"precision": "fp8"}, r"precision: found 'fp8', expected one of auto, fp32, fp16, bf16.*"),
        (
            {"tagging_scheme": ["BIO", "bioes"]},
            r"tagging_scheme\[1\]: found 'bioes', expected one of BIO, BIOES, IOB1, BILOU, IO "
            r"\(did you mean 'BIOES'\?\)",
        ),
        ({"tagging_scheme": "xyz"}, r"tagging_scheme\[0\]: found 'xyz', expected one of BIO, BIOES, IOB1, BILOU, IO"),
        ({"word_tokenizer": "space"}, r"word_tokenizer\[0\]: found 'space', expected one of whitespace, punctuation.*"),
        ({"subword_labels": "last"}, r"subword_labels\[0\]: found 'last', expected one of first, all.*"),
        ({3: 4}, r"\[3\]: found 3, expected the name of a key"),
        ({"model": "\ud800"}, r"model\[0\]: found '\\ud800', expected text without lone surrogates"),
    ],
)
def test_each_fault_is_told_with_its_key_what_was_found_and_what_was_expected(
    changes: dict[Any, Any], line: str
) -> None:
    (problem,) = problems_of({**MINIMAL, **changes})
    assert re.fullmatch(line, problem)


def test_all_faults_are_told_at_once() -> None:
    lines = problems_of({"modell": "m", "learning_rate": [1e-5, 3], "seed": "x", "split": {"seed": 1.5, "size": 1}})
    assert [line.partition(":")[0] for line in lines] == [
        *("split.seed", "split.size", "model", "learning_rate[1]", "seed[0]", "modell"),
    ]
    assert lines[-1].startswith("modell: unknown key (did you mean 'model'?)")


@pytest.mark.parametrize("key", ["model", "learning_rate"])
def test_what_has_no_default_must_be_there(key: str) -> None:
    content = {name: value for name, value in MINIMAL.items() if name != key}
    assert problems_of(content) == [f"{key}: missing; expected one value or a list of them"]


def test_what_was_found_is_told_briefly() -> None:
    (problem,) = problems_of({**MINIMAL, "data": [["x" * 1000] * 1000] * 1000})
    assert len(problem) < 1000


def test_a_long_axis_is_checked_quickly() -> None:
    start = time.process_time()
    assert len(space(seed=list(range(100_000))).seed) == 100_000
    assert time.process_time() - start < 5


scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(2**1000, 2**1100)
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["BIO", "bioes", "1e-5", "nan", "tiny:1x32", "keep", "first", 0.1, 1, 16])
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
keys = st.sampled_from([*SearchSpace.model_fields, "lr"]) | scalars


@settings(max_examples=400)
@given(st.dictionaries(keys, values, max_size=8), st.booleans())
def test_any_content_is_a_space_or_is_refused(content: dict[Any, Any], complete: bool) -> None:
    try:
        found = parse_space({**MINIMAL, **content} if complete else content, "drawn")
    except SpaceError:
        return
    assert found.distributions or all(found.axes.values())
    assert parse_space(found.model_dump(), "again") == found


# ---- what can be wrong with its file


@pytest.mark.parametrize(
    ("content", "place"),
    [
        ("model: [a\nlearning_rate: 1\n", ":2: not YAML: "),
        ("model: a\n\tlearning_rate: 1\n", ":2: not YAML: "),
        ("model: a\nlearning_rate: 1: 2\n", ":2: not YAML: "),
        ("model: a\nmodel: b\n", ":2: not YAML: the key 'model' stands twice"),
        ("split:\n  seed: 1\n  seed: 2\n", ":3: not YAML: the key 'seed' stands twice"),
        ("model: a\n---\nmodel: b\n", ":2: not YAML: "),
        ("model: a\nseed: &s 1\nepochs: *s\n", ":3: not YAML: an alias; write its value out"),
        ("model: a\ndata: 2026-02-31\n", ":2: not YAML: found '2026-02-31': "),
        ("model: a\nseed: !!bool perhaps\n", ":2: not YAML: found 'perhaps': "),
        ("model: a\nseed: !!int ''\n", ":2: not YAML: found '': "),
        ("model: a\nseed: !!timestamp now\n", ":2: not YAML: found 'now': "),
        (f"model: a\nseed: {'1' * 5000}\n", ":2: not YAML: found '1111"),
        ("model: a\ndata: !!python/name:os.system x\n", ":2: not YAML: "),
        ("model: a\n[a]: b\n", ":2: not YAML: found unhashable key"),
        ("model: a\ndata: \x07\n", ":2: not YAML: the character U+0007"),
        ("", ": found nothing; expected keys such as `model:` and `learning_rate:`"),
        ("# only this\n", ": found nothing; expected keys"),
        ("- model\n- seed\n", ": found list; expected keys"),
        ("model\n", ": found str; expected keys"),
        (b"model: caf\xe9\n", ": not UTF-8: "),
        (b"\xff\xfem\x00:\x00", ": not UTF-8: "),
        ("#" * (MAX_SPACE_BYTES + 1), ": over 1,000,000 bytes; expected a small YAML file"),
    ],
)
def test_a_file_that_is_no_space_is_told_with_its_place(tmp_path: Path, content: str | bytes, place: str) -> None:
    path = file_with(tmp_path, content)
    with pytest.raises(SpaceError) as caught:
        load_space(path)
    assert str(caught.value).startswith(path + place)
    assert "\n" not in str(caught.value)


def levels(line: str, depth: int = 12) -> str:
    return "".join(line.format(this=level, last=level - 1) for level in range(1, depth))


@pytest.mark.parametrize(
    "content",
    [
        "[" * 100_000,
        "{a: " * 100_000,
        "a:\n" + "".join(f"{' ' * depth}a:\n" for depth in range(1, 1000)),
        "a0: &a0 [x]\n" + levels("a{this}: &a{this} [" + ", ".join(["*a{last}"] * 10) + "]\n") + "model: *a11\n",
        "a0: &a0 {k: v}\n" + levels("a{this}: &a{this} {{<<: [" + ", ".join(["*a{last}"] * 10) + "]}}\n"),
        "model: &m [*m]\n",
        "data: &m {x: *m}\n",
    ],
    ids=["lists", "mappings", "blocks", "aliases", "merges", "a list in itself", "a mapping in itself"],
)
def test_a_file_that_grows_while_it_is_read_is_refused_quickly(tmp_path: Path, content: str) -> None:
    path = file_with(tmp_path, content)
    start = time.process_time()
    with pytest.raises(SpaceError) as caught:
        load_space(path)
    assert time.process_time() - start < 10
    assert len(str(caught.value)) < 2000


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("dmo", r"'dmo': no such file and none of the bundled spaces .*demo.*\(did you mean 'demo'\?\)"),
        ("zzz", r"'zzz': no such file and none of the bundled spaces .*minilm, notebook, search\S*$"),
        ("", r"no such file"),
        ("/", r"no such file"),
        ("a\0b", r"no such file"),
        ("~nobody-of-this-name/space.yaml", r"cannot be read: .*home directory"),
        ("s" * 5000, r"cannot be read: .*too long"),
    ],
)
def test_a_name_that_leads_nowhere_is_told(name: str, message: str) -> None:
    with pytest.raises(SpaceError, match=message) as caught:
        load_space(name)
    assert len(str(caught.value)) < 1000


def test_a_file_that_cannot_be_opened_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def closed(*_: object, **__: object) -> str:
        raise PermissionError(13, "Permission denied")

    path = file_with(tmp_path, "model: m\n")
    monkeypatch.setattr(Path, "read_text", closed)
    with pytest.raises(SpaceError, match=re.escape(f"{path}: cannot be read: Permission denied")):
        load_space(path)


@pytest.mark.parametrize(
    ("stride", "max_length", "fits"), [(20, 10, False), (123, 128, True), (124, 128, False), (0, 3, True)]
)
def test_windows_must_move_on(stride: int, max_length: int, fits: bool) -> None:
    if fits:
        assert space(stride=stride, max_length=max_length).stride == [stride]
        return
    with pytest.raises(SpaceError, match=rf"stride: found {stride} with max_length {max_length}, expected at most"):
        space(stride=stride, max_length=max_length)


def test_what_a_search_tries_first_follows_an_option_that_takes_it_out_of_the_space() -> None:
    said = load_space("search").initial_points
    assert "model" in said
    other = load_space("search", {"model": ["tiny:1x32"]})
    other.check_search()
    assert other.initial_points == {name: values for name, values in said.items() if name != "model"}
    assert load_space("search", {"model": ["tiny:1x32", *said["model"]]}).initial_points == said
