"""Values that stand for personal data: of the same form as the real ones, from ranges that nobody is reached by.

E-mail addresses end in domains kept for examples and tests (RFC 2606), IP addresses come from documentation ranges (RFC 5737,
RFC 3849), phone numbers from 555-01xx or with a country code that is not assigned, social security numbers from an area
that is not.
"""

import random
import re
from collections.abc import Callable
from string import ascii_lowercase, digits, hexdigits

from .phrases import FIRST, LAST


def email(rng: random.Random, _: str) -> str:
    """A made-up name at a made-up host below an example domain: as many hosts as people have, so that none is learned."""
    name = f"{rng.choice(FIRST)}{rng.choice(['.', '_', ''])}{rng.choice(LAST)}".lower()
    host = "".join(rng.choices(ascii_lowercase, k=rng.randint(3, 8)))
    ending = rng.choice(["example", "test", "example.com", "example.org", "example.net"])
    return f"{name}{rng.choice(['', str(rng.randint(1, 99))])}@{host}.{ending}"


def phone(rng: random.Random, value: str) -> str:
    """The same writing with other digits: a US number in 555-01xx, another one behind the unassigned +999."""
    if len(re.sub(r"\D", "", value)) in (10, 11) and not re.match(r"\+[^1]|0", value):
        local = f"{rng.randint(201, 989)}55501{rng.randint(0, 99):02}"
        return _written(value, local if len(re.sub(r"\D", "", value)) == 10 else f"1{local}")
    fresh = "".join(rng.choice(digits) for _ in re.sub(r"\D", "", value))
    return _written(value, f"999{fresh[3:]}" if value.startswith("+") else f"000{fresh[3:]}")


def card(rng: random.Random, value: str) -> str:
    """As many digits, in groups as before, failing the check that real ones fit."""
    count = len(re.sub(r"\D", "", value))
    return _written(value, _not_luhn("4000" + "".join(rng.choice(digits) for _ in range(count - 4))))


def iban(rng: random.Random, value: str) -> str:
    """The unassigned country ZZ with check digits 00, which no IBAN has."""
    compact = value.replace(" ", "")
    fresh = iter("ZZ00" + "".join(rng.choice(digits) for _ in compact[4:]))
    return "".join(character if character == " " else next(fresh) for character in value)


def social_security(rng: random.Random, value: str) -> str:
    """From the area 9xx, which is not assigned."""
    return _written(value, f"9{rng.randint(0, 99_999_999):08}")


def address(rng: random.Random, value: str) -> str:
    """From the ranges kept for documentation."""
    if ":" in value:
        return f"2001:db8::{rng.randint(1, 0xFFFF):x}:{rng.randint(1, 0xFFFF):x}"
    return f"{rng.choice(['192.0.2', '198.51.100', '203.0.113'])}.{rng.randint(1, 254)}"


def hardware(rng: random.Random, value: str) -> str:
    """A locally administered address in the same writing."""
    pairs = ["02", *(f"{rng.randrange(256):02x}" for _ in range(5))]
    return ("-" if "-" in value else ":").join(pairs)


def key(rng: random.Random, value: str) -> str:
    """Something as long that says what it is."""
    tail = "".join(rng.choice(ascii_lowercase + digits + hexdigits) for _ in range(max(0, len(value) - 9)))
    return f"redacted_{tail}"[: max(len(value), 9)]


def _written(value: str, fresh: str) -> str:
    """The fresh digits in the places where the value had its own."""
    left = iter(fresh)
    return re.sub(r"\d", lambda _: next(left), value)


def _not_luhn(number: str) -> str:
    doubled = [int(digit) * (2 if place % 2 else 1) for place, digit in enumerate(reversed(number))]
    fits = sum(value // 10 + value % 10 for value in doubled) % 10 == 0
    return number[:-1] + str((int(number[-1]) + 1) % 10) if fits else number


SURROGATES: dict[str, Callable[[random.Random, str], str]] = {
    "EMAIL": email,
    "PHONE": phone,
    "CARD": card,
    "IBAN": iban,
    "SSN": social_security,
    "IP": address,
    "MAC": hardware,
    "KEY": key,
}
