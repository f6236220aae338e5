"""The page of a run: one file that opens from disk, with its figures and the errors of its trials."""

from tune_ner.reporting.page.figure import Figure
from tune_ner.reporting.page.writing import PAGE_FILE, page_of, print_page, write_page

__all__ = ["PAGE_FILE", "Figure", "page_of", "print_page", "write_page"]
