"""What made a product: tags of every raster, and attributes of every data set, that is written meanwhile.

No date is among them, so that the same work gives the same bytes; ``item.json`` has it.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

_facts: dict[str, str] = {}


@contextmanager
def made_by(facts: Mapping[str, str]) -> Iterator[None]:
    """Let what this process writes in the body of a ``with`` statement say `facts`.

    >>> with made_by({"software": "icectl 1.0"}):
    ...     provenance()
    {'software': 'icectl 1.0'}
    """
    before = dict(_facts)
    _facts.update(facts)
    try:
        yield
    finally:
        _facts.clear()
        _facts.update(before)


def provenance() -> dict[str, str]:
    """Return what a file that is written now should say of its making."""
    return dict(_facts)
