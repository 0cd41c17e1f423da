"""How much compiled code is kept: the code of operations that have not been asked for lately goes
first, so that no client can fill the memory with what it asks for twice."""

from collections import OrderedDict
from collections.abc import Callable

CODE_BYTES_MAX = 64 * 1024 * 1024
BYTES_A_CHARACTER = 30
"""What compiled code and its structs take in memory, by the length of its text: 14 to 25 were
measured."""
BYTES_EACH = 20_000


class CodeStore:
    """Bounds the code of all operations of a graph."""

    def __init__(self, bytes_max: int = CODE_BYTES_MAX) -> None:
        self._bytes_max = bytes_max
        self._bytes = 0
        self._kept: OrderedDict[object, tuple[int, Callable[[], object]]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def add(self, key: object, characters: int, forget: Callable[[], object]) -> None:
        """Keep code of so many characters under `key`. `forget` lets it go, when there is no more
        room for it."""
        weight = characters * BYTES_A_CHARACTER + BYTES_EACH
        self._kept[key] = weight, forget
        self._bytes += weight
        while self._bytes > self._bytes_max:
            _, (weight, let_go) = self._kept.popitem(last=False)
            self._bytes -= weight
            let_go()

    def touch(self, key: object) -> None:
        """It has been used."""
        if key in self._kept:
            self._kept.move_to_end(key)

    def drop(self, key: object) -> None:
        """It is no longer there."""
        weight, _ = self._kept.pop(key, (0, None))
        self._bytes -= weight
