"""Ledger, effects and answers agree, whoever is killed: `python -m bench.kills` in short."""

from bench.kills import run


def test_nobody_who_is_killed_leaves_a_second_effect_or_a_false_outcome() -> None:
    report = run(6, 3, seed=1, say=lambda _: None)
    assert report.kills.total() == 6
    assert report.keys > 10
    assert report.requests > report.keys  # some had to ask again
    assert (report.above_one, report.false_outcomes) == (0, 0)
    assert (report.never_final, report.pending) == (0, 0)
