"""The inside of one training process: join the group, work, report, leave together."""

import json
import logging
import multiprocessing
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from logging.handlers import QueueHandler
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any, TypeVar

import torch
import torch.distributed as dist

from icectl import errors
from icectl.errors import IcectlError, ProcessError, UsageError, WorkError
from icectl.guard import passed_through
from icectl.run import Run
from icectl.training import fabric as fabrics
from icectl.training.devices import Decision, outer_world
from icectl.training.settings import SIGNALS, Interrupted
from icectl.workspace import write_json

T = TypeVar("T")

_GRACE = 30.0
"""Seconds that a process whose parent died has for its last update and its state."""

SAID_AFTER, GIVEN_UP_AFTER = 30.0, 600.0
"""Seconds after which processes that were announced from outside are said to be missing, and given up."""

_WAIT_FOR_BLAME = 3.0
"""Seconds that a process with a broken connection waits, so that the broken one is named first."""


@dataclass(frozen=True)
class Call:
    """All that a spawned process is handed."""

    function: Callable[..., Any]
    run: Run
    args: tuple[Any, ...]
    decision: Decision
    folder: Path
    queue: Any
    level: int
    ignored: tuple[int, ...] = ()  # signals


def alone(function: Callable[..., T], run: Run, decision: Decision, args: tuple[Any, ...]) -> T:
    """Work in this process."""
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(decision.threads)
    fabrics.seed_everything(run.seed)
    with fabrics.using(fabrics.build(decision, several=False)):
        return function(run, *args)


def outer(function: Callable[..., T], run: Run, decision: Decision, args: tuple[Any, ...]) -> T:
    """Work as one of the processes that ``torchrun`` or SLURM started."""
    with _watched_rendezvous(run):
        try:
            fabric = fabrics.build(decision, several=True)
        except RuntimeError as error:
            if "ntasks" not in str(error):
                raise
            raise UsageError(
                f"SLURM describes {outer_world()} tasks in a way that says nothing of their machines",
                "start them with `srun --ntasks-per-node=N icectl train …`, or unset SLURM_NTASKS",
            ) from error
    return _joined(function, run, decision, args, fabric)


@contextmanager
def _watched_rendezvous(run: Run) -> Iterator[None]:
    """Say whom this process waits for, and end it if they never come; torch alone waits half an hour."""
    starter = "torchrun" if "TORCHELASTIC_RUN_ID" in os.environ else "SLURM_NTASKS"
    missing = f"the {outer_world() - 1} other processes that {starter} announced have not come"
    hint = "start all of them (`srun icectl train …`, or `torchrun` on every machine), or unset its variables"

    def give_up() -> None:
        print(f"error: {missing}\nhint: {hint}", file=sys.stderr, flush=True)
        os._exit(1)

    said = threading.Timer(SAID_AFTER, run.warn, [f"{missing}: {hint}"])
    timers = [said, threading.Timer(GIVEN_UP_AFTER, give_up)]
    for timer in timers:
        timer.daemon = True
        timer.start()
    try:
        yield
    finally:
        for timer in timers:
            timer.cancel()


def inner(call: Call) -> tuple[Any, dict[str, Any]]:
    """Work as one of the processes that `launch` started; errors are left in a file."""
    for number in SIGNALS:  # blocked since the fork server began; one that came meanwhile ends this process
        signal.signal(number, signal.SIG_IGN if number in call.ignored else signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    _log_into(call)
    threading.Thread(target=_follow_parent, daemon=True).start()
    try:
        with redirect_stdout(sys.stderr):  # as in the command itself
            result = _joined(call.function, call.run, call.decision, call.args)
    except BaseException as error:
        _report(call.folder, error)
        if _is_broken_connection(error):
            time.sleep(_WAIT_FOR_BLAME)
        raise SystemExit(1) from None  # torch would write an account of its own, into the temporary folder
    return (result, dict(call.run.notes)) if int(os.environ["RANK"]) == 0 else (None, {})


def _joined(
    function: Callable[..., T], run: Run, decision: Decision, args: tuple[Any, ...], fabric: Any = None
) -> T:
    """Join the group, work, and leave it together (gloo aborts now and then otherwise)."""
    torch.set_num_threads(decision.threads)
    fabrics.seed_everything(run.seed)
    fabric = fabric or fabrics.build(decision, several=True)
    with fabrics.using(fabric):
        result = function(run if fabric.global_rank == 0 else run.at(quiet=True), *args)
        fabric.barrier()
    if dist.is_initialized():
        dist.destroy_process_group()
    return result


def _follow_parent() -> None:
    """Stop as for SIGTERM when the command itself is gone (a fork server would let us live on)."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(_GRACE)
        os._exit(1)


def _log_into(call: Call) -> None:
    """Send rank 0's log to the parent; the others only warn."""
    logger = logging.getLogger("icectl")
    logger.handlers = [QueueHandler(call.queue)]
    logger.setLevel(call.level if int(os.environ["RANK"]) == 0 else logging.ERROR)
    logger.propagate = False


def _is_broken_connection(error: BaseException) -> bool:
    text = f"{type(error).__name__} {error}".lower()
    return any(word in text for word in ("gloo", "connection", "distbackend", "nccl", "timed out", "socket"))


def _report(folder: Path, error: BaseException) -> None:
    """Leave an error where the parent finds it, as data."""
    content = {
        "type": type(error).__name__,
        "message": str(error),
        "hint": getattr(error, "hint", ""),
        "number": getattr(error, "number", 0),
        "user": isinstance(error, IcectlError),
        "secondary": _is_broken_connection(error),
        "rank": os.environ.get("RANK", "?"),
        "traceback": traceback.format_exc(),
        "files": passed_through(error),
    }
    if folder.is_dir():  # not where the command has gone
        write_json(folder / f"error-{content['rank']}.json", content)


def reported(folder: Path) -> Exception | None:
    """Return the error that the processes reported, the user's first; None if only consequences."""
    found = [json.loads(file.read_text(encoding="utf-8")) for file in sorted(folder.glob("error-*.json"))]
    for one in found:
        if one["user"]:
            return _rebuilt(one)
    for one in found:
        if not one["secondary"]:
            said = f"{one['type']}: {one['message'].strip().partition(chr(10))[0]}"
            words = f"training process {one['rank']} failed:\n{one['traceback']}"
            return ProcessError(words, said, tuple(one["files"]))
    return None


def _rebuilt(one: dict[str, Any]) -> IcectlError:
    if one["type"] == "Interrupted":
        return Interrupted(one["message"], one["hint"], one["number"])
    kind = getattr(errors, one["type"], WorkError)
    error: IcectlError = kind(one["message"], one["hint"])
    return error
