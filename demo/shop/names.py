"""Ordinary first and last names, to be combined."""

from typing import Final


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split())


FIRST_NAMES: Final = _names(
    "Ada Ben Clara David Elena Felix Greta Hugo Ines Jonas Katja Leo Mara Nils Olga Paul Rosa "
    "Simon Tessa Uwe Vera Willem Yara Zeno Amir Bianca Carlos Dina Emil Freya"
)
LAST_NAMES: Final = _names(
    "Abel Berger Costa Dahl Engel Fischer Garcia Hansen Ivanov Jansen Keller Lindt Moreau Nowak "
    "Olsen Peters Quast Rossi Silva Thomas Ulrich Vogel Weber Yilmaz Zimmer"
)
