"""``icectl completions SHELL``: print the completion script of a shell."""

from __future__ import annotations

from typing import Annotated

import typer

VARIABLE = "_ICECTL_COMPLETE"
SHELLS = ("bash", "zsh", "fish")


def script(shell: str) -> str:
    """Return the completion script of `shell`; ``completions/`` in the repository holds the same."""
    from typer.completion import get_completion_script  # type: ignore[attr-defined]

    return get_completion_script(prog_name="icectl", complete_var=VARIABLE, shell=shell) + "\n"


def completions(
    shell: Annotated[str, typer.Argument(help="bash, zsh or fish.", autocompletion=lambda: list(SHELLS))],
) -> None:
    """Print the completion script of a shell.

    Example: icectl completions bash > ~/.local/share/bash-completion/completions/icectl
    """
    from icectl.errors import UsageError, did_you_mean

    if shell not in SHELLS:
        raise UsageError(f"no completion for the shell '{shell}'", did_you_mean(shell, SHELLS))
    print(script(shell), end="")
