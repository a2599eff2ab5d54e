"""docs/plugins.md: commands run, excerpts are what is generated, examples execute."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).parent.parent.parent / "docs" / "plugins.md"


def blocks() -> list[tuple[str, str]]:
    """Language and text of every block, in order."""
    return re.findall(r"^```(\w+)\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.S | re.M)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_every_block_runs(environment, tmp_path: Path) -> None:
    examples = []
    for language, text in blocks():
        first, _, rest = text.partition("\n")
        if language == "shell":
            # an editable install needs a package from an index, and tests ask none
            environment.run(text.replace("pip install -e ", "pip install -q ./"), tmp_path)
        elif first.startswith("# icectl-my-net/"):
            generated = (tmp_path / first.removeprefix("# ")).read_text(encoding="utf-8")
            assert rest.strip() in generated, f"{first} is generated otherwise"
        else:
            assert language == "python", f"a block of {language} that nothing runs"
            examples.append(text)
    assert len(examples) == 5
    subprocess.run([sys.executable, "-W", "error", "-c", "\n".join(examples)], check=True)


def test_the_page_has_no_other_blocks() -> None:
    fences = PAGE.read_text(encoding="utf-8").count("```")
    assert fences == 2 * len(blocks())
