"""The drawings of a run's loss and of compared scores."""

from xml.etree import ElementTree

import pytest

from askfirst.finetune import bars
from askfirst.finetune.curve import averaged, drawing


def test_the_curve_shows_every_window_of_steps():
    entries = [{"loss": 4 - step / 50, "tokens": 20_000} for step in range(100)]
    points = averaged(entries)
    assert len(points) == 4
    assert points[-1][0] == pytest.approx(2.0)
    assert drawing(points).count("polyline") == 1


def test_bars_are_drawn_for_every_side_that_was_measured():
    score = {"score": 0.5, "low": 0.4, "high": 0.6}
    picture = bars.drawing(
        "Each <decision>", {"tool": {"signal": score, "base": None}, "route": {"signal": score, "base": score}}
    )
    tree = ElementTree.fromstring(picture)
    texts = [node.text for node in tree.iter() if node.tag.endswith("text")]
    assert {"Each <decision>", "tool", "route", "signal", "base"} <= set(texts)
    assert sum(node.tag.endswith("path") and " H" in node.attrib["d"] for node in tree.iter()) == 3
