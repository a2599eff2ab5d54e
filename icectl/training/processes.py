"""Start the processes of a training, and word what goes wrong in them.

One process runs in place. Several on this machine are started by torch's `elastic_launch`,
which leaves the command, its lock and its run id in the parent; Fabric's own launcher would run
the whole command line again in each. Under ``torchrun`` or SLURM the processes exist already.
"""

import logging
import multiprocessing
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from logging.handlers import QueueListener
from multiprocessing import forkserver, process, resource_tracker
from pathlib import Path
from types import FrameType
from typing import Any, TypeVar

from icectl.errors import WorkError, silenced
from icectl.interrupts import again_soon
from icectl.run import Run
from icectl.training import devices
from icectl.training.settings import RESUME, SIGNALS, STATE, Interrupted
from icectl.workspace import own_folder

T = TypeVar("T")

START_METHOD = "forkserver" if sys.platform == "linux" else "spawn"
"""With a fork server torch is imported once for all processes, and not at all by a second launch."""

NOISY = ("torch.distributed.elastic", "torchelastic-events-null")
"""Logs of the agent's own account; ours is enough."""

PATIENCE = 600
"""Seconds that the processes have, after a signal, for their present update (or validation) and the state."""


def launch(function: Callable[..., T], run: Run, *args: Any) -> T:
    """Call ``function(run, *args)`` in every process of the training; return rank 0's result.

    With several processes `function` must be a function of a module (or a method of an object
    that pickles), and `args` must pickle. Facts that rank 0 puts into ``run.notes`` come back.

    Raises
    ------
    IcectlError
        What a process raised for the user, with its hint.
    WorkError
        A process was killed or hung; the message names the state to resume from.
    """
    decision = devices.resolve(run.compute)
    if (slowly := decision.slowly()) and devices.outer_rank() in (None, 0):
        run.warn(slowly)
    if devices.outer_rank() is not None:
        from icectl.training.worker import outer

        return outer(function, run, decision, args)
    if decision.processes == 1:
        from icectl.training.worker import alone

        return alone(function, run, decision, args)
    return _spawn(function, run, decision, args)


def _spawn(function: Callable[..., T], run: Run, decision: devices.Decision, args: tuple[Any, ...]) -> T:
    """Run the processes under torch's elastic agent and bring back rank 0's envelope."""
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import elastic_launch

    from icectl.training import worker

    run.say(decision.reason)
    multiprocessing.set_forkserver_preload(["icectl.training.loop", "icectl.training.worker"])
    _start_fork_server()
    level = logging.getLogger("icectl").getEffectiveLevel()
    with own_folder(run.out, tidy=False) as folder, silenced(*NOISY):
        try:
            with _passed_on() as ignored, _log_bridge() as queue:
                call = worker.Call(function, run, args, decision, folder, queue, level, ignored)
                results = elastic_launch(_config(decision, run, folder), worker.inner)(call)
        except ChildFailedError as failure:
            raise worker.reported(folder) or _killed(failure, run, folder) from None
        except SignalException as stopped:
            raise worker.reported(folder) or _stopped(run, int(stopped.sigval)) from None
        result, notes = results[0]
    run.notes.update(notes)
    return result  # type: ignore[no-any-return]


def _start_fork_server() -> None:
    """Start the server of which processes are forked, with the signals that end a command blocked.

    A signal to the whole group (of a terminal, or of a batch system) would end the server, and the agent
    would take its processes for dead. They unblock the signals themselves (`worker.inner`). The tracker of
    what they share lives on likewise.
    """
    if START_METHOD != "forkserver":
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        resource_tracker.ensure_running()  # it ignores two of them, and unblocks those here
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _config(decision: devices.Decision, run: Run, folder: Path) -> Any:
    from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs
    from torch.distributed.launcher.api import LaunchConfig

    return LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=decision.processes,
        run_id=f"icectl-{run.plugin.name}-{run.glacier.name}",
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        rdzv_configs={"timeout": 300},
        local_addr="127.0.0.1",
        max_restarts=0,
        start_method=START_METHOD,
        logs_specs=DefaultLogsSpecs(str(folder / "torch")),
        signals_to_handle="",  # `_passed_on` handles them
        shutdown_timeout=PATIENCE,
    )


def progress_of(folder: Path) -> str:
    """Say what a run's folder holds to go on from."""
    from icectl.training.checkpoint import load_state

    try:
        return f"its state of step {load_state(folder / STATE)['step']} is kept in {folder / STATE}"
    except Exception:
        return "no state had been saved yet"


def _killed(failure: Any, run: Run, folder: Path) -> WorkError:
    """Word the death of a process that could not report it, or processes that lost each other."""
    rank, first = failure.get_first_failure()
    number = -first.exitcode
    if number <= 0 and any(folder.glob("error-*.json")):
        what = f"training process {rank} lost its connection to the others (one hangs, or the network failed)"
        return WorkError(f"{what}; {progress_of(run.out)}", RESUME)
    how = (
        f"was killed by {signal.Signals(number).name}" if number > 0 else f"ended with code {first.exitcode}"
    )
    why = " (the system may have run out of memory)" if number == signal.SIGKILL else ""
    return WorkError(f"training process {rank} {how}{why}; {progress_of(run.out)}", RESUME)


def _stopped(run: Run, number: int) -> Interrupted:
    name = signal.Signals(number).name
    return Interrupted(f"training was stopped by {name}; {progress_of(run.out)}", number=number)


@contextmanager
def _passed_on() -> Iterator[tuple[int, ...]]:
    """Have the agent pass the first signal on to the processes, and end them at once on a second.

    Yields the signals that are ignored (as under ``nohup``), which the processes are to ignore too.
    """
    from torch.distributed.elastic.multiprocessing.api import SignalException

    received: list[int] = []

    def stop(number: int, frame: FrameType | None) -> None:
        if _starting(frame):  # the process would run and nobody know of it: the signal comes again
            again_soon(number)
            return
        received.append(number)
        if len(received) == 1:
            raise SignalException("a signal came", signal.Signals(number))
        for child in multiprocessing.active_children():
            child.kill()

    before = {number: signal.getsignal(number) for number in SIGNALS}
    ignored = tuple(number for number in SIGNALS if before[number] is signal.SIG_IGN)
    try:
        with suppress(ValueError):  # not the main thread
            for number in set(SIGNALS) - set(ignored):
                signal.signal(number, stop)
        yield ignored
    finally:
        with suppress(ValueError, TypeError):  # not the main thread, or not a handler of Python
            for number, handler in before.items():
                signal.signal(number, handler)


def _starting(frame: FrameType | None) -> bool:
    while frame is not None and frame.f_code is not process.BaseProcess.start.__code__:
        frame = frame.f_back
    return frame is not None


@contextmanager
def _log_bridge() -> Iterator[Any]:
    """Yield a queue whose log records appear in this process's log."""
    queue = multiprocessing.get_context(START_METHOD).Queue()
    listener = QueueListener(queue, _Forward())
    listener.start()
    try:
        yield queue
    finally:
        listener.stop()
        queue.close()
        queue.cancel_join_thread()


class _Forward(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        logging.getLogger(record.name).handle(record)
