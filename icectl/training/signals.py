"""Stop on Ctrl-C, SIGTERM or SIGHUP after the present update, in all processes at the same one."""

import multiprocessing
import signal
import threading
from queue import SimpleQueue
from types import FrameType
from typing import Any, NoReturn, Self

import torch
import torch.distributed as dist

from icectl.run import Run
from icectl.training.context import Context
from icectl.training.settings import SIGNALS, STATE, Interrupted


class Signals:
    """Catches the first signal as a wish to stop; a second one acts at once.

    A signal that is ignored (``nohup``) stays so. A process that the command started gets the same signal
    twice where it was meant for the whole group; it follows the command alone, which ends it if need be.
    A handler may come within any line, also one that holds a lock of a log, so it only takes note.
    """

    def __init__(self, run: Run, context: Context) -> None:
        self.run, self.context, self.received = run, context, 0
        self._before: dict[int, Any] = {}
        self._group: Any = None
        self._noted: SimpleQueue[int] = SimpleQueue()  # its `put` may be interrupted by itself

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in (n for n in SIGNALS if signal.getsignal(n) is not signal.SIG_IGN):
                self._before[number] = signal.signal(number, self._catch)
        if self.context.rank == 0:
            threading.Thread(target=self._answer, daemon=True).start()
        if self.context.world > 1 and dist.get_backend() != "gloo":
            self._group = dist.new_group(backend="gloo")  # a flag on the CPU: no wait for the GPU
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._restore()
        self._noted.put(0)
        if self.received and kind is None:  # it came during the last update: act on it now
            signal.raise_signal(self.received)

    def agreed(self) -> int:
        """Return the signal that any process received, 0 if none; all processes get the same."""
        if self.context.world == 1:
            return self.received
        flag = torch.tensor([self.received])
        dist.all_reduce(flag, op=dist.ReduceOp.MAX, group=self._group)
        return int(flag.item())

    def stop(self, number: int, step: int) -> NoReturn:
        """Leave the training with a sentence; its state has been saved."""
        name = signal.Signals(number).name
        raise Interrupted(
            f"training was stopped by {name} after update {step}; its state is in {self.run.out / STATE}",
            number=number,
        )

    def _catch(self, number: int, frame: FrameType | None) -> None:
        self.received = number
        self._noted.put(number)
        if multiprocessing.parent_process() is None:
            self._restore()

    def _answer(self) -> None:
        if self._noted.get():
            self.run.say("stopping after this update, then saving; once more to stop at once")

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)
        self._before = {}
