"""Which of those that share a ledger are alive."""

import fcntl
import os
import stat
from pathlib import Path

import pytest

from plait.writes import holders
from plait.writes.holders import Holder


def test_one_that_is_open_is_alive_and_one_that_was_closed_is_dead(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    first, second = Holder(path), Holder(path)
    first.open()
    first.open()
    second.open()
    assert first.name != second.name
    assert not first.is_dead(first.name)
    assert not first.is_dead(second.name)
    assert len(list(tmp_path.iterdir())) == 2
    assert all(stat.S_IMODE(one.stat().st_mode) == 0o600 for one in tmp_path.iterdir())
    second.close()
    second.close()
    assert first.is_dead(second.name)
    assert not second.is_dead(first.name)
    first.close()
    assert list(tmp_path.iterdir()) == []


def test_what_dead_processes_left_is_cleared_away(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    left = tmp_path / "ledger-held-left"
    left.touch()
    other = tmp_path / "other-held-left"
    other.touch()
    alive = Holder(path)
    alive.open()
    assert not left.exists()
    assert other.exists()
    held = tmp_path / f"ledger-held-{alive.name.partition('/')[2]}"
    assert held.exists()
    second = Holder(path)
    second.open()
    assert held.exists()  # it is locked
    second.close()
    alive.close()


def test_who_is_not_known_is_not_dead(tmp_path: Path) -> None:
    holder = Holder(tmp_path / "ledger")
    holder.open()
    host = holder.name.partition("/")[0]
    assert not holder.is_dead("")
    assert not holder.is_dead(host)
    assert not holder.is_dead(f"{host}/")
    assert not holder.is_dead("elsewhere/0123")
    assert holder.is_dead(f"{host}/0123")
    holder.close()


def test_a_ledger_that_nobody_shares_has_no_files_and_knows_nobody(tmp_path: Path) -> None:
    holder = Holder(None)
    holder.open()
    assert not holder.is_dead(f"{holder.name.partition('/')[0]}/0123")
    holder.close()


def test_without_locks_only_leases_tell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(holders, "fcntl", None)
    holder = Holder(tmp_path / "ledger")
    holder.open()
    assert list(tmp_path.iterdir()) == []
    assert not holder.is_dead(f"{holder.name.partition('/')[0]}/0123")
    holder.close()


def test_a_file_that_cannot_be_looked_at_tells_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    holder = Holder(tmp_path / "ledger")
    holder.open()
    (tmp_path / "ledger-held-odd").touch()

    def refuse(*_: object) -> int:
        raise PermissionError

    monkeypatch.setattr(os, "open", refuse)
    assert not holder.is_dead(f"{holder.name.partition('/')[0]}/odd")
    monkeypatch.undo()
    assert holder.is_dead(f"{holder.name.partition('/')[0]}/odd")
    descriptor = os.open(tmp_path / "ledger-held-odd", os.O_RDWR)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    assert not holder.is_dead(f"{holder.name.partition('/')[0]}/odd")
    os.close(descriptor)
    holder.close()
