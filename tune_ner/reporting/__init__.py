"""Records → tables and what a person sees of a run."""

from tune_ner.reporting.comparison import common_table, runs_table
from tune_ner.reporting.display import Display, QuietDisplay, TerminalDisplay, written_page
from tune_ner.reporting.json_lines import JsonDisplay
from tune_ner.reporting.layout import Layout, MarkdownLayout, TerminalLayout
from tune_ner.reporting.outcome import print_outcome
from tune_ner.reporting.page import RunPage, print_page, write_comparison, write_page
from tune_ner.reporting.progress import LiveProgress, Workload
from tune_ner.reporting.run_report import open_runs, print_report
from tune_ner.reporting.search_plan import SearchPlan, print_search_plan
from tune_ner.reporting.standing import RunResults
from tune_ner.reporting.tables import curves_table, load_results, ranking, trials_table, write_tables
from tune_ner.reporting.terminal import print_audit, print_data, print_plan
from tune_ner.reporting.timings import timings_table

__all__ = [
    "Display",
    "JsonDisplay",
    "Layout",
    "LiveProgress",
    "MarkdownLayout",
    "QuietDisplay",
    "RunPage",
    "RunResults",
    "SearchPlan",
    "TerminalDisplay",
    "TerminalLayout",
    "Workload",
    "common_table",
    "curves_table",
    "load_results",
    "open_runs",
    "print_audit",
    "print_data",
    "print_outcome",
    "print_page",
    "print_plan",
    "print_report",
    "print_search_plan",
    "ranking",
    "runs_table",
    "timings_table",
    "trials_table",
    "write_comparison",
    "write_page",
    "write_tables",
    "written_page",
]
