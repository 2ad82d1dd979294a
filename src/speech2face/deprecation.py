"""Public names that were changed go on for one version, with a DeprecationWarning."""

from __future__ import annotations

import warnings
from typing import Any


def renamed(old: str, new: str) -> Any:
    """A property of a class that was called `old`, as "Class.name", and is called `new` now."""

    def read(instance: Any) -> Any:
        warn_renamed(old, new)
        return getattr(instance, new)

    return property(read, doc=f"The old name of `{new}`.")


def warn_renamed(old: str, new: str) -> None:
    """Warn the caller of who calls this that a public name was changed."""
    message = f"{old} is called {new} now; the old name goes with the next version."
    warnings.warn(message, DeprecationWarning, stacklevel=3)
