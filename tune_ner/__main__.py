"""`python -m tune_ner COMMAND` and the console script `tune-ner`."""

from __future__ import annotations

from tune_ner.audit_command import audit
from tune_ner.commands import new_app
from tune_ner.grid import grid
from tune_ner.predict_command import predict
from tune_ner.report_command import report
from tune_ner.search import search
from tune_ner.submit import PASSED_ON, submit

app = new_app(
    no_args_is_help=True,
    help="Distributed hyperparameter search for named entity recognition whose results can be believed.",
)
app.command()(grid)
app.command()(search)
app.command()(audit)
app.command()(report)
app.command()(predict)
app.command(context_settings=PASSED_ON)(submit)


def main() -> None:
    """Run the command that the arguments name."""
    app()


if __name__ == "__main__":
    main()
