"""A calculation in words becomes the right expression, and words that ask for none give none."""

import pytest

from askfirst.tools.word_problems import expression_in


@pytest.mark.parametrize(
    ("text", "expression"),
    [
        ("What is 15% of 240?", "240 * 15 / 100"),
        ("Take 8 percent off 1,250.", "1250 * (1 - 8 / 100)"),
        ("A desk costs 120 before tax. With 8.25% tax, what is the total?", "120 * (1 + 8.25 / 100)"),
        ("If a chair costs 488.81 and I get 20% off, how much do I save?", "488.81 * 20 / 100"),
        ("How much are 3 shirts at $20 each and two mugs at $5.50 each?", "3 * 20 + 2 * 5.50"),
        ("Three lamps at 45.99 each with 10% off?", "3 * 45.99 * (1 - 10 / 100)"),
        ("What percentage of 80 is 20?", "20 / 80 * 100"),
        ("20 is what percent of 80?", "20 / 80 * 100"),
        ("The price went from 50 to 60. What is the increase in percent?", "abs(60 - 50) / 50 * 100"),
        ("I have 80 dollars and buy something for 56.30. How much stays?", "80 - 56.30"),
        ("If two books cost 15.99 each, and shipping is 4.50, what is the total?", "2 * 15.99 + 4.50"),
        ("6 bottles at 12.99 plus 2 lamps at 45.50, total?", "6 * 12.99 + 2 * 45.50"),
        ("An order of 312.40, a coupon of 30, then 8% tax on it?", "(312.40 - 30) * (1 + 8 / 100)"),
        ("Three shirts cost 46.66, 51.20 and 49.95. What do they come to?", "46.66 + 51.20 + 49.95"),
        ("Half of 517.8?", "517.8 / 2"),
        ("What is the square root of 1444?", "sqrt(1444)"),
        ("What is the price per unit if 8 units cost 100?", "100 / 8"),
        ("What is 3/8 as a decimal?", "3/8"),
        ("Average of 4, 8 and 9, rounded to cents", "round(mean(4, 8, 9), 2)"),
        ("Split 90 dollars among 4 people", "90 / 4"),
        ("Subtract 15 from 42.5", "42.5 - 15"),
        ("I paid $100 and the bill was 63.20; what change do I get?", "100 - 63.20"),
        ("What is 12.5 * (3 + 4)?", "12.5 * (3 + 4)"),
    ],
)
def test_words_become_the_expression_they_ask_for(text: str, expression: str) -> None:
    assert expression_in(text) == expression


@pytest.mark.parametrize(
    "text",
    [
        "Cancel order #W1234567, please.",
        "Which weekday is 2026-07-04?",
        "Write to ann_lee_4711 or ann22@example.com about it.",
        "Can I pay with two cards?",
        "Send it to 1450 Birch Court, Madison, WI, 53703.",
        "",
    ],
)
def test_identifiers_dates_addresses_and_single_numbers_are_no_calculation(text: str) -> None:
    assert expression_in(text) is None
