"""Records → tables and what a person sees of a run."""

from tune_ner.reporting.tables import curves_table, ranking, trials_table, write_tables
from tune_ner.reporting.terminal import LiveProgress, print_audit, print_data, print_outcome, print_plan

__all__ = [
    "LiveProgress",
    "curves_table",
    "print_audit",
    "print_data",
    "print_outcome",
    "print_plan",
    "ranking",
    "trials_table",
    "write_tables",
]
