"""Draws scores with their intervals as bars, in one SVG that needs no plotting library."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

WIDTH, LEFT, ROW, GAP, TOP = 720, 170, 14, 14, 44
COLOURS = ("#9aa4b2", "#c9a227", "#1f6feb", "#8250df", "#2f6f62")


def drawing(title: str, groups: Mapping[str, Mapping[str, Mapping[str, Any] | None]]) -> str:
    """One group of bars for each key, one bar for each side in it, on an axis from 0 to 1; whiskers are 95 % intervals."""
    sides = list(dict.fromkeys(side for group in groups.values() for side in group))
    colour = {side: COLOURS[number % len(COLOURS)] for number, side in enumerate(sides)}
    height = TOP + sum(len(group) * ROW + GAP for group in groups.values()) + 24
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="11">']
    parts += [
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
        f'<text x="8" y="16" font-size="13">{escape(title)}</text>',
    ]
    parts += _legend(sides, colour)
    parts += [line for tenth in range(0, 11, 2) for line in _mark(tenth / 10, height)]
    y = TOP
    for name, group in groups.items():
        parts.append(f'<text x="{LEFT - 8}" y="{y + len(group) * ROW / 2 + 4}" text-anchor="end">{escape(name)}</text>')
        for side, score in group.items():
            parts += _bar(y, score, colour[side]) if score else []
            y += ROW
        y += GAP
    return "\n".join([*parts, "</svg>\n"])


def _legend(sides: Sequence[str], colour: Mapping[str, str]) -> list[str]:
    parts, x = [], LEFT
    for side in sides:
        parts.append(f'<rect x="{x}" y="25" width="10" height="10" fill="{colour[side]}"/>')
        parts.append(f'<text x="{x + 14}" y="34">{escape(side)}</text>')
        x += 30 + 7 * len(side)
    return parts


def _mark(value: float, height: int) -> list[str]:
    x = _place(value)
    label = f'<text x="{x}" y="{height - 6}" text-anchor="middle" fill="#555">{value:g}</text>'
    return [f'<path d="M{x},{TOP - 4} V{height - 20}" stroke="#ddd"/>', label]


def _bar(y: float, score: Mapping[str, Any], colour: str) -> list[str]:
    low, high, middle = _place(score["low"]), _place(score["high"]), y + ROW / 2
    width = round(_place(score["score"]) - LEFT, 1)
    bar = f'<rect x="{LEFT}" y="{y + 1}" width="{width}" height="{ROW - 3}" fill="{colour}"/>'
    return [bar, f'<path d="M{low},{middle} H{high} M{low},{middle - 3} v6 M{high},{middle - 3} v6" stroke="#222" fill="none"/>']


def _place(value: float) -> float:
    return round(LEFT + max(0.0, min(1.0, value)) * (WIDTH - LEFT - 24), 1)
