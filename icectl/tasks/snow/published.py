"""The published scores of Müller 2023 (Table 2) from ``configs/published/mueller2023.toml``."""

from __future__ import annotations

from icectl.contract import Row
from icectl.settings import find, read_toml

FILE = "mueller2023"


def published_rows() -> tuple[Row, ...]:
    """Return Table 2 as rows of kind ``"published"``."""
    table = read_toml(find("published", FILE))["table2"]
    return tuple(
        Row(
            name=f"{entry['paper_name']} (published)",
            kind="published",
            values={"mse": float(entry["mse"]), "mae": float(entry["mae"])},
            note="Müller 2023, Table 2: other frames, windows split at random",
        )
        for entry in table
    )
