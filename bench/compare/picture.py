"""Pairs of bars as SVG, in colours that do on a light page and on a dark one."""

from collections.abc import Sequence
from html import escape

WIDTH, LABEL, ROW, BAR = 900, 300, 44, 13
OURS, PLAIN, TEXT = "#2a9d8f", "#b7794a", "#808890"


def picture(bars: Sequence[tuple[str, float, float]]) -> str:
    """For each name what we take and what the other takes, in µs. Each pair has a scale of its own:
    the longer one is what the other takes."""
    height = ROW * len(bars) + 50
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        f'font-family="system-ui, sans-serif" font-size="14">',
        "<title>CPU that a request takes of the server</title>",
    ]
    for number, (name, ours, plain) in enumerate(bars):
        top, longest = number * ROW + 8, max(ours, plain)
        parts.append(f'<text x="0" y="{top + 18}" fill="{TEXT}">{escape(name)}</text>')
        for offset, value, colour in ((0, ours, OURS), (BAR + 2, plain, PLAIN)):
            length = max(2.0, value / longest * (WIDTH - LABEL - 130))
            y = top + offset
            parts += [
                f'<rect x="{LABEL}" y="{y}" width="{length:.1f}" height="{BAR}" rx="2" '
                f'fill="{colour}"/>',
                f'<text x="{LABEL + length + 8:.1f}" y="{y + 11}" font-size="12" fill="{TEXT}">'
                f"{value:,.0f} µs</text>",
            ]
    y = height - 14
    for x, colour, name in ((LABEL, OURS, "Plait"), (LABEL + 110, PLAIN, "plain Strawberry app")):
        parts += [
            f'<rect x="{x}" y="{y - 11}" width="12" height="12" rx="2" fill="{colour}"/>',
            f'<text x="{x + 18}" y="{y}" fill="{TEXT}">{name}</text>',
        ]
    return "\n".join([*parts, "</svg>"]) + "\n"
