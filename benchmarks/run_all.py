"""Runs every benchmark by itself and writes ``benchmarks/RESULTS.md``.

python benchmarks/run_all.py [--quick] [NAME …]

Named ones are measured again and the others keep their last numbers (``results.json``); ``--quick`` tries
them all at their smallest size and writes nothing. Those of `BY_NAME` only run when they are named.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from _tables import page

HERE = Path(__file__).parent
NO_BENCHMARKS = {"common", "run_all"}
BY_NAME = {"first_report", "loads_series", "loads_region", "loads_scene"}


def scripts() -> dict[str, Path]:
    """Return every benchmark by its name."""
    every = {path.stem: path for path in sorted(HERE.glob("[!_]*.py"))}
    return {name: path for name, path in every.items() if name not in NO_BENCHMARKS}


def run(script: Path, *arguments: str) -> dict[str, Any] | None:
    """Run one script; return its JSON line, or None if it failed."""
    print(f"{script.stem} …", flush=True)
    command = [sys.executable, script.name, *arguments]
    done = subprocess.run(command, cwd=script.parent, capture_output=True, text=True, check=False)
    if done.returncode:
        print(done.stderr[-2000:], file=sys.stderr)
        return None
    try:
        found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    except (ValueError, IndexError):
        print(f"{script.name} ended without its JSON line", file=sys.stderr)
        return None
    print(done.stdout.rpartition("\n{")[0])
    print(f"{found['seconds']:.0f} s\n", flush=True)
    return found


def main(arguments: list[str]) -> int:
    """Run the wanted benchmarks (all of them by default) and write the page."""
    quick, wanted = "--quick" in arguments, {name for name in arguments if not name.startswith("-")}
    every = scripts()
    if unknown := wanted - set(every):
        print(
            f"no such benchmark: {', '.join(sorted(unknown))}; there are {', '.join(every)}", file=sys.stderr
        )
        return 2
    kept = HERE / "results.json"
    known: dict[str, Any] = json.loads(kept.read_text()) if kept.exists() else {}
    failed = []
    for name in every:
        if name in wanted or (not wanted and name not in BY_NAME):
            found = run(every[name], *["--quick"] * quick)
            if found is None:
                failed.append(name)
            else:
                known[name] = found
    if not quick:
        known = {name: known[name] for name in every if name in known}
        kept.write_text(json.dumps(known, indent=1, ensure_ascii=False) + "\n")
        (HERE / "RESULTS.md").write_text(page(list(known.values()), failed))
        print(HERE / "RESULTS.md")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
