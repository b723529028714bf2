"""One piece of work beside the rest."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

_T = TypeVar("_T")


class Beside(Generic[_T]):
    """Work that is done in a thread of its own from now on; ``result`` waits for it.

    The thread does not keep the program from ending: Ctrl-C need not wait for it.
    """

    def __init__(self, work: Callable[[], _T]) -> None:
        self._work = work
        self._found: list[_T] = []
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._found.append(self._work())
        except BaseException as error:  # noqa: BLE001 -- it is raised again where the result is asked for
            self._error = error

    def result(self, patience: float | None = None) -> _T:
        """What the work gave. Raises what it raised, and TimeoutError where it is not done in so many seconds."""
        self._thread.join(patience)
        if self._thread.is_alive():
            raise TimeoutError
        if self._error is not None:
            raise self._error
        return self._found[0]
