"""Plans and performs stages: skips what is done, chains what is missing, records what was made.

`plan` is pure and light: it says which folders a verb would use and which of them are
finished, so that ``--dry-run`` and the work itself cannot disagree.
"""

from icectl.stages.execute import Outcome, perform
from icectl.stages.plan import Request, Step, plan, run_folder, run_for, source_of, trains
from icectl.stages.records import metrics_record, run_record, score_of, versions
from icectl.stages.runs import LAST, find_run, newest_run, run_of_weights, runs

__all__ = [
    "LAST", "Outcome", "Request", "Step", "find_run", "metrics_record", "newest_run", "perform", "plan",
    "run_folder", "run_for", "run_of_weights", "run_record", "runs", "score_of", "source_of", "trains",
    "versions",
]  # fmt: skip
