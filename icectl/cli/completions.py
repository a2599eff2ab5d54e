"""``icectl completions SHELL``: print the completion script of a shell."""

import os
from collections import Counter
from typing import Annotated

import typer

from icectl.errors import UsageError, did_you_mean

VARIABLE = "_ICECTL_COMPLETE"
BEFORE_COLON = "_ICECTL_BEFORE_COLON"
SHELLS = ("bash", "zsh", "fish")


def script(shell: str) -> str:
    """Return the completion script of `shell`; ``completions/`` in the repository holds the same.

    Typer's own, but that zsh and fish complete a value behind ``--option=`` too, and zsh at the first Tab.
    """
    from typer.completion import get_completion_script  # type: ignore[attr-defined]

    text: str = get_completion_script(prog_name="icectl", complete_var=VARIABLE, shell=shell)
    if shell == "zsh":
        text = text.replace("  eval", "  compset -P '--*='\n  eval") + _FIRST_TAB
    if shell == "fish":
        asked = text.partition('--arguments "(')[2].partition(')" --condition')[0]
        text = text.replace(asked, "_icectl_completion")
        text = _FISH.replace("ASKED", asked) + text
    return text + "\n"


_FIRST_TAB = """
[[ $zsh_eval_context[-1] != loadautofunc ]] || _icectl_completion
"""

_FISH = """function _icectl_completion
    set --local option (string match --regex '^--[^=]+=' -- (commandline -ct))
    ASKED | string replace --regex -- '^' "$option"
end

"""


def offered(incomplete: str = "") -> list[str]:
    """Return the names of models that start with `incomplete`, else the aliases.

    Long forms too where several have the name or alias.
    """
    from icectl import registry

    matching = _starting(incomplete, [(one.distribution, one.name) for one in registry.announced()])
    if matching or not incomplete:
        return matching
    plugins = ((f.distribution, f.plugin) for f in registry.plugins() if f.plugin and not f.problem)
    return _starting(incomplete, [(of, alias) for of, plugin in plugins for alias in plugin.aliases])


def _starting(incomplete: str, known: list[tuple[str, str]]) -> list[str]:
    """Return the words that start with `incomplete` of those `known` by distribution."""
    names = Counter(name for _, name in known)
    shared = [f"{of}:{name}" for of, name in known if names[name] > 1 and not of.startswith("$")]
    words = [*names, *shared]
    if before := os.environ.get(BEFORE_COLON):
        words = [name for of, name in known if of == before]
    return [word for word in words if word.startswith(incomplete)]


def join_words() -> None:
    """Undo bash's cutting of ``--glacier=par`` and ``distribution:name`` into three words.

    It replaces what stands behind the colon alone, so that of the last word no more is completed.
    """
    line, number = os.environ.get("COMP_WORDS", ""), os.environ.get("COMP_CWORD", "")
    if not number.isdigit():
        return
    joined: list[str] = []
    words = line.split("\n" if "\n" in line else " ")[: int(number) + 1]
    for word, before in zip(words, ["", *words], strict=False):
        if joined and ":" in (word, before):
            joined[-1] += word
        elif word != "=":
            joined.append(word)
    if words[-1] == "=":
        joined.append("")
    of, colon, rest = joined[-1].rpartition(":")
    if colon and ":" in words[-2:]:
        os.environ[BEFORE_COLON], joined[-1] = of, rest
    os.environ["COMP_WORDS"], os.environ["COMP_CWORD"] = "\n".join(joined), str(len(joined) - 1)


def completions(
    shell: Annotated[str, typer.Argument(help="bash, zsh or fish.", autocompletion=lambda: list(SHELLS))],
) -> None:
    """Print the completion script of a shell.

    Example: icectl completions bash > ~/.local/share/bash-completion/completions/icectl
    """
    if shell not in SHELLS:
        raise UsageError(f"no completion for the shell '{shell}'", did_you_mean(shell, SHELLS))
    print(script(shell), end="")
