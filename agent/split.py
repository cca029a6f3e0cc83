"""The parts of a question, without a language model: several questions in one, and the two sides of a comparison.

What stands before the first question ("Suppose I move. ...") is the premise of every part; a side of a comparison keeps
what is said of both. Where no form fits, the question is a single one.
"""

import re

from .words import STOP, content, words

QUESTION_WORD = (
    r"(?:what|when|where|which|who|whom|whose|why|how|is|are|was|were|do|does|did|can|could|will|would|should|may|must)"
)
PREPOSITION = r"(?:(?:in|on|at|for|to|by|from|under|with)\s+)?"
NEXT = re.compile(rf"(?:,?\s+(?:and|also|plus|as well as)(?:\s+also)?,?\s+|;\s+)(?={PREPOSITION}{QUESTION_WORD}\b)", re.I)
SENTENCE = re.compile(r"(?<=[.?!])\s+(?=[A-Z\"'(])")
OPENING = re.compile(r"^(?:and|also|but|then|so)\b,?\s*", re.I)
AND = r"\s+(?:and|versus|vs\.?|with|to|from|compared (?:to|with)|as opposed to|or)\s+"
HOW = r"^(?:how|in what way|where)\s+(?:do|does|is|are)\s+"
DIFFER = re.compile(
    rf"{HOW}(?P<topic>.+?)\s+(?:differ|different|vary|compare)\w*\s+(?:between|for|among)\s+(?P<a>.+?){AND}(?P<b>.+)$",
    re.I,
)
SIDES = re.compile(
    rf"{HOW}(?P<a>.+?)(?:{AND})(?P<b>.+?)\s+(?:differ|different|compare)\w*(?P<tail>.*)$",
    re.I,
)
UNLIKE = re.compile(
    rf"{HOW}(?P<a>.+?)\s+(?:differ|different|compare)\w*\s+(?:from|to|with)\s+(?P<b>.+)$",
    re.I,
)
BETWEEN = re.compile(
    r"\b(?:differences?|distinctions?|distinguish|choose|choice|comparison)\b(?P<topic>.*?)\s*"
    rf"\b(?:between|of)\s+(?P<a>.+?){AND}(?P<b>.+)$",
    re.I,
)
COMPARE = re.compile(rf"\b(?:compare|contrast)\s+(?P<a>.+?){AND}(?P<b>.+)$", re.I)
VERSUS = re.compile(
    r"^(?P<a>[^:?]+?)\s+(?:versus|vs\.?|as opposed to)\s+(?P<b>[^:,?]+?)(?:\s*[:,\u2013-]\s*(?P<tail>.+))?$", re.I
)
# One thing by its name: no article, no "doing ...", no plural; of anything else it is asked what applies to it.
THING = re.compile(r"(?!(?:a|an|the|my|your|our)\b|\w+ing\b)(?:[\w.+-]+ ){0,3}[\w.+-]*[^\W_]*(?<!s)", re.I)


def split(question: str, *, limit: int = 4) -> list[str]:
    """At most `limit` sub-questions, each complete in itself; the question alone when it is a single one."""
    sentences = SENTENCE.split(question.strip())
    asking = [i for i, sentence in enumerate(sentences) if sentence.endswith("?")] or [len(sentences) - 1]
    premise = " ".join(sentences[: asking[0]])
    parts = [part for i in asking for part in NEXT.split(sentences[i].rstrip(" ?.!")) if content(part)]
    if len(parts) == 1:
        parts = _sides(parts[0])
    if len(parts) < 2:
        return [question]
    return [_question(f"{premise} {_capital(part)}" if premise else part) for part in parts[:limit]]


def _sides(text: str) -> list[str]:
    """One question for each side of a comparison; the text alone when it compares nothing."""
    for form in (DIFFER, SIDES, UNLIKE, BETWEEN, COMPARE, VERSUS):
        match = form.search(text)
        if match and content(match["a"]) and content(match["b"]) and len(words(match["a"])) <= 16:
            known = match.groupdict()
            topic, tail = (known.get("topic") or "").strip(" ,"), (known.get("tail") or "").strip(" ,:")
            return [_side(side, topic, tail) for side in _whole(match["a"], match["b"])]
    return [text]


def _whole(left: str, right: str) -> tuple[str, str]:
    """Both sides with the words that stand only once: "the rules for A versus B", "a returned and a lost order"."""
    a, b = left.split(), right.strip(" ,?.").split()
    if b[0].lower() in (word.lower() for word in a[1:]) and b[0].lower() not in STOP:
        at = next(i for i, word in enumerate(a) if word.lower() == b[0].lower() and i)
        return left, " ".join([*a[:at], *b])
    shape = [word.lower() in ("a", "an", "the") for word in a]
    if len(b) == len(a) + 1 and [word.lower() in ("a", "an", "the") for word in b[: len(a)]] == shape and len(a) <= 2:
        return " ".join([*a, b[-1]]), " ".join(b)
    return left, " ".join(b)


def _side(side: str, topic: str, tail: str) -> str:
    """A question about one side: the common tail asked of it, "What applies to refunds for gift cards", "What is a quorum"."""
    if tail:
        return f"{side}: {tail}"
    if re.match(QUESTION_WORD + r"\b", side, re.I):
        return side
    if topic:
        return f"What applies to {topic} for {side}"
    return f"What is {side}" if THING.fullmatch(side) else f"What applies to {side}"


def _question(text: str) -> str:
    return _capital(OPENING.sub("", text.strip(" ,"))).rstrip(" ?.!") + "?"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
