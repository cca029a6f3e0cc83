"""The parts that `invented.py` puts together: words, shapes of details, and wordings with places for them.

Drawn up by hand for this project; nothing here comes from a benchmark or from the example shop.
"""

import random
from collections.abc import Callable
from string import ascii_lowercase, ascii_uppercase, digits

FIRST = (
    "Maria Tom Aisha Henrik Priya Oleg Chloe Mateo Ingrid Kofi Yara Dmitri Sofie Rahul Bea Tomasz Leila Victor Nadia Owen "
    "Hana Paulo Greta Samir Elif Jonas Ruth Diego Mina Arthur Zofia Felix Amara Pierre Linh Carl Rosa Emil Fatou Iris Ben "
    "Carmen"
).split()
LAST = (
    "Berg Okafor Novak Petrov Lindqvist Moreau Silva Haddad Kaur Tanaka Weber Costa Kowalski Murphy Jansen Rossi Demir "
    "Popescu Larsen Mensah Fischer Vargas Dubois Horvat Nowak Sato Bianchi Virtanen Keller Osei Nyman Bauer Duarte Sorensen "
    "Adeyemi Flores"
).split()
CITIES = (
    "Lyon Bergen Porto Leeds Graz Turku Ghent Malmo Krakow Bilbao Tampere Basel Dresden Nantes Verona Cork Utrecht Aarhus "
    "Quito Perth Salem Boise Tulsa Reno Fargo Akron Omaha Dayton Laredo Eugene Spokane Madison Toledo Albany Mobile "
    "Savannah"
).split()
STREETS = "Mill Station Harbour Church Park Garden River Forest Castle Bridge Market School Lake Hill Orchard Meadow".split()
COLOURS = "red green grey navy beige yellow purple brown turquoise orange maroon olive".split()
THINGS = (
    "kettle|garden hose|office chair|desk fan|rain jacket|notebook|toner cartridge|bread knife|tent|yoga mat|"
    "coffee grinder|wall clock|printer cable|umbrella|toolbox|picture frame|electric drill|blanket|pair of gloves|"
    "saddle|flower pot|projector|whiteboard|lunch box|guitar stand|ladder|paint brush|phone case|hiking socks|"
    "carpet|candle|shelf"
).split("|")
NOUNS = (
    "booking parcel invoice ticket subscription appointment policy loan refund claim delivery membership order account "
    "reservation request contract permit prescription shipment course room rental vehicle device project repair card report "
    "timesheet"
).split()
REASONS = ["arrived too late", "not wanted any more", "wrong size", "too expensive", "chosen by accident", "moved away", "broken"]
HELD_NOUNS = {"permit", "rental", "course", "claim"}
MONTHS = "January February March April May June July August September October November December".split()
VERBS = {
    "cancel": ("stop", "call off", "cancel"),
    "look up": ("see", "check", "find", "look up"),
    "change": ("change", "modify", "update", "edit"),
    "create": ("make", "open", "create", "set up"),
    "return": ("send back", "give back", "return"),
    "extend": ("extend", "renew", "prolong"),
    "pay": ("pay", "settle", "pay for"),
    "transfer": ("transfer", "move", "hand over"),
}
OPENINGS = (
    "I want to {act} my {noun}",
    "I'd like to {act} the {noun}",
    "Please {act} my {noun}",
    "Can you {act} a {noun} for me",
    "Could you help me {act} the {noun}",
    "{act} the {noun}",
    "Hello, I need to {act} a {noun}",
    "We have to {act} our {noun}",
)
LOOKUPS = (
    "What is the status of my {noun}",
    "Where is my {noun}",
    "When does my {noun} end",
    "How much do I owe on my {noun}",
    "Which items are in my {noun}",
    "Is my {noun} ready",
    "Show me the {noun}",
    "How many {noun}s do I have",
    "List all {noun}s",
    "Who has the {noun}",
)
JOINTS = (". ", ", ", " and ", ", and ", "; ")


def _code(rng: random.Random) -> str:
    """Any shape an identifier may have: a sign, letters, digits, a separator, more digits."""
    sign = rng.choice(["", "", "", "#", "No."])
    letters = "".join(rng.choices(rng.choice([ascii_uppercase, ascii_lowercase]), k=rng.choice([0, 0, 1, 2, 2, 3, 4])))
    joint = rng.choice(["", "", "-", "_", "/"]) if letters else ""
    tail = "".join(rng.choices(rng.choice([digits, digits, digits + ascii_uppercase]), k=rng.randint(3, 10)))
    return f"{sign}{letters}{joint}{tail}"


def _person(rng: random.Random) -> str:
    return f"{rng.choice(FIRST)} {rng.choice(LAST)}"


def _email(rng: random.Random) -> str:
    name = rng.choice([".", "_", ""]).join([rng.choice(FIRST), rng.choice(LAST)]).lower()
    host = "".join(rng.choices(ascii_lowercase, k=rng.randint(3, 8)))
    return f"{name}{rng.choice(['', str(rng.randint(1, 9999))])}@{host}.{rng.choice(['com', 'org', 'net', 'eu', 'io'])}"


def _address(rng: random.Random) -> str:
    road = rng.choice(["Street", "Road", "Lane", "Avenue"])
    return f"{rng.randint(1, 990)} {rng.choice(STREETS)} {road}"


def _amount(rng: random.Random) -> str:
    number = rng.choice([f"{rng.randint(2, 99_000):,}", f"{rng.randint(2, 9000)}", f"{rng.uniform(1, 900):.2f}"])
    return rng.choice(["${}", "{} euros", "{} dollars", "{}", "€{}"]).format(number)


def _date(rng: random.Random) -> str:
    month = rng.choice(MONTHS)
    day = rng.randint(1, 28)
    shapes = [f"{month} {day}", f"{day} {month}", f"2026-{rng.randint(1, 12):02}-{day:02}"]
    return rng.choice([*shapes, "tomorrow", "next Monday", "this Friday", "the end of the month"])


def _thing(rng: random.Random) -> str:
    return rng.choice(["{}", f"{rng.choice(COLOURS)} {{}}"]).format(rng.choice(THINGS))


def _number(rng: random.Random) -> str:
    return str(rng.choice([rng.randint(1, 12), rng.randint(1, 500)]))


def _phone(rng: random.Random) -> str:
    return rng.choice(["+{}{}", "0{}-{}", "{}-555-{}"]).format(rng.randint(20, 999), rng.randint(1000, 9999999))


def _reason(rng: random.Random) -> str:
    return rng.choice(REASONS)


# kind of detail: (how to draw one, its names, its descriptions, phrases that state it)
DETAILS: dict[str, tuple[Callable[[random.Random], str], list[str], list[str], list[str]]] = {
    "code": (
        _code,
        ["{noun} number", "{noun} id", "{noun} code", "reference"],
        ["Number of the {noun}", "The {noun}'s identifier, such as A-123", "Which {noun} it is about"],
        ["the number is {v}", "{noun} {v}", "it is {v}", "{noun} number {v}", "my reference is {v}", "id {v}", "for {noun} {v}"],
    ),
    "person": (
        _person,
        ["name", "customer name", "full name", "contact", "owner"],
        ["Full name of the person", "Name of the customer", "Who it is for", "First and last name"],
        ["my name is {v}", "I am {v}", "this is {v}", "it is under the name {v}", "for {v}", "the name is {v}"],
    ),
    "email": (
        _email,
        ["email", "email address", "user email"],
        ["E-mail address of the user", "Where to send the confirmation", "The account's email"],
        ["my email is {v}", "you can reach me at {v}", "email {v}", "send it to {v}", "the address is {v}"],
    ),
    "address": (
        _address,
        ["address", "street", "new address"],
        ["Street and house number", "Where it goes to", "The first line of the address"],
        ["to {v}", "I live at {v}", "the address is {v}", "ship it to {v}", "the new address is {v}"],
    ),
    "city": (
        lambda rng: rng.choice(CITIES),
        ["city", "location", "town"],
        ["City", "The place it is in"],
        ["in {v}", "I live in {v}", "the city is {v}"],
    ),
    "zip": (
        lambda rng: f"{rng.randint(1000, 99999):05}",
        ["zip", "postal code", "zip code"],
        ["Postal code of the address", "Five-digit zip code"],
        ["zip code {v}", "my zip is {v}", "postal code {v}", "the zip code is {v}"],
    ),
    "amount": (
        _amount,
        ["amount", "price", "sum"],
        ["How much money", "The amount to pay"],
        ["for {v}", "the amount is {v}", "it was {v}", "about {v}"],
    ),
    "date": (
        _date,
        ["date", "day", "start date", "due date"],
        ["On which day", "The date of it"],
        ["on {v}", "for {v}", "from {v}", "by {v}", "the date is {v}"],
    ),
    "thing": (
        _thing,
        ["item", "product", "article"],
        ["Which item", "Name of the product"],
        ["it is about the {v}", "the {v}", "I mean the {v}", "with a {v}"],
    ),
    "number": (
        _number,
        ["quantity", "number of people", "count"],
        ["How many"],
        ["{v} of them", "there are {v}", "I need {v}", "{v} pieces"],
    ),
    "phone": (
        _phone,
        ["phone", "phone number"],
        ["Number to call back"],
        ["call me at {v}", "my phone is {v}", "my number is {v}"],
    ),
    "reason": (
        _reason,
        ["reason"],
        ["Why it is done", "Reason given by the user"],
        ["because it is {v}", "the reason is {v}", "it was {v}"],
    ),
}

COMPARED = {
    "How {adjective} is {x}?": (
        "Which is {comparative}, {a} or {b}?",
        "Is {a} {comparative} than {b}?",
        "Compare how {adjective} {a} and {b} are.",
    ),
    "What is the {measure} of {x}?": (
        "Which has the larger {measure}, {a} or {b}?",
        "How does the {measure} of {a} compare with that of {b}?",
        "What is the difference between the {measure} of {a} and the {measure} of {b}?",
        "Compare the {measure} of {a} and {b}.",
        "Do {a} and {b} have the same {measure}?",
        "What are the {measure} of {a} and the {measure} of {b}?",
    ),
    "What does {x} do?": (
        "What is the difference between {a} and {b}?",
        "How do {a} and {b} differ?",
        "When should I use {a} rather than {b}?",
    ),
}
ADJECTIVES = [
    ("old", "older"),
    ("large", "larger"),
    ("long", "longer"),
    ("high", "higher"),
    ("fast", "faster"),
    ("expensive", "more expensive"),
    ("heavy", "heavier"),
]
MEASURES = (
    "population|area|price|warranty period|length|delivery time|birth year|capital|height|fee|default value|author|weight|"
    "refund period|export value"
).split("|")
SUMS = ("What is {e}?", "Calculate {e}", "How much is {e}?", "Work out {e} please", "{e}")
WORDED_SUMS = (
    "What is {a} percent of {b}?",
    "What is the average of {a} and {b}?",
    "Divide {a} by {b}.",
    "Add {a} and {b}",
    "How much is {a} times {b}?",
)
RULES = (
    "How long does it take to {act} a {noun}?",
    "How many days do I have to {act} a {noun}?",
    "Am I allowed to {act} a {noun} after {number} days?",
    "What happens when a {noun} is late?",
    "Who may {act} a {noun}?",
    "Is there a fee to {act} a {noun}?",
    "What are the conditions to {act} a {noun}?",
    "What does the handbook say about the {noun} of a {thing}?",
    "Under which circumstances can customers {act} a {noun}?",
    "Can I {act} a {noun} that includes a {thing}?",
    "What is needed to {act} a {noun}?",
    "What is {name}?",
    "How do I configure {name}?",
    "What does {name} do with a {noun}?",
    "Why was {name} changed?",
    "Where is {name} used?",
)
