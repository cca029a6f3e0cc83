"""Numbers, names and dates that no source holds are found, and the sentences with them cut."""

from askfirst.agent.proof import proved, quotes_stand, unproved
from askfirst.agent.state import Citation

SOURCE = "Orders over $1,299.50 ship free from Berlin since 2024-03-01."


def test_a_sentence_from_the_source_is_proved() -> None:
    assert unproved("Orders over 1299.5 ship free from Berlin. [1]", [SOURCE]) == []


def test_an_altered_number_is_found() -> None:
    assert [found.fact for found in unproved("Orders over 1,399.50 ship free.", [SOURCE])] == ["1,399.50"]


def test_a_foreign_name_is_found() -> None:
    assert [found.fact for found in unproved("They ship from Hamburg.", [SOURCE])] == ["Hamburg"]


def test_only_the_failing_sentence_is_cut() -> None:
    assert proved("It ships free. It costs 17 dollars.", [SOURCE]) == "It ships free."


def test_a_quote_must_stand_at_its_span() -> None:
    right = Citation("a", 0, 6, "Orders", 1.0)
    assert quotes_stand([right], lambda _: SOURCE)
    assert not quotes_stand([Citation("a", 1, 7, "Orders", 1.0)], lambda _: SOURCE)


def test_a_failing_line_is_cut_though_no_full_stop_ends_the_one_before() -> None:
    assert proved("Orders ship free\nIt costs 17 dollars", [SOURCE]) == "Orders ship free"
