from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.factories import a_finding, a_record, a_run, an_audit
from tune_ner.errors import ModelError
from tune_ner.results.model_card import model_card
from tune_ner.results.records import TrialRecord
from tune_ner.results.run_dir import RunDir
from tune_ner.results.run_results import Results
from tune_ner.results.table_files import write_tables
from tune_ner.training.model_export import INFERENCE_CONFIG_FILE, InferenceConfig

SPACE = "data: hub:owner/corpus:1177\nmodel: tiny:1x32\nlearning_rate: [1.0e-3, 2.0e-3]\n"


def export(run_dir: RunDir, record: TrialRecord, **changes: Any) -> None:
    run_dir.models.best.mkdir(exist_ok=True)
    InferenceConfig.of(record.config, ("DRUG",)).model_copy(update=changes).write(run_dir.models.best)


def card_of(run_dir: RunDir) -> str:
    card = model_card(Results(run_dir))
    assert card is not None
    return card


def card_for(folder: Path, **changes: Any) -> str:
    """Return the card of a run with a single trial."""
    record = a_record(**changes)
    run_dir = a_run(folder, [record])
    export(run_dir, record)
    return card_of(run_dir)


def front_matter(card: str) -> dict[str, Any]:
    empty, content, _ = card.split("---\n", 2)
    assert empty == ""
    found: dict[str, Any] = yaml.safe_load(content)
    return found


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    records = [
        a_record((0.3, 0.6), test=0.55, learning_rate=1e-3, cut=1),
        a_record((0.5,), test=0.7, learning_rate=2e-3),
    ]
    run_dir = a_run(tmp_path, records, space=SPACE, audits={None: an_audit(a_finding("a leak", "error"))})
    export(run_dir, records[0])
    return run_dir


def test_card_has_metrics_data_audit_and_limitations(run: RunDir) -> None:
    card = card_of(run)
    headings = [line for line in card.splitlines() if line.startswith("#")]
    assert headings[0] == "# tiny:1x32 · BIO · lr 0.001 · seed 42"
    assert [line.removeprefix("## ") for line in headings[1:]] == [
        *("Usage", "Metrics", "Data", "Data audit", "Training", "Limitations")
    ]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in card.splitlines() if line[:1] == "|"]
    assert ["test", "0.550", "0.550", "0.550", "1"] in [row[:5] for row in rows]
    assert ["other entities", "0.550", "0.550", "0.550", "1"] in rows
    for piece in ("hub:owner/corpus:1177", "a leak", "fix a leak", "random: test 0.2", "2 of 1 test entities"):
        assert piece in card


def test_audit_errors_are_warnings_above_everything_else(run: RunDir) -> None:
    card = card_of(run)
    warning = "> **Warning:** The data has an audit error: a leak. fix a leak"
    assert card.index("# tiny:1x32") < card.index(warning) < card.index("## Usage")


def test_front_matter_is_that_of_the_hub(run: RunDir) -> None:
    found = front_matter(card_of(run))
    (entry,) = found.pop("model-index")
    (result,) = entry["results"]
    assert result["dataset"] == {"name": "owner/corpus", "type": "owner/corpus", "split": "test"}
    assert [metric["type"] for metric in result["metrics"]] == ["precision", "recall", "f1"]
    assert all(0 <= metric["value"] <= 1 for metric in result["metrics"])
    assert found == {
        "library_name": "transformers",
        "pipeline_tag": "token-classification",
        "tags": ["token-classification", "named-entity-recognition", "tune-ner"],
        "datasets": ["owner/corpus"],
    }


def test_encoder_of_the_hub_is_the_base_model(tmp_path: Path) -> None:
    assert front_matter(card_for(tmp_path, model="KB/bert", model_fingerprint="a" * 40))["base_model"] == "KB/bert"


def test_markup_in_names_is_escaped(tmp_path: Path) -> None:
    card = card_for(tmp_path, model="a|b*c*[d](e)<script>\n---\n# no heading {{ title }}")
    assert front_matter(card)["tags"][-1] == "tune-ner"
    assert "<script>" not in card.replace("\\<script>", "")
    assert "\n# no heading" not in card
    assert card.count("\n---\n") == 1


@pytest.mark.parametrize(("subword_labels", "strategy"), [("first", "first"), ("all", "simple")])
def test_pipeline_is_shown_with_the_strategy_that_suits_the_labels(
    tmp_path: Path, subword_labels: str, strategy: str
) -> None:
    card = card_for(tmp_path, subword_labels=subword_labels)
    assert f'MODEL, aggregation_strategy="{strategy}")' in card
    assert ('Do not use `aggregation_strategy="simple"`' in card) == (subword_labels == "first")


@pytest.mark.parametrize("scheme", ["BIO", "BIOES", "BILOU"])
def test_schemes_unknown_to_the_pipeline_are_mentioned(tmp_path: Path, scheme: str) -> None:
    assert ("S-TYPE" in card_for(tmp_path, tagging_scheme=scheme)) == (scheme != "BIO")


@pytest.mark.parametrize(
    ("again", "expected"),
    [((), "with the same metrics"), (("test F1 0.4 in the record, 0.5 now",), "test F1 0.4 in the record, 0.5 now")],
)
def test_retrained_weights_are_mentioned(tmp_path: Path, again: tuple[str, ...], expected: str) -> None:
    record = a_record()
    run_dir = a_run(tmp_path, [record])
    export(run_dir, record, retraining_differences=again)
    assert expected in card_of(run_dir)
    export(run_dir, record)
    assert "retrained" not in card_of(run_dir)


def test_card_is_written_with_the_tables(run: RunDir) -> None:
    card = run.models.best / "README.md"
    assert write_tables(Results(run))[-1] == card
    first = card.read_text(encoding="utf-8")
    card.write_text("changed")
    write_tables(Results(run))
    assert card.read_text(encoding="utf-8") == first == card_of(run)


def test_run_without_a_model_or_with_the_model_of_another_run_has_no_card(tmp_path: Path) -> None:
    run_dir = a_run(tmp_path, [a_record()])
    assert model_card(Results(run_dir)) is None
    export(run_dir, a_record(learning_rate=0.1))
    assert model_card(Results(run_dir)) is None


def test_corrupt_settings_only_prevent_the_card(run: RunDir) -> None:
    file = run.models.best / INFERENCE_CONFIG_FILE
    file.write_text(file.read_text().replace('"whitespace"', '"letters"'))
    with pytest.raises(ModelError, match=r"tune_ner\.json: word_tokenizer"):
        write_tables(Results(run))
    assert {"leaderboard.csv", "timings.csv", "leaderboard.tex"} <= {path.name for path in run.path.iterdir()}
    assert not (run.models.best / "README.md").exists()


def test_card_of_a_crf_says_that_only_this_package_uses_its_transitions(tmp_path: Path) -> None:
    sentence = "The head is a CRF: what it learned about the order of labels is in `tune_ner.json`"
    assert sentence in card_for(tmp_path / "crf", head="crf")
    assert "viterbi decoding" in card_for(tmp_path / "crf again", head="crf")
    assert "The head is a CRF" not in card_for(tmp_path / "linear")


def test_card_of_a_baseline_has_no_example_for_transformers(tmp_path: Path) -> None:
    card = card_for(tmp_path, model="baseline:crf")
    assert "A baseline without an encoder, baseline:crf, trained by tune_ner" in card
    assert "tune-ner predict MODEL" in card
    for other in ("pipeline(", "learning_rate", "dropout", "subword"):
        assert other not in card.partition("## Training")[0 if other == "pipeline(" else 2], other
    assert front_matter(card)["library_name"] == "tune-ner"
