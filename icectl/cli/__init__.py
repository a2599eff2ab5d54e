"""The terminal: one verb a file, options declared once, errors in one sentence and a hint."""

from __future__ import annotations

import os
import sys
from typing import NoReturn

DEBUG = "ICECTL_DEBUG"


def main() -> NoReturn:
    """Run the command line; the console script ``icectl`` points here."""
    arguments = sys.argv[1:]
    debug = "--debug" in arguments or bool(os.environ.get(DEBUG))
    sys.exit(call([a for a in arguments if a != "--debug"], debug))


def call(arguments: list[str], debug: bool = False) -> int:
    """Run one command and return its exit code; errors of ours become two lines on stderr."""
    from icectl.cli import app, show
    from icectl.errors import IcectlError

    try:
        return app.invoke(arguments)
    except IcectlError as problem:
        if debug:
            raise
        show.error(problem)
        return problem.exit_code
    except KeyboardInterrupt:
        show.error(IcectlError("interrupted", "start the same command again: it goes on where it stopped"))
        return 130
    except Exception as error:
        if debug:
            raise
        show.error(
            IcectlError(f"unexpected {type(error).__name__}: {error}", "run again with --debug and report it")
        )
        return 1
