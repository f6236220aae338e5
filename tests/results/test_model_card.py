"""The card of an exported model: what stands in it, and that nothing in it is taken for a mark."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.factories import a_finding, a_record, a_run, an_audit
from tune_ner.errors import ModelError
from tune_ner.results.leaderboard import RunResults
from tune_ner.results.model_card import model_card
from tune_ner.results.records import TrialRecord
from tune_ner.results.run_dir import RunDir
from tune_ner.results.tables import write_tables
from tune_ner.training.model_export import INFERENCE_CONFIG_FILE, InferenceConfig

SPACE = "data: hub:owner/corpus:1177\nmodel: tiny:1x32\nlearning_rate: [1.0e-3, 2.0e-3]\n"


def export(folder: RunDir, record: TrialRecord, **changes: Any) -> None:
    folder.models.best.mkdir()
    settings = InferenceConfig.of(record.config, ("DRUG",)).model_copy(update=changes)
    settings.write(folder.models.best)


def card_of(folder: RunDir) -> str:
    card = model_card(RunResults(folder))
    assert card is not None
    return card


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
    audits: dict[int | None, dict[str, Any]] = {None: an_audit(a_finding("a leak", "error"))}
    folder = a_run(tmp_path, records, space=SPACE, audits=audits)
    export(folder, records[0])
    return folder


def test_a_card_tells_data_protocol_figures_audit_and_limits(run: RunDir) -> None:
    card = card_of(run)
    for piece in (
        "## tiny:1x32 · BIO · 0.001 · seed 42",
        'MODEL, aggregation_strategy="first")',
        "tune-ner predict MODEL",
        "| test | 0.550 | 0.550 | 0.550 |",
        "| validation | 0.600 | 0.600 | 0.600 |",
        "| forms not seen | 0.550 |",
        "Best by validation: tiny:1x32 · BIO · 0.001",
        "- **data:** hub:owner/corpus:1177, markup keep",
        "- **licence of the data:** not known to this software: fill in",
        "random: test 0.2, validation 0.1, seed 67",
        "nothing was chosen by it",
        "audit: error: a leak",
        "mend a leak",
        "- **learning_rate:** 0.001",
        "- **dropout:** the encoder's own",
        "- **epochs trained:** 2, of which number 2 is this model",
        "Its tags could not hold 2 of 1 test entities as annotated.",
        "not calibrated",
    ):
        assert piece in card
    headings = [line for line in card.splitlines() if line.startswith("#")]
    assert headings[1:] == [
        f"### {name}" for name in ("Use", "Figures", "Data", "Audit of the data", "Training", "Limits")
    ]


def test_the_front_matter_is_the_hub_s(run: RunDir) -> None:
    assert front_matter(card_of(run)) == {
        "library_name": "transformers",
        "pipeline_tag": "token-classification",
        "tags": ["token-classification", "named-entity-recognition", "tune-ner"],
        "datasets": ["owner/corpus"],
    }


def test_an_encoder_of_the_hub_is_the_base_model(tmp_path: Path) -> None:
    record = a_record(model="KB/bert", model_fingerprint="a" * 40)
    folder = a_run(tmp_path, [record])
    export(folder, record)
    assert front_matter(card_of(folder))["base_model"] == "KB/bert"


def test_nothing_in_it_is_taken_for_a_mark(tmp_path: Path) -> None:
    name = "a|b*c*[d](e)<script>\n---\n# no heading"
    record = a_record(model=name)
    folder = a_run(tmp_path, [record])
    export(folder, record)
    card = card_of(folder)
    assert front_matter(card)["tags"][-1] == "tune-ner"
    assert "<script>" not in card.replace("\\<script>", "")
    assert "\n# no heading" not in card
    assert card.count("\n---\n") == 1


@pytest.mark.parametrize(("subword_labels", "strategy"), [("first", "first"), ("all", "simple")])
def test_the_pipeline_is_shown_as_it_reads_what_was_trained(tmp_path: Path, subword_labels: str, strategy: str) -> None:
    record = a_record(subword_labels=subword_labels)
    folder = a_run(tmp_path, [record])
    export(folder, record)
    card = card_of(folder)
    assert f'MODEL, aggregation_strategy="{strategy}")' in card
    assert ("do not use it" in card) == (subword_labels == "first")


@pytest.mark.parametrize("scheme", ["BIO", "BIOES", "BILOU"])
def test_schemes_that_the_pipeline_does_not_know_say_so(tmp_path: Path, scheme: str) -> None:
    record = a_record(tagging_scheme=scheme)
    folder = a_run(tmp_path, [record])
    export(folder, record)
    assert ("The pipeline knows the letters B and I alone" in card_of(folder)) == (scheme != "BIO")


@pytest.mark.parametrize(
    ("again", "expected"),
    [
        ((), "These weights were trained once more with the same figures as its record has."),
        (("test F1 0.4 in the record, 0.5 here",), "did not come out as its record has it: test F1 0.4 in the record"),
    ],
)
def test_weights_that_were_trained_again_say_so(tmp_path: Path, again: tuple[str, ...], expected: str) -> None:
    record = a_record()
    folder = a_run(tmp_path, [record])
    export(folder, record, retraining_differences=again)
    assert expected in card_of(folder)
    export_again = InferenceConfig.of(record.config, ("DRUG",))
    export_again.write(folder.models.best)
    assert "once more" not in card_of(folder)


def test_the_card_is_written_with_the_tables_and_again_by_each_report(run: RunDir) -> None:
    written = write_tables(RunResults(run))
    card = run.models.best / "README.md"
    assert written[-1] == card
    first = card.read_text(encoding="utf-8")
    card.write_text("spoilt")
    write_tables(RunResults(run))
    assert card.read_text(encoding="utf-8") == first == card_of(run)


def test_a_run_without_a_model_or_with_that_of_another_has_no_card(tmp_path: Path) -> None:
    folder = a_run(tmp_path, [a_record()])
    assert model_card(RunResults(folder)) is None
    export(folder, a_record(learning_rate=0.1))
    assert model_card(RunResults(folder)) is None


def test_damaged_settings_cost_the_card_and_no_table(run: RunDir) -> None:
    file = run.models.best / INFERENCE_CONFIG_FILE
    file.write_text(file.read_text().replace('"whitespace"', '"letters"'))
    with pytest.raises(ModelError, match=r"tune_ner\.json: word_tokenizer"):
        write_tables(RunResults(run))
    assert {"ranking.csv", "timings.csv", "ranking.tex"} <= {path.name for path in run.path.iterdir()}
    assert not (run.models.best / "README.md").exists()
