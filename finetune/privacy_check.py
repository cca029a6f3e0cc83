"""Measures the recognisers of `privacy.py` on a seeded set of made-up sentences: what is found, and what is taken by mistake.

    python -m askfirst.finetune.privacy [--seed N] [--json]

The values are written from the formats themselves, not from the recognisers' patterns, among them forms that are known to be
missed; beside them stand numbers that look like personal data and are none. It says nothing about names and addresses.
"""

import argparse
import json
import random
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from math import sqrt
from string import ascii_letters, ascii_uppercase, digits

from .phrases import CITIES, FIRST, LAST
from .privacy import LENGTHS, Finding, findings

EACH = 200  # values of each type
SAID = {
    "EMAIL": ("My e-mail is {}.", "Write to {} please", "{} is how you reach me", "cc: {}, thanks", "<{}>", "it goes to {}!"),
    "PHONE": ("Call me at {}.", "My number is {}", "{} works after six", "Phone {}, any time", "Tel. {}", "reach her on {}?"),
    "CARD": ("Charge {} please.", "my card is {}", "card no. {}, exp 04/29", "{} is the Visa", "Pay with {}"),
    "IBAN": ("Send it to {}.", "My IBAN is {}", "refund to {} please", "{} at my bank", "account {}, thanks"),
    "SSN": ("My SSN is {}.", "social security number {}", "{} is her social", "SSN: {}", "taxpayer {}, filing jointly"),
    "IP": ("I log in from {}.", "The server {} is down", "blocked {} again", "from {} to the router", "IP={}"),
    "MAC": ("The printer is {}.", "MAC address {}", "{} is not on the list", "device {}, floor 2"),
    "KEY": ("The key is {}", "token: {}", "{} leaked yesterday", "export KEY={}"),
}


@dataclass(frozen=True)
class Labelled:
    """A sentence with the personal data that stands in it."""

    text: str
    labels: tuple[Finding, ...]


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="askfirst tune privacy", description="Measure the recognisers of personal data.")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    options = parser.parse_args(argv)
    table = measured(sentences(options.seed))
    if options.json:
        print(json.dumps(table))
    else:
        print(markdown(table))


def measured(listed: list[Labelled]) -> dict[str, dict]:
    """By type: values, how many were found to the letter (recall) and how many findings were right (precision)."""
    counts: dict[str, Counter] = defaultdict(Counter)
    for one in listed:
        found = set(findings(one.text))
        for label in one.labels:
            counts[label.type]["values"] += 1
            counts[label.type]["found"] += label in found
        for finding in found:
            counts[finding.type]["findings"] += 1
            counts[finding.type]["right"] += finding in one.labels
    return {
        type: {
            **dict(count),
            "recall": share(count["found"], count["values"]),
            "precision": share(count["right"], count["findings"]),
        }
        for type, count in sorted(counts.items())
    }


def markdown(table: dict[str, dict]) -> str:
    """The table for people; intervals are Wilson's at 95 %."""
    rows = ["| type | values | found | recall | findings | right | precision |", "|---|---|---|---|---|---|---|"]
    for type, row in table.items():
        recall, precision = ("{:.3f} ({:.3f} to {:.3f})".format(*row[name]) for name in ("recall", "precision"))
        rows.append(
            f"| {type} | {row['values']} | {row['found']} | {recall} | {row['findings']} | {row['right']} | {precision} |"
        )
    return "\n".join(rows)


def share(part: int, whole: int) -> tuple[float, float, float]:
    """The share with its 95 % interval (Wilson)."""
    if not whole:
        return 0.0, 0.0, 1.0
    mean, z = part / whole, 1.96
    middle = (mean + z * z / (2 * whole)) / (1 + z * z / whole)
    half = z * sqrt(mean * (1 - mean) / whole + z * z / (4 * whole * whole)) / (1 + z * z / whole)
    return round(mean, 4), round(max(0.0, middle - half), 4), round(min(1.0, middle + half), 4)


def sentences(seed: int) -> list[Labelled]:
    """`EACH` sentences of each type, in half of them a harmless number before or after, and as many that hold no data."""
    rng = random.Random(seed)
    listed = []
    for type, ways in SAID.items():
        for _ in range(EACH):
            before, after = rng.choice(ways).split("{}")
            value = VALUES[type](rng)
            lead = f"{_harmless(rng)} " if rng.random() < 0.25 else ""
            tail = f" {_harmless(rng)}" if rng.random() < 0.25 else ""
            start = len(lead) + len(before)
            listed.append(Labelled(lead + before + value + after + tail, (Finding(type, start, start + len(value)),)))
    return listed + [Labelled(" ".join(_harmless(rng) for _ in range(2)), ()) for _ in range(EACH * len(SAID))]


def _email(rng: random.Random) -> str:
    name = f"{rng.choice(FIRST)}{rng.choice(['.', '_', '-', '+', ''])}{rng.choice(LAST)}"
    ending = rng.choice(["com", "de", "org", "co.uk", "museum", "io"])
    host = f"{rng.choice(LAST)}{rng.choice(['', '-mail', '.co', '.dept'])}.{ending}"
    plain = f"{name}{rng.choice(['', '7', '1984'])}@{host}"
    spoken = plain.replace("@", " at ").replace(".", " dot ")
    return rng.choice([plain, plain.lower(), plain.lower(), plain.upper(), plain.lower(), plain.lower(), plain.lower(), spoken])


def _phone(rng: random.Random) -> str:
    """US numbers of real area codes, and numbers of other countries in their usual writing."""
    area, exchange, line = rng.choice(["212", "415", "303", "617", "808"]), rng.randint(220, 989), rng.randint(1000, 9999)
    shapes = [
        f"({area}) {exchange}-{line}",
        f"{area}-{exchange}-{line}",
        f"{area}.{exchange}.{line}",
        f"+1 {area} {exchange} {line}",
    ]
    shapes += [f"{area}{exchange}{line}", f"1-{area}-{exchange}-{line}"]
    shapes += [
        f"+44 20 7{rng.randint(100, 999)} {line}",
        f"+49 30 {rng.randint(200000, 999999)}",
        f"+33 6 12 34 {rng.randint(10, 99)} 78",
    ]
    shapes += [f"+31 6 {rng.randint(10000000, 59999999)}", f"0030 210 {rng.randint(2000000, 8999999)}"]
    return rng.choice(shapes)


def _card(rng: random.Random) -> str:
    prefix, length = rng.choice(
        [("4", 16), ("51", 16), ("55", 16), ("2221", 16), ("34", 15), ("37", 15), ("6011", 16), ("3528", 16)]
    )
    body = prefix + "".join(rng.choices(digits, k=length - len(prefix) - 1))
    doubled = [int(digit) * (1 if place % 2 else 2) for place, digit in enumerate(reversed(body))]
    number = body + str(-sum(sum(map(int, str(value))) for value in doubled) % 10)
    if length == 15:
        return rng.choice(["{}", "{}", f"{number[:4]} {number[4:10]} {number[10:]}"]).format(number)
    groups = [number[start : start + 4] for start in range(0, 16, 4)]
    return rng.choice([number, number, " ".join(groups), "-".join(groups), ".".join(groups) if rng.random() < 0.2 else number])


def _iban(rng: random.Random) -> str:
    country = rng.choice(["DE", "GB", "FR", "NL", "NO", "CH", "IT", "MT"])
    letters = {"GB": 4, "NL": 4, "IT": 1, "MT": 4}.get(country, 0)
    body = "".join(rng.choices(ascii_uppercase, k=letters)) + "".join(rng.choices(digits, k=LENGTHS[country] - 4 - letters))
    check = 98 - int("".join(str(int(character, 36)) for character in f"{body}{country}00")) % 97
    compact = f"{country}{check:02}{body}"
    return rng.choice([compact, " ".join(compact[start : start + 4] for start in range(0, len(compact), 4)), compact.lower()])


def _social_security(rng: random.Random) -> str:
    area = rng.choice([number for number in range(1, 900) if number != 666])
    written = f"{area:03}-{rng.randint(1, 99):02}-{rng.randint(1, 9999):04}"
    return rng.choice([written, written, written, written.replace("-", " "), written.replace("-", "")])


def _ip(rng: random.Random) -> str:
    four = ".".join(str(rng.randint(1, most)) for most in (223, 254, 254, 254))
    six = ":".join(f"{rng.randint(0, 0xFFFF):x}" for _ in range(8))
    short = f"2a02:{rng.randint(1, 0xFFFF):x}::{rng.randint(1, 0xFFFF):x}"
    return rng.choice([f"10.0.{rng.randint(0, 9)}.7", four, four, six, short]).replace("127.", "128.", 1)


def _mac(rng: random.Random) -> str:
    pairs = [f"{rng.randrange(256):02X}" for _ in range(6)]
    return rng.choice(
        [
            ":".join(pairs),
            "-".join(pairs),
            ":".join(pairs).lower(),
            f"{pairs[0]}{pairs[1]}.{pairs[2]}{pairs[3]}.{pairs[4]}{pairs[5]}",
        ]
    )


def _key(rng: random.Random) -> str:
    def some(count: int) -> str:
        return "".join(rng.choices(ascii_letters + digits, k=count))

    return rng.choice([f"AKIA{some(16).upper()}", f"ghp_{some(36)}", f"sk-{some(40)}", f"xoxb-{some(24)}", some(40)])


VALUES: dict[str, Callable[[random.Random], str]] = {
    "EMAIL": _email,
    "PHONE": _phone,
    "CARD": _card,
    "IBAN": _iban,
    "SSN": _social_security,
    "IP": _ip,
    "MAC": _mac,
    "KEY": _key,
}


def _harmless(rng: random.Random) -> str:
    """A sentence with a number or a sign that looks like personal data and is none."""
    some = "".join(rng.choices(digits, k=16))
    isbn = f"978-{rng.randint(0, 9)}-{rng.randint(10, 99)}-{rng.randint(100000, 999999)}-{rng.randint(0, 9)}"
    hexes = "".join(rng.choices("0123456789abcdef", k=32))
    return rng.choice(
        [
            f"Order {some} was late.",
            f"Order no. {some[:10]} is here.",
            f"Tracking number {some[:12]}, not moving.",
            f"The part 1{some[:2]}-{some[2:4]}-{some[4:8]} does not fit.",
            f"ISBN {isbn} is out of print.",
            f"See {isbn} in the shop.",
            f"It broke after version {rng.randint(1, 9)}.{rng.randint(0, 20)}.{rng.randint(0, 9)}.{rng.randint(0, 99)} came out.",
            f"Chrome {rng.randint(90, 140)}.0.{rng.randint(1000, 7000)}.{rng.randint(10, 200)} shows nothing.",
            f"Firmware {rng.randint(1, 9)}.{rng.randint(0, 9)}.{rng.randint(0, 9)}.{rng.randint(0, 9)} is installed.",
            f"It is 20{some[:2]}-0{1 + int(some[2]) % 9}-1{some[3]} 1{some[4]}:0{some[5]}:4{some[6]} now.",
            f"We paid {rng.randint(1, 9)},{some[:3]},{some[3:6]}.00 for it.",
            f"{rng.choice(CITIES)} lies at {rng.randint(10, 89)}.{some[:6]}, -{rng.randint(10, 120)}.{some[6:12]}.",
            f"The file {hexes[:8]}-{hexes[8:12]}-{hexes[12:16]}-{hexes[16:20]}-{hexes[20:]} is broken.",
            f"Commit {hexes} fixed it.",
            f"Parcel 1Z{hexes[:6].upper()}{some[:10]} left.",
            f"Zip {some[:5]}-{some[5:9]}, second floor.",
            f"Follow @{rng.choice(FIRST).lower()} and use std::vector::begin.",
            f"Lots {some[:3]}-{some[3:6]} to {some[6:9]}-{some[9:12]} are sold.",
            f"#W{some[:7]} and #{some[:10]} belong together.",
            f"Pi is 3.{some} or so.",
            f"SKU {some[:4]}-{some[4:8]}-{some[8:12]} has {some[0]} pieces.",
            f"Reference {some[:15]} is paid.",
            f"PowerShell 7.{some[0]}.{some[1]}.{some[2]} starts slowly.",
            f"Bin 212-{rng.randint(220, 989)}-{some[:4]} is empty.",
            f"4{some[:15]} grains of sand.",
        ]
    )
