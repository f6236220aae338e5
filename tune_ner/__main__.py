"""Entry point of `python -m tune_ner COMMAND`."""

from tune_ner.cli.app import main

if __name__ == "__main__":
    main()
