"""Reading ahead: the next of something is made in another thread while one is worked on."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable
from typing import Any, TypeVar

Item = TypeVar("Item")
END: Any = object()


def read_ahead(items: Iterable[Item], alone: int, ahead: int) -> Generator[Item]:
    """Give `items` in order; after the first `alone`, another thread makes the next `ahead`.

    So what is short starts no thread. What making an item raises is raised in its place. Close
    it where you stop early: it then waits until no thread works on `items` any more.
    """
    iterator = iter(items)
    for _ in range(alone):
        if (item := next(iterator, END)) is END:
            return
        yield item
    from concurrent.futures import ThreadPoolExecutor

    thread = ThreadPoolExecutor(1, "reading")
    try:
        made = deque(thread.submit(next, iterator, END) for _ in range(ahead))
        while (item := made.popleft().result()) is not END:
            made.append(thread.submit(next, iterator, END))
            yield item
    finally:
        thread.shutdown(cancel_futures=True)
