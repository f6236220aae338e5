"""What a run found: the ranked table, what it says and how surely, and why trials failed or were stopped."""

from __future__ import annotations

from collections.abc import Sequence

from tune_ner.results.effects import answers, summary_lines
from tune_ner.results.encoding_notes import batching_notes, encoding_notes
from tune_ner.results.leaderboard import RunResults
from tune_ner.results.ranking_sheet import ranking_sheet
from tune_ner.results.records import TrialRecord
from tune_ner.results.search_analysis import print_confirmation, print_what_mattered
from tune_ner.results.selection import varied_axes
from tune_ner.results.tables import ranking
from tune_ner.results.warnings import cautions
from tune_ner.utils.renderers import Layout


def print_outcome(layout: Layout, results: RunResults, trials: int) -> None:
    """Print the ranked table, what it says, what became of the other trials, and where the results of `trials` lie."""
    if results.leaderboard_entries:
        print_ranking(layout, results)
        print_answers(layout, results)
        layout.gap()
    if results.search:
        print_confirmation(layout, results.search)
        print_what_mattered(layout, results.search)
        layout.gap()
    print_other_trials(layout, results.records)
    print_early_end(layout, results, trials)
    layout.line(f"Results: {results.folder.path}")
    _print_model(layout, results)


def _print_model(layout: Layout, results: RunResults) -> None:
    exported = results.folder.models.exported
    if not exported:
        return
    best = [record.trial_id for entry in results.leaderboard_entries[:1] for record in entry.records]
    other = "" if exported in best else f", of trial {exported}, which is not the best of these"
    layout.line(f"Model: {results.folder.models.best}{other}")


def print_ranking(layout: Layout, results: RunResults) -> None:
    """Print the ranked table of a run that has one, and what it says."""
    layout.table(ranking_sheet(ranking(results), varied_axes(results.records)))
    for line in (*summary_lines(results.leaderboard_entries, results.records), *cautions(results)):
        layout.line(line)


def print_answers(layout: Layout, results: RunResults) -> None:
    """Print each question that the run can answer, and its answers."""
    for question, sentences in answers(results.evidence, results.records):
        layout.heading(question)
        for sentence in sentences:
            layout.item(sentence)


def print_other_trials(layout: Layout, records: Sequence[TrialRecord]) -> None:
    """Print which trials were stopped or failed, and what a reader of the figures should know of the rest."""
    if stopped := stopped_note(records):
        layout.line(stopped, "note", "yellow")
    print_failures(layout, records)
    for note in (*encoding_notes(records), *batching_notes(records)):
        layout.line(note, "note", "yellow")


def print_failures(layout: Layout, records: Sequence[TrialRecord]) -> None:
    """Print why trials failed or diverged."""
    varied = varied_axes(records)
    for record in records:
        if record.error:
            layout.line(f"{record.config.titled(varied)}: {record.error}", record.status, "red")


def print_early_end(layout: Layout, results: RunResults, trials: int) -> None:
    """Print how a run of `trials` trials goes on that ended before all of them did."""
    if len(results.records) < trials:
        name = results.folder.name
        layout.line(
            f"{len(results.records)} of {trials} trials ended; the same command with --name {name} goes on",
            "stopped early",
            "yellow",
        )


def stopped_note(records: Sequence[TrialRecord]) -> str:
    """What the scheduler stopped, and that no mean and no answer rests on it; empty where it stopped nothing."""
    epochs = sorted(len(record.curve) for record in records if record.status == "pruned")
    if not epochs:
        return ""
    after = f"{epochs[0]}" if epochs[0] == epochs[-1] else f"{epochs[0]} to {epochs[-1]}"
    return (
        f"{len(epochs)} of {len(records)} trials were stopped after {after} epochs for being behind; they have no test "
        "figure, and everything above is about the others"
    )
