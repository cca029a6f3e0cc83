"""Reads the calculation that a sentence asks for: percentages, unit prices, sums, means, differences, shares.

It only translates words into an expression for `calculate`; it computes nothing and knows no tool. Each rule names the
words that call for it; the first that fits the numbers at hand wins. Where no rule fits there is no calculation.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

WORDS = {
    "two": 2,
    "three": 3,
    "four": 4,
    "five": 5,
    "six": 6,
    "seven": 7,
    "eight": 8,
    "nine": 9,
    "ten": 10,
    "eleven": 11,
    "twelve": 12,
    "twenty": 20,
    "fifty": 50,
    "hundred": 100,
    "dozen": 12,
}
MONEY = r"(?:[$\u20ac\u00a3]\s?|\b(?:usd|eur)\s)"
NUMBER = re.compile(
    rf"(?<![\w#.@/-]){MONEY}?(?P<digits>\d+(?:,\d{{3}})+(?:\.\d+)?|\d*\.?\d+)(?P<percent>\s?(?:%|per\s?cent\b|percent\b))?(?![\w@]|[-/]\d)"
    rf"|\b(?P<word>{'|'.join(WORDS)})\b(?P<wordpercent>\s?(?:per\s?cent|percent)\b)?",
    re.IGNORECASE,
)
DATE = re.compile(r"\b\d{4}-\d{2}-\d{2}\b|\b\d{1,2}[./]\d{1,2}[./]\d{2,4}\b")
IDENTIFIER = re.compile(r"#\w+|\b\w+_\w+\b|\S+@\S+")
WRITTEN = re.compile(
    r"[\d.,()\s+*/\u00d7\u00f7^%-]*\d\s*(?:[+*/\u00d7\u00f7^]|\*\*|-(?=\s|\d))\s*[\d(][\d.,()\s+*/\u00d7\u00f7^%-]*|"
    r"\d[\d.]*\s+x\s+\d[\d.]*"
)
ROUNDED = re.compile(
    r"\bround(?:ed)?\b.*?\b(?:(?P<whole>whole|integer)|(?P<cents>cents?|two decimals?|2 decimals?|hundredths?)|"
    r"(?P<one>one decimal|1 decimal))",
    re.I,
)
EACH = r"(?:each|apiece|a piece|per (?:unit|item|piece|one|pair|person|head|night|month|week|day|hour|year|box|pack)|every one)"

# The words that call for each rule, as a regular expression's alternatives.
PART = (
    r"how much (?:is|was|will|would|do i|does|can)?.{0,20}(?:tax|vat|tip|discount|saved?|saving|fee|deposit|commission|interest)|"
    r"saves?\b|savings?|(?:amount|size|value) of the (?:tax|vat|tip|discount|fee)|tip amount"
)
CUT = (
    r"off|discount\w*|reduc\w+|cheaper|cut|less|minus|deduct\w*|subtract\w*|away|knock\w*|markdown|drop\w*|decreas\w+|fall\w*|"
    r"fell|lower\w*|remain\w*|left|restocking"
)
TAX = "tax|vat|tip"
RISE = (
    r"plus|increas\w+|add\w*|tax\w*|vat|tip|on top|more|rais\w+|surcharge|mark\w* up|grow\w*|grew|higher|rise\w*|rose|"
    r"incl\w*|extra"
)
SHARE = r"split\w*|divid\w+|shared?|evenly|equally|among\w*|per person|over N1 (?:months|weeks|days|payments|people)|instal\w+"
TIMES = r"multipl\w+|times|product|apiece|each|@|per|cost of N0|price of N0|at N1|for N0|buy N0|order N0"
APART = (
    r"differen\w+|exceed\w*|more than|less than|how much (?:more|less|cheaper|dearer|extra|is left)|minus|subtract\w*|take|"
    r"deduct\w*|left|remain\w*|remainder|change|cheaper|dearer|pricier|costlier|gap|apart|between|short|owe|back|upgrad\w*|"
    r"swap\w*|pay extra|extra|save|versus|vs|refund\w*|cost more|balance"
)
LEFT = r"left|remain\w*|remainder|minus|change|balance"
SUM = r"sum|total\w*|add\w*|plus|together|altogether|combined|in all|and|overall|bill|all up|cost|pay"
STATISTICS = {
    "mean": "average|mean|on average|averages",
    "median": "median",
    "max": "largest|highest|maximum|biggest|most expensive",
    "min": "smallest|lowest|minimum|cheapest",
}
# "3 shirts at 20 each", "each costs 20, I want 3", "3 of them each at 20"; between the two no other number may stand.
UP_TO_PRICE = r"(?:(?!\bN\d|\bP\d).)*?"
QUANTITY_PRICE = re.compile(
    rf"\bN(\d+)\b{UP_TO_PRICE}(?:\b(?:at|for|costs?|costing|priced(?: at)?|of|worth|x|@)\b|,|:){UP_TO_PRICE}\bN(\d+)\b"
    rf"{UP_TO_PRICE}\b{EACH}\b",
    re.IGNORECASE,
)
EACH_FIRST = re.compile(rf"\b{EACH}\b{UP_TO_PRICE}\bN(\d+)\b{UP_TO_PRICE}\bN(\d+)\b", re.IGNORECASE)
EACH_BETWEEN = re.compile(rf"\bN(\d+)\b{UP_TO_PRICE}\b{EACH}\b{UP_TO_PRICE}\bN(\d+)\b", re.IGNORECASE)


@dataclass(frozen=True)
class Problem:
    """A sentence with its numbers: `text` shows a percentage as `P0`, any other number as `N0`, in the order they stand."""

    text: str
    percents: tuple[str, ...]
    numbers: tuple[str, ...]

    def says(self, pattern: str) -> bool:
        """Whether words of the pattern stand in the sentence."""
        return re.search(rf"\b(?:{pattern})\b", self.text, re.IGNORECASE) is not None


def expression_in(text: str) -> str | None:
    """The expression that answers the sentence, or None when it asks for no calculation with numbers of its own."""
    clean = IDENTIFIER.sub(" ", DATE.sub(" ", text))
    written = WRITTEN.search(clean)
    if written and len(NUMBER.findall(written.group())) >= 2:
        return _rounded(written.group().strip(" .,").replace(" x ", " * "), text)
    problem = read_problem(clean)
    for rule in RULES:
        found = rule(problem)
        if found:
            return _rounded(found, text)
    return None


def read_problem(text: str) -> Problem:
    """Numbers out of a sentence: digits with their currency sign, small numbers in words, percentages apart."""
    percents: list[str] = []
    numbers: list[str] = []

    def mark(match: re.Match[str]) -> str:
        value = (match["digits"] or str(WORDS[match["word"].lower()])).replace(",", "")
        percent = match["percent"] or match["wordpercent"]
        kept = percents if percent else numbers
        kept.append(value)
        return f"{'P' if percent else 'N'}{len(kept) - 1}"

    marked = NUMBER.sub(mark, text)
    return Problem(marked, tuple(percents), tuple(numbers))


def percentage(problem: Problem) -> str | None:
    """A share of, a rise over, or a cut from one amount, or from a price times a quantity."""
    if not problem.percents or not problem.numbers:
        return None
    base = unit_price(problem) or (
        " + ".join(problem.numbers) if problem.says("total|sum|together|both|all") else problem.numbers[-1]
    )
    base = base if len(problem.numbers) == 1 or not re.search(r"[+]", base) else f"({base})"
    for percent in problem.percents:
        factor = _factor(problem, percent)
        base = f"{base} * {factor}"
    return base


def _factor(problem: Problem, percent: str) -> str:
    """What one percentage does to the amount: the part itself where the question wants the part."""
    cut, rise = problem.says(CUT), problem.says(RISE)
    if problem.says(PART) or not (cut or rise):
        return f"{percent} / 100"
    return f"(1 - {percent} / 100)" if cut and not problem.says(TAX) else f"(1 + {percent} / 100)"


def what_percentage(problem: Problem) -> str | None:
    """One amount as a percentage of another, or a change in percent."""
    if problem.percents or len(problem.numbers) != 2 or not problem.says(r"per\s?cent(?:age)?|%|proportion"):
        return None
    first, second = problem.numbers
    if problem.says(r"from N0 to N1|(?:increase|decrease|change|rise|drop|grow\w*|fall)"):
        return f"({second} - {first}) / {first} * 100"
    whole_first = re.search(r"percent(?:age)? of N0|of N0\b.*\bis N1|out of N0", problem.text, re.I)
    return f"{second} / {first} * 100" if whole_first else f"{first} / {second} * 100"


def statistic(problem: Problem) -> str | None:
    """Mean, median, largest and smallest of a list."""
    found = next((name for name, said in STATISTICS.items() if problem.says(said)), None)
    return f"{found}({', '.join(problem.numbers)})" if found and len(problem.numbers) >= 2 else None


def unit_price(problem: Problem) -> str | None:
    """Quantities times the price of one, summed over all pairs."""
    if len(problem.numbers) < 2:
        return None
    forms = (form.findall(problem.text) for form in (QUANTITY_PRICE, EACH_FIRST, EACH_BETWEEN))
    pairs = next((pairs for pairs in forms if pairs), [])
    if not pairs and len(problem.numbers) == 2 and problem.says(TIMES):
        pairs = [("0", "1")]
    return " + ".join(f"{problem.numbers[int(a)]} * {problem.numbers[int(b)]}" for a, b in pairs) or None


def share(problem: Problem) -> str | None:
    """One amount split evenly; the larger one is split where the sentence does not say which."""
    if len(problem.numbers) != 2 or not problem.says(SHARE):
        return None
    first, second = problem.numbers
    told = re.search(r"(?:among\w*|between|by) N0\b", problem.text, re.I)
    swapped = told or (float(second) > float(first) and not problem.says(r"divid\w+ N0"))
    return f"{second} / {first}" if swapped else f"{first} / {second}"


def difference(problem: Problem) -> str | None:
    """What lies between two amounts, or what is left of the first after the others."""
    if len(problem.numbers) < 2 or not problem.says(APART):
        return None
    first, *rest = problem.numbers
    if len(rest) > 1:
        return " - ".join([first, *rest]) if problem.says(LEFT) else None
    second = rest[0]
    taken_from = re.search(r"(?:subtract|take|deduct|minus).*N0.*\bfrom\b.*N1", problem.text, re.I)
    return f"{second} - {first}" if taken_from or float(second) > float(first) else f"{first} - {second}"


def total(problem: Problem) -> str | None:
    """The sum of all amounts."""
    return " + ".join(problem.numbers) if len(problem.numbers) >= 2 and problem.says(SUM) else None


RULES: Sequence[Callable[[Problem], str | None]] = (percentage, what_percentage, statistic, share, unit_price, difference, total)


def _rounded(expression: str, text: str) -> str:
    """The expression rounded as the sentence asks."""
    match = ROUNDED.search(text)
    if not match:
        return expression
    digits = 0 if match["whole"] else 1 if match["one"] else 2
    return f"round({expression}, {digits})"
