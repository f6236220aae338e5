"""Search spaces from YAML files, bundled names and mappings, and errors of files."""

import re
import time
from pathlib import Path
from typing import Any

import pytest

from tune_ner.config.loading import MAX_SPACE_BYTES, bundled_spaces, load_space
from tune_ner.config.search_space import DataSettings
from tune_ner.config.trial_config import TrialConfig
from tune_ner.errors import SpaceError

NOTEBOOK_GRID: dict[str, list[Any]] = {
    "model": ["KB/bert-base-swedish-cased", "google-bert/bert-base-multilingual-cased"],
    "tagging_scheme": ["BIO", "BIOES"],
    "head": ["linear"],
    "learning_rate": [1e-5, 2e-5, 5e-5],
    "layer_learning_rate_decay": [1.0],
    "head_learning_rate": [None],
    "frozen_layers": [0],
    "lora_rank": [0],
    "lora_alpha": [None],
    "lora_targets": ["attention"],
    "optimizer": ["adamw_torch_fused"],
    "lr_schedule": ["linear"],
    "warmup": [0.0],
    "epochs": [5],
    "early_stopping_patience": [None],
    "batch_size": [16],
    "gradient_accumulation": [1],
    "gradient_checkpointing": [False],
    "max_grad_norm": [1.0],
    "weight_decay": [0.01],
    "label_smoothing": [0.0],
    "class_weights": ["none"],
    "focal_gamma": [0.0],
    "dropout": [None],
    "train_fraction": [1.0],
    "max_train_sentences": [None],
    "max_length": [256],
    "word_tokenizer": ["whitespace"],
    "stride": [0],
    "subword_labels": ["first"],
    "decoding": ["argmax"],
    "crf_c1": [0.01],
    "crf_c2": [0.01],
    "seed": [42],
}
every_bundled = pytest.mark.parametrize("name", bundled_spaces())
every_grid = pytest.mark.parametrize("name", [name for name in bundled_spaces() if not load_space(name).distributions])


def file_with(folder: Path, content: str | bytes) -> str:
    file = folder / "space.yaml"
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return str(file)


# ---- bundled spaces


def test_bundled_spaces_are_found() -> None:
    assert {"notebook", "clean", "demo", "minilm", "search"} <= set(bundled_spaces())


@every_bundled
def test_bundled_space_loads_by_name_and_by_path(name: str) -> None:
    found = load_space(name)
    assert found == load_space(str(bundled_spaces()[name])) == load_space(bundled_spaces()[name])
    found.check_search() if found.distributions else found.check_grid()


@every_bundled
def test_first_line_of_a_bundled_space_is_its_command(name: str) -> None:
    first = bundled_spaces()[name].read_text(encoding="utf-8").partition("\n")[0]
    command = f"search( {name})?" if load_space(name).distributions else f"grid {name}"
    assert re.fullmatch(rf"# tune-ner {command}( .+)?", first)


@every_grid
def test_grid_points_have_different_trial_ids(name: str) -> None:
    found = load_space(name)
    fixed = {"data_fingerprint": "d", "word_tokenizer": "punctuation"}  # which depends on the corpus
    trials = [TrialConfig.model_validate({**point, **fixed}) for point in found.grid_points()]
    assert len({trial.trial_id for trial in trials}) == len(trials)


def test_notebook_space_has_the_notebooks_settings() -> None:
    found = load_space("notebook")
    assert found.grid_values == NOTEBOOK_GRID
    assert found.data == DataSettings(path="hub:community-datasets/swedish_medical_ner:1177")
    assert (found.markup, found.selection_metric) == ("keep", "seqeval_f1")
    assert (found.split.test_size, found.split.validation_size, found.split.seed) == (0.2, 0.1, 67)
    assert len(found.grid_points()) == 12


def test_defaults_are_the_notebooks() -> None:
    given = {name: NOTEBOOK_GRID[name] for name in ("model", "tagging_scheme", "learning_rate")}
    notebook = load_space("notebook")
    own = {"selection_metric": "seqeval_f1", "word_tokenizer": "whitespace", "stride": 0}
    assert load_space({**given, "data": notebook.data, **own}) == notebook


def test_clean_space_has_clean_text_and_three_seeds() -> None:
    found = load_space("clean")
    assert found.grid_values == {**NOTEBOOK_GRID, "word_tokenizer": ["auto"], "stride": [None], "seed": [1, 2, 3]}
    assert found.markup == "strip"


def test_demo_needs_neither_hub_nor_file() -> None:
    found = load_space("demo")
    assert found.data
    assert found.data.path.startswith("synthetic")
    assert all(model.startswith("tiny:") for model in found.model)


def test_former_names_are_accepted() -> None:
    assert load_space("honest") == load_space("clean")
    assert load_space("demo", {"batching": "packed"}).batching == "padding_free"


@every_bundled
def test_bundled_space_survives_a_round_trip_through_yaml(name: str, tmp_path: Path) -> None:
    assert load_space(file_with(tmp_path, load_space(name).to_yaml())) == load_space(name)


# ---- sources and overrides


@pytest.mark.parametrize("written", ["1e-5", "1.0e-5", "0.00001", "[1e-5]", "'1e-5'"])
def test_number_without_decimal_point_is_read_as_a_number(tmp_path: Path, written: str) -> None:
    assert load_space(file_with(tmp_path, f"model: m\nlearning_rate: {written}\n")).learning_rate == [1e-5]


def test_mapping_is_a_source(tmp_path: Path) -> None:
    content = {"model": "m", "learning_rate": 0.1}
    assert load_space(content, {"epochs": 2}) == load_space(
        file_with(tmp_path, "model: m\nlearning_rate: 0.1\nepochs: 2\n")
    )
    assert content == {"model": "m", "learning_rate": 0.1}


def test_overrides_replace_entries_of_the_file() -> None:
    found = load_space("notebook", {"model": ["tiny:1x32"], "epochs": 1, "data": "synthetic"})
    assert found.grid_values == {**NOTEBOOK_GRID, "model": ["tiny:1x32"], "epochs": [1]}
    assert found.data == DataSettings(path="synthetic")


def test_options_of_reading_are_merged_with_those_of_the_space() -> None:
    space = {
        "model": "tiny:1x32",
        "learning_rate": 1e-3,
        "data": {"path": "a.tsv", "tag_column": 2, "labels": {"a": "B"}},
    }
    found = load_space(space, {"tag_column": "3", "labels": ["x=Y", "0=O"], "columns": ["tags=ner"]}).data
    assert found
    assert (found.tag_column, found.labels, found.columns) == ("3", {"x": "Y", "0": "O"}, {"tags": "ner"})
    assert found.arguments == " --tag-column 3 --column tags=ner --label x=Y --label 0=O"
    with pytest.raises(SpaceError, match=r"labels: found 'Drug'; expected OLD=NEW"):
        load_space(space, {"labels": ["Drug"]})


def test_overlaps_can_stand_under_data() -> None:
    space = {"model": "tiny:1x32", "learning_rate": 1e-3, "data": {"path": "a.jsonl", "overlaps": "innermost"}}
    found = load_space(space)
    assert (found.overlaps, found.data) == ("innermost", DataSettings(path="a.jsonl"))
    assert load_space(space, {"overlaps": "first"}).overlaps == "first"
    with pytest.raises(SpaceError, match="expected one"):
        load_space({**space, "overlaps": "first"})


def test_an_invalid_option_is_named_instead_of_the_file(tmp_path: Path) -> None:
    with pytest.raises(SpaceError, match=r"^options: 1 problem\n  tagging_scheme\[0\]: found 'bioes'.* \(--scheme\)$"):
        load_space("notebook", {"tagging_scheme": ["bioes"]})
    file = file_with(tmp_path, "model: m\nlearning_rate: banana\n")
    with pytest.raises(SpaceError) as caught:
        load_space(file, {"tagging_scheme": ["bioes"]})
    first, *lines = str(caught.value).splitlines()
    assert first == f"{file}: 2 problems"
    assert ["(--" in line for line in lines] == ["tagging_scheme" in line for line in lines]


@pytest.mark.parametrize(
    ("option", "method", "folds"), [("random", "random", 0), ("grouped", "grouped", 0), ("kfold:3", "grouped", 3)]
)
def test_split_option_keeps_the_other_split_settings(tmp_path: Path, option: str, method: str, folds: int) -> None:
    file = file_with(tmp_path, "model: m\nlearning_rate: 0.1\nsplit: {seed: 5, folds: 2}\n")
    split = load_space(file, {"split": option}).split
    assert (split.method, split.folds, split.seed) == (method, folds, 5)


@pytest.mark.parametrize("option", ["kfold:1", "kfold:0", "kfold:", "kfold:²", "kfold:9999999", "folds", "Random", ""])
def test_invalid_split_option_is_refused(option: str) -> None:
    with pytest.raises(SpaceError, match=r"split"):
        load_space("demo", {"split": option})


def test_file_takes_precedence_over_the_bundled_space_of_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "demo").write_text("model: mine\nlearning_rate: 0.1\n")
    monkeypatch.chdir(tmp_path)
    assert load_space("demo").model == ["mine"]


def test_overrides_remove_values_from_initial_points() -> None:
    points = load_space("search").initial_points
    assert "model" in points
    other = load_space("search", {"model": ["tiny:1x32"]})
    other.check_search()
    assert other.initial_points == {name: values for name, values in points.items() if name != "model"}
    assert load_space("search", {"model": ["tiny:1x32", *points["model"]]}).initial_points == points


# ---- errors of files


@pytest.mark.parametrize(
    ("content", "place"),
    [
        ("model: [a\nlearning_rate: 1\n", ":2: not YAML: "),
        ("model: a\n\tlearning_rate: 1\n", ":2: not YAML: "),
        ("model: a\nlearning_rate: 1: 2\n", ":2: not YAML: "),
        ("model: a\nmodel: b\n", ":2: not YAML: duplicate key 'model'"),
        ("split:\n  seed: 1\n  seed: 2\n", ":3: not YAML: duplicate key 'seed'"),
        ("model: a\n---\nmodel: b\n", ":2: not YAML: "),
        ("model: a\nseed: &s 1\nepochs: *s\n", ":3: not YAML: found an alias"),
        ("model: a\ndata: 2026-02-31\n", ":2: not YAML: found '2026-02-31': "),
        ("model: a\nseed: !!bool perhaps\n", ":2: not YAML: found 'perhaps': "),
        ("model: a\nseed: !!int ''\n", ":2: not YAML: found '': "),
        ("model: a\nseed: !!timestamp now\n", ":2: not YAML: found 'now': "),
        (f"model: a\nseed: {'1' * 5000}\n", ":2: not YAML: found '1111"),
        ("model: a\ndata: !!python/name:os.system x\n", ":2: not YAML: "),
        ("model: a\n[a]: b\n", ":2: not YAML: found unhashable key"),
        ("model: a\ndata: \x07\n", ":2: not YAML: the character U+0007"),
        (
            "",
            ": not a search space, which has keys such as `model:` and `learning_rate:`; if this is a corpus, pass",
        ),
        ("# only this\n", ": not a search space"),
        ("- model\n- seed\n", ": not a search space"),
        ("model\n", ": not a search space"),
        (b"model: caf\xe9\n", ": not UTF-8: "),
        (b"\xff\xfem\x00:\x00", ": not UTF-8: "),
        ("#" * (MAX_SPACE_BYTES + 1), ": over 1,000,000 bytes; expected a small YAML file"),
    ],
)
def test_invalid_file_is_reported_with_its_line(tmp_path: Path, content: str | bytes, place: str) -> None:
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
def test_expanding_file_is_refused_quickly(tmp_path: Path, content: str) -> None:
    path = file_with(tmp_path, content)
    start = time.process_time()
    with pytest.raises(SpaceError) as caught:
        load_space(path)
    assert time.process_time() - start < 10
    assert len(str(caught.value)) < 2000


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("dmo", r"'dmo': no such file .*demo.*\(did you mean 'demo'\?\)"),
        ("zzz", r"'zzz': no such file .*minilm, notebook, search\S*$"),
        ("", r"no such file"),
        ("/", r"no such file"),
        ("a\0b", r"no such file"),
        ("~no-such-user/space.yaml", r"reading failed: .*home directory"),
        ("s" * 5000, r"reading failed: .*too long"),
    ],
)
def test_unknown_name_is_refused(name: str, message: str) -> None:
    with pytest.raises(SpaceError, match=message) as caught:
        load_space(name)
    assert len(str(caught.value)) < 1000


def test_unreadable_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def closed(*_: object, **__: object) -> str:
        raise PermissionError(13, "Permission denied")

    path = file_with(tmp_path, "model: m\n")
    monkeypatch.setattr(Path, "read_text", closed)
    with pytest.raises(SpaceError, match=re.escape(f"{path}: reading failed: Permission denied")):
        load_space(path)
