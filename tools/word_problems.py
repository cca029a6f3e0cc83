"""Reads the calculation that a sentence asks for: percentages, unit prices, sums, means, differences, shares.

It only translates words into an expression for `calculate`; it computes nothing and knows no tool. Each rule names the
words that call for it; the first that fits the numbers at hand wins. Where no rule fits there is no calculation.
"""

import re
from collections.abc import Callable, Iterable, Sequence
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
    r"saves?|savings?|(?:amount|size|value) of the (?:tax|vat|tip|discount|fee)|tip amount"
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
SHARE = (
    r"split\w*|divid\w+|shared?|evenly|equally|among\w*|per person|over N1 (?:months|weeks|days|payments|people)|instal\w+|"
    r"(?:price|cost) (?:per|of one|for one|of each|each)|unit price"
)
TIMES = r"multipl\w+|times|product of|apiece|each|@|cost of N0|price of N0"
APART = (
    r"differen\w+|exceed\w*|more than|less than|how much (?:more|less|cheaper|dearer|extra|is left)|minus|subtract\w*|take|"
    r"deduct\w*|left|remain\w*|remainder|change|cheaper|dearer|pricier|costlier|gap|spread|range|apart|between|short|owe|upgrad\w*|"
    r"swap\w*|extra|save|versus|vs|cost more|balance|stays?|spend\w*|spent"
)
LEFT = r"left|remain\w*|remainder|minus|change|balance|stays?|spend\w*|spent"
SUM = (
    r"sum|total\w*|add\w*|plus|together|altogether|combined|in all|overall|bill|all up|comes? to|comes? back|get back|both|"
    r"grand"
)
LESS = re.compile(
    r"\b(?:coupon|voucher|discount|rebate|off|less|minus|subtract\w*|deduct\w*|refund\w*|gift card|credit)\b[^.;N]*$", re.I
)
STATISTICS = {
    "mean": "average|mean|on average|averages",
    "median": "median",
    "max": "largest|highest|maximum|biggest|most expensive|dearest",
    "min": "smallest|lowest|minimum|cheapest",
}
# "3 shirts at 20 each", "each costs 20, I want 3", "3 of them each at 20"; between the two no other number may stand.
UP_TO_PRICE = r"(?:(?!\bN\d|\bP\d).)*?"
PRICED = rf"\bN(\d+)\b{UP_TO_PRICE}(?:\b(?:at|for|costs?|costing|priced(?: at)?|of|worth|x)\b|@|,|:){UP_TO_PRICE}\bN(\d+)\b"
QUANTITY_PRICE = re.compile(rf"{PRICED}{UP_TO_PRICE}\b{EACH}\b", re.IGNORECASE)
EACH_FIRST = re.compile(rf"\b{EACH}\b{UP_TO_PRICE}\bN(\d+)\b{UP_TO_PRICE}\bN(\d+)\b", re.IGNORECASE)
EACH_BETWEEN = re.compile(rf"\bN(\d+)\b{UP_TO_PRICE}\b{EACH}\b{UP_TO_PRICE}\bN(\d+)\b", re.IGNORECASE)
AT_PRICE = re.compile(r"\bN(\d+)\s+(?!dollars?|euros?|pounds?)(?:[a-z-]+\s+){1,3}(?:at|for|@)\s+N(\d+)\b", re.IGNORECASE)
OPERATIONS = (
    (re.compile(r"\b(?:square root|root) of N0\b", re.I), "sqrt({0})"),
    (re.compile(r"\bN0 (?:to the power of|to the|raised to) N1\b", re.I), "{0} ** {1}"),
    (re.compile(r"\bN0 squared\b", re.I), "{0} ** 2"),
    (re.compile(r"\bN0 cubed\b", re.I), "{0} ** 3"),
    (re.compile(r"\bhalf (?:of )?(?:the |my |a )?N0\b", re.I), "{0} / 2"),
    (re.compile(r"\b(?:a |one )?third of N0\b", re.I), "{0} / 3"),
    (re.compile(r"\b(?:a |one )?quarter of N0\b", re.I), "{0} / 4"),
    (re.compile(r"\b(?:twice|double) (?:of )?(?:the |my )?N0\b", re.I), "{0} * 2"),
    (re.compile(r"\b(?:triple|thrice) (?:of )?N0\b", re.I), "{0} * 3"),
)


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
    if written and len(re.findall(r"\d[\d.,]*", written.group())) >= 2:
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


def operation(problem: Problem) -> str | None:
    """One operation called by its own name: roots, powers, halves, doubles."""
    for form, expression in OPERATIONS:
        if form.search(problem.text):
            return expression.format(*problem.numbers)
    return None


def percentage(problem: Problem) -> str | None:
    """A share of, a rise over, or a cut from one amount, or from a bill."""
    if not problem.percents or not problem.numbers:
        return None
    named = re.search(r"\bP0 (?:of|off|on|from) (?:the |a |an |my )?N(\d+)\b", problem.text)
    if named and problem.says(r"N\d+ more than|more than N\d+|less than N\d+"):
        base = problem.numbers[int(named[1])]
    else:
        several = problem.says(SUM) or problem.says("coupon|voucher|rebate")
        base = _bill(problem) or (_signed(problem, range(len(problem.numbers))) if several else problem.numbers[-1])
    base = f"({base})" if re.search(r" [+-] ", base) else base
    return " * ".join([base, *(_factor(problem, percent) for percent in problem.percents)])


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
    if problem.says(
        r"from N0 (?:down |up )?to N1|increase|decrease|change|rise|rose|drop\w*|grow\w*|grew|fall|fell|reduction|cheaper"
    ):
        return f"abs({second} - {first}) / {first} * 100"
    whole_first = re.search(r"percent(?:age)? of N0|of N0\b.*\bis N1|out of N0", problem.text, re.I)
    return f"{second} / {first} * 100" if whole_first else f"{first} / {second} * 100"


def statistic(problem: Problem) -> str | None:
    """Mean, median, largest and smallest of a list."""
    found = [name for name, said in STATISTICS.items() if problem.says(said)]
    return f"{found[0]}({', '.join(problem.numbers)})" if len(found) == 1 and len(problem.numbers) >= 2 else None


def bill(problem: Problem) -> str | None:
    """Quantities times the price of one, and what is added to them or taken off."""
    found = _bill(problem)
    if not found and len(problem.numbers) == 2 and problem.says(TIMES):
        return " * ".join(problem.numbers)
    return found


def _bill(problem: Problem) -> str | None:
    pairs = _pairs(problem)
    if not pairs:
        return None
    in_pairs = {int(index) for pair in pairs for index in pair}
    products = " + ".join(f"{problem.numbers[int(a)]} * {problem.numbers[int(b)]}" for a, b in pairs)
    others = _signed(problem, [i for i in range(len(problem.numbers)) if i not in in_pairs])
    return f"{products} {others if others.startswith('-') else f'+ {others}'}" if others else products


def _pairs(problem: Problem) -> list[tuple[str, str]]:
    """Indices of quantity and price; without "each" a price must have decimals, or "3 of 5" would be one."""
    forms = (form.findall(problem.text) for form in (QUANTITY_PRICE, EACH_FIRST, EACH_BETWEEN))
    pairs = next((pairs for pairs in forms if pairs), [])
    loose = [
        (a, b) for a, b in AT_PRICE.findall(problem.text) if "." in problem.numbers[int(b)] and "." not in problem.numbers[int(a)]
    ]
    return loose if len(loose) > len(pairs) else pairs


def _signed(problem: Problem, indices: Iterable[int]) -> str:
    """The numbers as a sum, those that a coupon or a refund names taken off."""
    text = ""
    for index in indices:
        before = problem.text[: re.search(rf"\bN{index}\b", problem.text).start()]  # type: ignore[union-attr]
        sign = "-" if LESS.search(before) else "+"
        text += f" {sign} {problem.numbers[index]}"
    return text.removeprefix(" + ").strip()


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
    """The sum of all amounts; a number that only counts them ("three shirts at 4, 5 and 6") is left out."""
    first, *rest = problem.numbers or ("",)
    counted = len(rest) >= 2 and first == str(len(rest))
    indices = range(counted, len(problem.numbers))
    return _signed(problem, indices) if len(indices) >= 2 and problem.says(SUM) else None


RULES: Sequence[Callable[[Problem], str | None]] = (
    operation,
    percentage,
    what_percentage,
    statistic,
    share,
    bill,
    difference,
    total,
)


def _rounded(expression: str, text: str) -> str:
    """The expression rounded as the sentence asks."""
    match = ROUNDED.search(text)
    if not match:
        return expression
    digits = 0 if match["whole"] else 1 if match["one"] else 2
    return f"round({expression}, {digits})"
