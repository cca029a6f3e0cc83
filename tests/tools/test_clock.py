"""Dates are read without guessing, and counted right."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from askfirst.errors import ToolRetry
from askfirst.tools.clock import add_days, business_days, current_date, days_between, read_date, weekday

DAYS = st.dates(date(1900, 1, 1), date(2200, 1, 1))


@pytest.mark.parametrize(
    "text",
    [
        "2026-07-04",
        "2026/7/4",
        "4.7.2026",
        "4. July 2026",
        "July 4, 2026",
        "july 4th 2026",
        "4 Jul 2026",
        "4th of July 2026",
        " Jul. 4  2026 ",
    ],
)
def test_a_date_is_read_in_its_common_forms(text: str):
    assert read_date(text) == date(2026, 7, 4)


def test_a_date_with_slashes_is_read_where_only_one_order_fits():
    assert read_date("13/4/2026") == read_date("4/13/2026") == date(2026, 4, 13)
    assert read_date("4/4/2026") == date(2026, 4, 4)
    with pytest.raises(ToolRetry, match="could be two dates"):
        read_date("3/4/2026")


@pytest.mark.parametrize(
    "text", ["", "soon", "2026-02-30", "31.2.2026", "Foo 3 2026", "Ju 3 2026", "99/99/2026", "2026-13-01", "1 2 3"]
)
def test_what_is_no_date_is_refused(text: str):
    with pytest.raises(ToolRetry, match="2026-07-04"):
        read_date(text)


def test_days_are_counted():
    span = days_between("2025-11-03", "December 19, 2025")
    assert (span.days, span.business_days, span.weeks_and_days) == (46, 34, "6 weeks and 4 days")
    assert days_between("2025-12-19", "2025-11-03").days == -46
    assert weekday("2026-07-04").weekday == "Saturday"


def test_days_are_added():
    assert add_days("2026-11-21", 10).date == "2026-12-01"
    assert add_days("2026-11-21", -3, "weeks").date == "2026-10-31"
    assert add_days("2026-11-20", 1, "business days").date == "2026-11-23"
    assert add_days("2026-11-21", 5, "business days").date == "2026-11-27"
    assert add_days("2026-11-21", -1, "business days").date == "2026-11-20"
    with pytest.raises(ToolRetry, match="years 1 to 9999"):
        add_days("2026-11-21", 1_000_000, "weeks")


def test_the_clock_tells_today_in_a_time_zone():
    before = datetime.now(UTC).date()
    assert current_date().date in {before.isoformat(), datetime.now(UTC).date().isoformat()}
    assert read_date("tomorrow") - read_date("yesterday") >= timedelta(days=2)
    for zone in ("Mars/Base", "../etc/passwd", ""):
        with pytest.raises(ToolRetry, match="time zone"):
            current_date(zone)


@given(DAYS, st.integers(0, 500))
def test_business_days_are_the_weekdays_counted_one_by_one(start: date, days: int):
    end = start + timedelta(days=days)
    counted = sum((start + timedelta(days=step)).weekday() < 5 for step in range(1, days + 1))
    assert business_days(start, end) == counted


@given(DAYS, st.integers(-400, 400).filter(bool))
def test_adding_business_days_and_counting_them_agree(start: date, days: int):
    end = read_date(add_days(start.isoformat(), days, "business days").date)
    assert end.weekday() < 5
    if days > 0:
        assert business_days(start, end) == days
    else:
        assert business_days(end - timedelta(days=1), start - timedelta(days=1)) == -days


@given(DAYS, st.integers(-100_000, 100_000))
def test_adding_days_and_counting_them_agree(start: date, days: int):
    end = add_days(start.isoformat(), days).date
    assert days_between(start.isoformat(), end).days == days
