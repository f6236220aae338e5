"""Entry point of `python -m tune_ner.grid`."""

from tune_ner.cli.console import run_alone
from tune_ner.cli.grid import grid

if __name__ == "__main__":
    run_alone(grid)
