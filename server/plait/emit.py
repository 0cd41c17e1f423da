"""Hands what happens to those who listen."""

import logging

from plait.events import Event, Observer


class Events:
    """Hands each event to every observer, in the order in which they subscribed."""

    __slots__ = ("_observers",)

    def __init__(self, *observers: Observer) -> None:
        self._observers: tuple[Observer, ...] = observers

    def subscribe(self, observer: Observer) -> None:
        """Call `observer` with every event from now on."""
        self._observers = (*self._observers, observer)

    def emit(self, event: Event) -> None:
        """Tell every observer what happened."""
        for observer in self._observers:
            try:
                observer(event)
            except Exception:
                logging.getLogger("plait").exception(
                    "An observer failed on %s", type(event).__name__
                )
