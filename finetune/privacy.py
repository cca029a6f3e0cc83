"""Replaces personal data in training examples: e-mail addresses, phone and card numbers, IBANs, US social security numbers, IP
and hardware addresses, secret keys. Where a number has a checksum, only one that fits it is taken.

    python -m askfirst.finetune.privacy         measures what is found and what is taken by mistake, on made-up texts

A value gets the same replacement wherever it stands in an example, so that a reply can still be copied from its question.
Names and postal addresses are not recognised: telling a person from a street or a product takes a model that reads.
"""

import ipaddress
import random
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

from phonenumbers import Leniency, PhoneNumberMatcher

from .example import Example, Message
from .surrogates import SURROGATES

Style = Literal["surrogates", "placeholders", "off"]

EMAIL = re.compile(r"(?<![\w.+-])[\w.!#$%&'*+/=?^`{|}~-]{1,64}@(?:[\w-]{1,63}\.)+[^\W\d_]{2,24}(?![\w-])")
CARD = re.compile(r"(?<![\w.,/#-])\d(?:[ -]?\d){11,18}(?![\w/-]|[.,]\d)")
IBAN = re.compile(r"(?<![\w-])[A-Za-z]{2}\d{2}(?: ?[A-Za-z0-9]{4}){2,7}(?: ?[A-Za-z0-9]{1,3})?(?![\w-])")
SSN = re.compile(r"(?<![\w.-])(\d{3})([- ]?)(\d{2})\2(\d{4})(?![\w-]|\.\d)")
IP4 = re.compile(r"(?<![\w.-])\d{1,3}(?:\.\d{1,3}){3}(?![\w-]|\.\d)")
IP6 = re.compile(r"(?<![\w:.])(?=[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*:)[0-9A-Fa-f:]{3,39}(?:%\w+)?(?![\w:])")
MAC = re.compile(
    r"(?<![\w:-])[0-9A-Fa-f]{2}([:-])(?:[0-9A-Fa-f]{2}\1){4}[0-9A-Fa-f]{2}(?![\w:-])"
    r"|(?<![\w.])(?=[0-9.]*[A-Fa-f])[0-9A-Fa-f]{4}(?:\.[0-9A-Fa-f]{4}){2}(?![\w-]|\.\w)"
)
KEY = re.compile(
    r"(?<![\w-])(?:AKIA[0-9A-Z]{16}|gh[pousr]_\w{36,}|github_pat_\w{40,}|xox[abprs]-[\w-]{10,}|sk-[\w-]{20,}|[sr]k_live_\w{16,}"
    r"|AIza[\w-]{35}|glpat-[\w-]{20,}|eyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]{8,})(?![\w-])"
)
VERSION = re.compile(r"(?:\bv(?:ersion|er)?\.?|\brelease|\bbuild|\bfirmware|\bsection|§)\s*$", re.I)
NUMBERED = re.compile(
    r"\b(?:order|invoice|tracking|item|article|product|part|serial|model|ticket|reference|isbn|issn|doi|sku|ref|batch|booking"
    r"|parcel|shipment)(?:\s+(?:no|nr|number|id|code))?\b\.?\s*(?:is\s*)?[:#]?\s*$",
    re.I,
)
INSURED = re.compile(r"\b(?:ssn|social)\b\D{0,30}$", re.I)
PHONED = re.compile(
    r"\b(?:phone|call|tel|telephone|mobile|cell|fax|whatsapp|reach|text|ring|dial|my number)\w*\b[^\d\n]{0,30}$", re.I
)
ABROAD = re.compile(r"(?<![\w.,+-])00(?=[1-9]\d)")  # dialled for the plus of an international number in most countries

# What card schemes issue: first digits and lengths (ISO/IEC 7812 and the schemes' own ranges).
SCHEMES = (
    (re.compile(r"4"), {13, 16, 19}),
    (re.compile(r"5[1-5]|2(?:22[1-9]|2[3-9]|[3-6]|7[01]|720)"), {16}),
    (re.compile(r"3[47]"), {15}),
    (re.compile(r"6(?:011|4[4-9]|5)"), {16, 19}),
    (re.compile(r"3(?:0[0-5]|[68])"), {14, 16, 19}),
    (re.compile(r"35(?:2[89]|[3-8])"), {16, 19}),
    (re.compile(r"62"), {16, 17, 18, 19}),
)
# Lengths of IBANs by country, from the SWIFT registry.
IBAN_LENGTHS = """
    AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DK18 DO28 EE20 EG29 ES24 FI18 FO18
    FR27 GB22 GE22 GI23 GL18 GR27 GT28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 KW30 KZ20 LB28 LC32 LI21 LT20 LU20 LV21
    MC27 MD24 ME22 MK19 MR27 MT31 MU30 NL18 NO15 PK24 PL28 PS29 PT25 QA29 RO24 RS22 SA24 SC31 SE24 SI19 SK24 SM27 TN24
    TR26 UA29 VA22 VG24 XK20
"""
LENGTHS = {each[:2]: int(each[2:]) for each in IBAN_LENGTHS.split()}


@dataclass(frozen=True)
class Finding:
    """`text[start:end]` is of this type."""

    type: str
    start: int
    end: int


def findings(text: str, *, region: str = "US") -> list[Finding]:
    """Personal data in the order of the text, none overlapping: of two that do, the recogniser with the stricter proof wins.

    `region` (ISO 3166) is where a phone number without a country code is taken to be from.
    """
    found: list[Finding] = []
    for type, recogniser in RECOGNISERS.items():
        for start, end in recogniser(text, region):
            if not any(start < other.end and other.start < end for other in found):
                found.append(Finding(type, start, end))
    return sorted(found, key=lambda finding: finding.start)


def redacted(example: Example, style: Style, *, seed: int) -> tuple[Example | None, Counter[str]]:
    """The example without personal data, and how many values of each type it held.

    Everything that was found anywhere in it is replaced everywhere in it. None where a reply that stood in its question
    stands there no longer, because only a part of a value was to be copied. The replacement depends on `seed` and on the
    order of the values, never on a value itself, so none can be computed back.
    """
    texts = [message["content"] for message in example.messages] + [example.rejected or "", example.question]
    values = {text[one.start : one.end]: one.type for text in texts for one in findings(text)}
    if style == "off" or not values:
        return example, Counter()
    renamed = _replacements(values, style, random.Random(seed))

    def clean(text: str) -> str:
        for value in sorted(renamed, key=len, reverse=True):
            text = text.replace(value, renamed[value])
        return text

    messages: tuple[Message, ...] = tuple(one | {"content": clean(one["content"])} for one in example.messages)
    rejected = None if example.rejected is None else clean(example.rejected)
    cleaned = replace(example, messages=messages, rejected=rejected, question=clean(example.question))
    broken = _copied(example) and not _copied(cleaned)
    return (None if broken else cleaned), Counter(values.values())


def _replacements(values: dict[str, str], style: Style, rng: random.Random) -> dict[str, str]:
    """Two values never become one."""
    counts: Counter[str] = Counter()
    renamed: dict[str, str] = {}
    for value, type in values.items():
        counts[type] += 1
        renamed[value] = f"<{type}_{counts[type]}>"
        while style == "surrogates" and (renamed[value].startswith("<") or list(renamed.values()).count(renamed[value]) > 1):
            renamed[value] = SURROGATES[type](rng, value)
    return renamed


def _copied(example: Example) -> bool:
    return example.reply.strip('" ') in example.asked


def _emails(text: str, _: str) -> Iterator[tuple[int, int]]:
    if "@" in text:
        yield from (match.span() for match in EMAIL.finditer(text))


def _cards(text: str, _: str) -> Iterator[tuple[int, int]]:
    for match in CARD.finditer(text):
        digits = re.sub(r"\D", "", match[0])
        issued = any(prefix.match(digits) and len(digits) in lengths for prefix, lengths in SCHEMES)
        if issued and luhn(digits) and not NUMBERED.search(text[: match.start()]):
            yield match.span()


def _ibans(text: str, _: str) -> Iterator[tuple[int, int]]:
    """The longest beginning of each candidate that is an IBAN: words may follow it without a mark between."""
    for match in IBAN.finditer(text):
        for end in range(match.end(), match.start() + 14, -1):
            if is_iban(text[match.start() : end]):
                yield match.start(), end
                break


def _social_security(text: str, _: str) -> Iterator[tuple[int, int]]:
    """Numbers that the Social Security Administration assigns: no area 000, 666 or 9xx, no group 00, no serial 0000; a bare
    row of digits only where words say what it is."""
    for match in SSN.finditer(text):
        area, mark, group, serial = match.groups()
        if not mark and not INSURED.search(text[: match.start()]):
            continue
        assigned = area not in ("000", "666") and area[0] != "9" and group != "00" and serial != "0000"
        if assigned and not NUMBERED.search(text[: match.start()]):
            yield match.span()


def _addresses(text: str, _: str) -> Iterator[tuple[int, int]]:
    """IPv4 and IPv6, but no version numbers and none of the addresses that mean no machine in particular."""
    for match in [*IP4.finditer(text), *IP6.finditer(text)]:
        try:
            address = ipaddress.ip_address(match[0].partition("%")[0])
        except ValueError:
            continue
        nobody = address.is_loopback or address.is_unspecified or address.is_multicast
        if not nobody and not VERSION.search(text[: match.start()]):
            yield match.span()


def _hardware(text: str, _: str) -> Iterator[tuple[int, int]]:
    yield from (match.span() for match in MAC.finditer(text))


def _keys(text: str, _: str) -> Iterator[tuple[int, int]]:
    yield from (match.span() for match in KEY.finditer(text))


def _phones(text: str, region: str) -> Iterator[tuple[int, int]]:
    """Numbers that are valid in their country's plan; a bare row of digits only where words say that it is a phone."""
    if sum(character.isdigit() for character in text) < 7:
        return
    dialled = ABROAD.sub(" +", text)  # as long as before, so places are the same
    for match in PhoneNumberMatcher(dialled, region, leniency=Leniency.VALID):
        start = match.start - 1 if text[match.start] == "0" and match.raw_string.startswith("+") else match.start
        before = text[:start]
        written = match.raw_string.startswith("+") or re.search(r"\d[ ().-]+\d", match.raw_string) or PHONED.search(before)
        version = re.fullmatch(r"\d+(?:\.\d+){3,}", match.raw_string)
        if written and not version and not NUMBERED.search(before) and not re.search(r"[\w.,/#-]$", before):
            yield start, match.end


Recogniser = Callable[[str, str], Iterator[tuple[int, int]]]
RECOGNISERS: dict[str, Recogniser] = {
    "EMAIL": _emails,
    "KEY": _keys,
    "IBAN": _ibans,
    "CARD": _cards,
    "SSN": _social_security,
    "MAC": _hardware,
    "IP": _addresses,
    "PHONE": _phones,
}


def luhn(digits: str) -> bool:
    """The check of card numbers (ISO/IEC 7812-1, annex B); a row of one digit repeated fits it and is none."""
    doubled = [int(digit) * (2 if place % 2 else 1) for place, digit in enumerate(reversed(digits))]
    return sum(value // 10 + value % 10 for value in doubled) % 10 == 0 and len(set(digits)) > 1


def is_iban(text: str) -> bool:
    """The country's length and the remainder by 97 (ISO 13616); spaces and case aside."""
    compact = text.replace(" ", "").upper()
    if len(compact) != LENGTHS.get(compact[:2]) or not compact.isalnum() or not text[-1].isalnum():
        return False
    return int("".join(str(int(character, 36)) for character in compact[4:] + compact[:4])) % 97 == 1


if __name__ == "__main__":
    from .privacy_check import main

    main()
