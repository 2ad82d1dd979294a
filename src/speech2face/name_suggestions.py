"""Names chosen among a few: what a misspelt one was probably meant for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

LIKENESS = 0.65  # from 0 to 1, of a misspelt name and what it may have been meant for
SHORTEST = 3  # letters of the beginning of a name


def find_meant(name: Any, known: Iterable[str]) -> str | None:
    """The name, of those that are known, that was meant by this one: the only one that begins so,
    or else the one that is most like it, if any is."""
    if not isinstance(name, str):
        return None
    from difflib import get_close_matches

    folded = {one.casefold(): one for one in known}
    written = name[:100].casefold()
    meant = [one for one in folded if one.startswith(written)] if len(written) >= SHORTEST else []
    if len(meant) != 1:
        meant = get_close_matches(written, folded, n=1, cutoff=LIKENESS)
    return folded[meant[0]] if meant else None


def suggest(name: Any, known: Iterable[str]) -> str:
    """A question that ends a message on an unknown name; nothing where no name is like it."""
    meant = find_meant(name, known)
    return f" Did you mean {meant}?" if meant else ""
