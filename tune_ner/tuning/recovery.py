"""What a run does about trials that did not end as they should."""

from __future__ import annotations

from dataclasses import dataclass

MAX_FAILURES = 2


@dataclass(frozen=True)
class FailureConfig:
    """How trials outlive what happens to them.

    Attributes:
        max_failures: how often a trial whose worker died is tried anew.
        retry_failed: whether trials that failed in an earlier start are run again.
        checkpoint_every: after how many epochs a trial is saved in the run folder, for it to go on from there; None
            where trials begin anew.
    """

    max_failures: int = MAX_FAILURES
    retry_failed: bool = False
    checkpoint_every: int | None = None
