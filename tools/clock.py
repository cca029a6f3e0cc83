"""Dates and the clock: today, differences, days added, weekdays; written forms of dates read without guessing.

Business days are Monday to Friday; no holidays are known here.
"""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field

from ..errors import ToolRetry
from .registry import tool

MONTHS = (
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
)
FORMS = (
    re.compile(r"(?P<year>\d{4})-(?P<month>\d{1,2})-(?P<day>\d{1,2})"),
    re.compile(r"(?P<year>\d{4})/(?P<month>\d{1,2})/(?P<day>\d{1,2})"),
    re.compile(r"(?P<day>\d{1,2})\.\s?(?P<month>\d{1,2})\.\s?(?P<year>\d{4})"),
    re.compile(r"(?P<day>\d{1,2})(?:st|nd|rd|th|\.)?\s+(?:of\s+)?(?P<name>[a-z]{3,9})\.?,?\s+(?P<year>\d{4})"),
    re.compile(r"(?P<name>[a-z]{3,9})\.?\s+(?P<day>\d{1,2})(?:st|nd|rd|th)?,?\s+(?P<year>\d{4})"),
)
SLASHED = re.compile(r"(\d{1,2})/(\d{1,2})/(\d{4})")
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
NEAR = {"today": 0, "now": 0, "tomorrow": 1, "yesterday": -1}
Day = Annotated[str, Field(max_length=40, description="a date, such as 2026-07-04, July 4, 2026 or today")]


@dataclass(frozen=True)
class Now:
    """A moment on the clock of a time zone; the time to the minute."""

    date: str
    time: str
    weekday: str
    timezone: str


@dataclass(frozen=True)
class Span:
    """From start to end, the start not counted; negative when the end comes first."""

    start_date: str
    end_date: str
    days: int
    business_days: int
    weeks_and_days: str


@dataclass(frozen=True)
class NamedDay:
    """A date in ISO form, with its day of the week."""

    date: str
    weekday: str


@tool
def current_date(timezone: Annotated[str, Field(max_length=60, description="such as UTC or Europe/Berlin")] = "UTC") -> Now:
    """Tells today's date, the time and the weekday."""
    try:
        now = datetime.now(ZoneInfo(timezone))
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ToolRetry(f"There is no time zone '{timezone}'. Write one such as UTC or Europe/Berlin.") from None
    return Now(now.date().isoformat(), f"{now:%H:%M}", WEEKDAYS[now.weekday()], timezone)


@tool
def days_between(start_date: Day, end_date: Day) -> Span:
    """Counts the days from one date to another, and the business days among them."""
    start, end = read_date(start_date), read_date(end_date)
    days = (end - start).days
    weeks, rest = divmod(abs(days), 7)
    return Span(start.isoformat(), end.isoformat(), days, business_days(start, end), f"{weeks} weeks and {rest} days")


@tool
def add_days(
    start_date: Day,
    days: Annotated[int, Field(ge=-1_000_000, le=1_000_000, description="how many; negative goes back")],
    kind: Literal["days", "business days", "weeks"] = "days",
) -> NamedDay:
    """Tells which date comes a number of days, business days or weeks after a date."""
    start = read_date(start_date)
    try:
        return _named(
            _after_business_days(start, days)
            if kind == "business days"
            else start + timedelta(days=days * (7 if kind == "weeks" else 1))
        )
    except OverflowError:
        raise ToolRetry("That date lies outside the years 1 to 9999. Add fewer days.") from None


@tool
def weekday(date: Day) -> NamedDay:
    """Tells on which day of the week a date falls."""
    return _named(read_date(date))


def read_date(text: str) -> date:
    """The date that a text writes. `ToolRetry` for one that could be two, such as 3/4/2026, or is none."""
    plain = " ".join(text.casefold().split())
    if plain in NEAR:
        return datetime.now(UTC).date() + timedelta(days=NEAR[plain])
    if slashed := SLASHED.fullmatch(plain):
        return _slashed(text, *(int(part) for part in slashed.groups()))
    for form in FORMS:
        if found := form.fullmatch(plain):
            parts = found.groupdict()
            month = int(parts["month"]) if "month" in parts else _month(text, parts["name"])
            return _date(text, int(parts["year"]), month, int(parts["day"]))
    raise ToolRetry(f"'{text[:40]}' is not a date. Write it like 2026-07-04.")


def business_days(start: date, end: date) -> int:
    """Weekdays after `start` up to and including `end`; negative when the end comes first."""
    if end < start:
        return -business_days(end - timedelta(days=1), start - timedelta(days=1))
    weeks, rest = divmod((end - start).days, 7)
    return weeks * 5 + sum((start.weekday() + step) % 7 < 5 for step in range(1, rest + 1))


def _after_business_days(start: date, days: int) -> date:
    """Whole weeks at once, the rest day by day; a weekend counts as its Friday forwards and as its Monday backwards."""
    step = 1 if days >= 0 else -1
    day = start
    while days and day.weekday() >= 5:
        day -= timedelta(days=step)
    weeks, rest = divmod(abs(days), 5)
    day += timedelta(weeks=step * weeks)
    while rest:
        day += timedelta(days=step)
        rest -= day.weekday() < 5
    return day


def _slashed(text: str, first: int, second: int, year: int) -> date:
    """American or British order, where only one of them is a date."""
    if first <= 12 and second <= 12 and first != second:
        raise ToolRetry(f"'{text}' could be two dates. Write it like 2026-07-04.")
    return _date(text, year, *((first, second) if first <= 12 else (second, first)))


def _month(text: str, name: str) -> int:
    found = [number for number, month in enumerate(MONTHS, start=1) if month.startswith(name)]
    if len(found) != 1:
        raise ToolRetry(f"'{text}' names no month. Write it like 2026-07-04.")
    return found[0]


def _date(text: str, year: int, month: int, day: int) -> date:
    try:
        return date(year, month, day)
    except ValueError:
        raise ToolRetry(f"'{text}' is not in the calendar. Write a date like 2026-07-04.") from None


def _named(day: date) -> NamedDay:
    return NamedDay(day.isoformat(), WEEKDAYS[day.weekday()])
