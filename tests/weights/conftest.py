"""The toy plugin and the command line, as in the tests of the core, and a card."""

from core.conftest import cli, process, toy

__all__ = ["CARD", "cli", "process", "toy"]

CARD = {
    "summary": "Words of the demo glacier",
    "licence": "CC-BY-4.0",
    "limits": ["only words"],
    "data": [{"name": "words", "licence": "CC0-1.0", "source": "the test"}],
    "tested": [{"data": "other words", "metric": "share", "value": 0.5}],
}
