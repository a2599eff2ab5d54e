"""Runs every benchmark by itself and writes ``benchmarks/RESULTS.md``.

python benchmarks/run_all.py [NAME …]
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
NOT_BENCHMARKS = {"common", "run_all"}


def run(script: Path) -> dict[str, Any] | None:
    """Run one script; return its JSON line, or None if it failed."""
    print(f"{script.stem} …", flush=True)
    done = subprocess.run(
        [sys.executable, script.name], cwd=HERE, capture_output=True, text=True, check=False
    )
    if done.returncode:
        print(done.stderr[-2000:], file=sys.stderr)
        return None
    print(done.stdout.rpartition("\n{")[0])
    try:
        found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    except (ValueError, IndexError):
        print(f"{script.name} ended without its JSON line", file=sys.stderr)
        return None
    return found


def page(results: list[dict[str, Any]], failed: list[str]) -> str:
    """Return the results as Markdown: other tools first, bare loops and bounds in tables of their own."""
    first = results[0]["machine"] if results else {}
    versions: dict[str, str] = {}
    for result in results:
        versions |= result["machine"]["versions"]
    parts = [
        "# Benchmarks",
        "",
        "Both sides are measured by turns in one run; the ratio is the median of pairs, greater is better.",
        f"Measured {first.get('date')} by `make bench` on {first.get('processor')}, "
        f"{first.get('cores')} cores, Python {first.get('python')}. "
        "The machine was shared: read ratios, not seconds.",
        "",
        "Versions: " + ", ".join(f"{k} {v}" for k, v in sorted(versions.items())) + ".",
        "",
    ]
    titles = {"tool": "Against other tools (floor 1)", "loop": "Against a bare loop", "limit": "Bounds"}
    for kind, title in titles.items():
        parts += [f"## {title}", "", *_table(results, kind), ""]
    if failed:
        parts += ["## Did not run", "", *[f"- {name}" for name in failed], ""]
    return "\n".join(parts)


def _table(results: list[dict[str, Any]], kind: str) -> list[str]:
    lines = [
        "| benchmark | what | against | ours | theirs | ratio | floor | |",
        "|---|---|---|---:|---:|---:|---:|---|",
    ]
    for result in results:
        for row in result["rows"]:
            if row["kind"] != kind:
                continue
            below = row["floor"] is not None and row["ratio"] < row["floor"]
            mark = f"below: {row['note'] or 'see the script'}" if below else row["note"]
            floor = "" if row["floor"] is None else f"{row['floor']:.3g}"
            unit = row["unit"]
            lines.append(
                f"| {result['name']} | {row['name']} | {row['against']} | {row['ours']:.4g} {unit} | "
                f"{row['other']:.4g} {unit} | {row['ratio']:.3g} | {floor} | {mark} |"
            )
    return lines


def main(wanted: list[str]) -> int:
    """Run the wanted benchmarks (all of them by default) and write the page."""
    scripts = [
        s
        for s in sorted(HERE.glob("*.py"))
        if s.stem not in NOT_BENCHMARKS and (not wanted or s.stem in wanted)
    ]
    results, failed = [], []
    kept = HERE / "results.json"
    known: dict[str, Any] = json.loads(kept.read_text()) if kept.exists() else {}
    for script in scripts:
        found = run(script)
        if found is None:
            failed.append(script.stem)
        else:
            known[script.stem] = found
    kept.write_text(json.dumps(known, indent=1, ensure_ascii=False) + "\n")
    results = [known[name] for name in sorted(known)]
    (HERE / "RESULTS.md").write_text(page(results, failed))
    print(HERE / "RESULTS.md")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
