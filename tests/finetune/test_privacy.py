"""Personal data is found by its proof, replaced alike wherever it stands, and what merely looks like it stays."""

import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from askfirst.finetune.cases import reply_text
from askfirst.finetune.example import Example
from askfirst.finetune.privacy import findings, is_iban, luhn, redacted
from askfirst.finetune.privacy_check import main, measured, sentences
from askfirst.finetune.surrogates import SURROGATES

CARD, IBAN = "4111 1111 1111 1111", "DE89 3704 0044 0532 0130 00"  # the published samples of either form
DATA = {
    "EMAIL": "Anna.Berg+shop@mail.example.co.uk",
    "PHONE": "+44 20 7946 0958",
    "CARD": CARD,
    "IBAN": IBAN,
    "SSN": "536-22-1234",
    "IP": "2001:4860:4860::8888",
    "MAC": "00:1B:44:11:3A:B7",
    "KEY": "AKIAIOSFODNN7EXAMPLE",
}
HARMLESS = (
    "Order 4111111111111111 and ISBN 978-3-16-148410-0.",
    "Version 1.2.3.4 of 2026-01-12 10:22:33, build 10.0.19045.3693.",
    "4111 1111 1111 1112 fails its check, DE88 3704 0044 0532 0130 00 too.",
    "000-12-3456, 666-12-3456, 912-34-5678 and 123-00-4567 were never assigned.",
    "127.0.0.1, 0.0.0.0 and ::1 are nobody; std::vector::begin is code.",
    "#W1234567, $1,234,567.00, 52.520008, 13.404954 and 3.1415926535",
    "user at example dot com, @anna, a@b",
)


def found(text: str) -> list[tuple[str, str]]:
    return [(one.type, text[one.start : one.end]) for one in findings(text)]


def example(asked: str, reply: str, *, kind: str = "arguments") -> Example:
    messages = ({"role": "user", "content": asked}, {"role": "assistant", "content": reply})
    return Example(kind, "x", asked, messages)


@pytest.mark.parametrize("type", DATA)
def test_each_type_is_found_in_a_sentence(type: str):
    assert found(f"It is {DATA[type]}, thanks.") == [(type, DATA[type])]


@pytest.mark.parametrize("text", HARMLESS)
def test_what_only_looks_like_it_stays(text: str):
    assert found(text) == []


@pytest.mark.parametrize("type", DATA)
def test_a_surrogate_has_the_form_and_is_no_real_value(type: str):
    for seed in range(50):
        made = SURROGATES[type](random.Random(seed), DATA[type])
        assert made != DATA[type]
        if type in ("PHONE", "CARD", "IBAN", "SSN"):
            assert re.sub(r"\w", "0", made) == re.sub(r"\w", "0", DATA[type])
            assert (type, made) not in found(f"It is {made}, thanks.")


@pytest.mark.parametrize("style", ["surrogates", "placeholders"])
def test_a_value_is_replaced_alike_in_question_and_reply(style: str):
    for type, value in DATA.items():
        cleaned, counts = redacted(example(f"Said: it is {value}.", reply_text(value)), style, seed=1)
        assert cleaned is not None
        assert counts == {type: 1}
        assert value not in str(cleaned)
        assert cleaned.reply.strip('" ') in cleaned.asked


def test_a_rejected_reply_and_the_question_are_cleaned_too():
    one = example(f"Charge {CARD}.", reply_text("none"))
    pair = Example("own", "x", one.question, one.messages, rejected=reply_text(CARD))
    cleaned, _ = redacted(pair, "surrogates", seed=1)
    assert CARD not in str(cleaned)
    assert cleaned is not None
    assert cleaned.rejected is not None
    assert cleaned.rejected.strip('" ') in cleaned.asked


def test_two_values_stay_two():
    asked = " ".join(f"user{number}@mail.com" for number in range(200))
    cleaned, counts = redacted(example(asked, "ok"), "surrogates", seed=1)
    assert cleaned is not None
    assert counts == {"EMAIL": 200}
    assert len(set(cleaned.asked.split())) == 200


def test_an_example_whose_copy_would_break_is_left_out():
    cleaned, _ = redacted(example("Call me on +44 20 7946 0958.", reply_text("7946 0958")), "surrogates", seed=1)
    assert cleaned is None


def test_a_replacement_follows_from_the_seed_and_not_from_the_value():
    first, second = (redacted(example(f"I am {name}@mail.com", "ok"), "surrogates", seed=4)[0] for name in ("anna", "otto"))
    assert first is not None
    assert second is not None
    assert first.asked == second.asked


def test_off_changes_nothing():
    one = example(f"Charge {CARD}.", "ok")
    assert redacted(one, "off", seed=1) == (one, {})


@given(st.text(max_size=60))
def test_findings_never_overlap_and_lie_within_the_text(text: str):
    end = 0
    for one in findings(text):
        assert end <= one.start < one.end <= len(text)
        end = one.end


@given(st.integers(min_value=10**11, max_value=10**15))
def test_one_digit_more_makes_a_number_fit_the_check_and_any_other_does_not(number: int):
    assert sum(luhn(f"{number}{digit}") for digit in range(10)) == 1


def test_the_check_of_an_iban_notices_any_changed_digit():
    compact = IBAN.replace(" ", "")
    assert is_iban(IBAN)
    for place in range(4, len(compact)):
        other = str((int(compact[place]) + 1) % 10)
        assert not is_iban(compact[:place] + other + compact[place + 1 :])


def test_the_measured_set_is_labelled_to_the_letter_and_the_same_every_time():
    listed = sentences(3)
    assert listed == sentences(3)
    assert {label.type for one in listed for label in one.labels} == set(DATA)
    assert sum(not one.labels for one in listed) >= len(listed) // 2
    table = measured(listed)
    assert all(0 < row["found"] <= row["values"] for row in table.values())


def test_the_command_prints_a_row_for_each_type(capsys: pytest.CaptureFixture[str]):
    main([])
    printed = capsys.readouterr().out
    assert all(f"| {type} |" in printed for type in DATA)
