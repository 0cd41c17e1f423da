"""Ids are hexadecimal digits that nobody else has."""

import re
import subprocess
import sys

import pytest

from plait.ids import BYTES_DRAWN, new_id

FORKED = """
import os
from plait.ids import new_id
new_id(32)
child = os.fork()
if child:
    assert os.waitpid(child, 0)[1] == 0  # else both would write at once
print(new_id(32), flush=True)
"""


@pytest.mark.parametrize("count", [16, 32])
def test_ids_have_so_many_digits_and_are_all_different(count: int) -> None:
    made = [new_id(count) for _ in range(3 * 2 * BYTES_DRAWN // count)]
    assert all(re.fullmatch(f"[0-9a-f]{{{count}}}", one) for one in made)
    assert len({*made}) == len(made)


def test_an_id_is_never_all_zeros(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("plait.ids.randbytes", lambda _: b"\0" * 16 + b"\x10" + b"\0" * 15)
    of_before = 2 * BYTES_DRAWN // 32
    made = [new_id(32) for _ in range(of_before + 5)]
    assert made[-5:] == ["10" + "0" * 30] * 5
    assert "0" * 32 not in made


@pytest.mark.skipif(sys.platform == "win32", reason="it has no fork")
def test_a_forked_process_has_ids_of_its_own() -> None:
    done = subprocess.run(
        [sys.executable, "-c", FORKED], capture_output=True, text=True, check=True, timeout=60
    )
    of_child, of_parent = done.stdout.split()
    assert of_child != of_parent
