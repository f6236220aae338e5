"""Entry point of `python -m tune_ner.search`."""

from tune_ner.cli.console import run_alone
from tune_ner.cli.search import search

if __name__ == "__main__":
    run_alone(search)
