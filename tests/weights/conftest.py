"""The toy plugin and the command line, as in the tests of the core."""

from core.conftest import cli, process, toy

__all__ = ["cli", "process", "toy"]
