"""The page of a run: one file that opens from disk, with its figures and the errors of its trials."""

from tune_ner.reporting.page.writing import RunPage, print_figures, print_page, write_comparison, write_page

__all__ = ["RunPage", "print_figures", "print_page", "write_comparison", "write_page"]
