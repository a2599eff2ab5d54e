"""Plans and performs stages: skips what is done, chains what is missing, records what was made.

`planning` is pure and light: it says which folders a verb would use and which of them are
finished, so that ``--dry-run`` and the work itself cannot disagree.
"""

from icectl.stages.finding import find_run, newest_run
from icectl.stages.performing import Outcome, perform
from icectl.stages.planning import Request, Step, finished, plan, run_folder, source_of
from icectl.stages.recording import metrics_record, run_record, versions

__all__ = [
    "Outcome",
    "Request",
    "Step",
    "find_run",
    "finished",
    "metrics_record",
    "newest_run",
    "perform",
    "plan",
    "run_folder",
    "run_record",
    "source_of",
    "versions",
]
