"""Draws the loss of a run as one SVG for the model's card.

python -m askfirst.finetune.curve RUN/log.jsonl --out models/askfirst-5m/loss.svg
"""

import argparse
import json
import math
from pathlib import Path
from statistics import fmean

WIDTH, HEIGHT, MARGIN = 640, 320, 48
WINDOW = 25  # steps averaged to one point of the line


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="askfirst tune curve", description="Draw the loss curve of a run.")
    parser.add_argument("log", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args(argv)
    entries = [json.loads(line) for line in options.log.read_text().splitlines()]
    options.out.write_text(drawing(averaged(entries)))


def averaged(entries: list[dict]) -> list[tuple[float, float]]:
    """Millions of tokens seen and mean loss, one point for every `WINDOW` steps."""
    points, seen = [], 0
    for start in range(0, len(entries), WINDOW):
        group = entries[start : start + WINDOW]
        seen += sum(entry["tokens"] for entry in group)
        points.append((seen / 1e6, fmean(entry["loss"] for entry in group)))
    return points


def drawing(points: list[tuple[float, float]]) -> str:
    """Loss against millions of tokens, both axes linear and starting at zero."""
    widest, highest = math.ceil(points[-1][0]), math.ceil(max(loss for _, loss in points))

    def place(tokens: float, loss: float) -> tuple[float, float]:
        x = MARGIN + tokens / widest * (WIDTH - 2 * MARGIN)
        return round(x, 1), round(HEIGHT - MARGIN - loss / highest * (HEIGHT - 2 * MARGIN), 1)

    marks = [(*place(value, 0), 0, 16, value) for value in range(0, widest + 1)]
    marks += [(*place(0, value), -14, 4, value) for value in range(1, highest + 1)]
    labels = [f'<text x="{x + dx}" y="{y + dy}" text-anchor="middle">{value}</text>' for x, y, dx, dy, value in marks]
    line = " ".join(f"{x},{y}" for x, y in (place(*point) for point in points))
    left, bottom = place(0, 0)
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="11">',
            f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
            f'<path d="M{left},{MARGIN} V{bottom} H{WIDTH - MARGIN}" fill="none" stroke="#888"/>',
            f'<polyline points="{line}" fill="none" stroke="#1f6feb" stroke-width="1.5"/>',
            *labels,
            f'<text x="{WIDTH / 2}" y="{HEIGHT - 8}" text-anchor="middle">million tokens</text>',
            f'<text x="{MARGIN}" y="{MARGIN - 14}">loss, nats a token</text>',
            "</svg>\n",
        ]
    )


if __name__ == "__main__":
    main()
