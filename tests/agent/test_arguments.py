"""Arguments are found in what the person wrote, in values that exist and in earlier results; never in documents."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from askfirst.agent.arguments import KINDS, Sources, fill, named, values_named
from askfirst.tools.registry import Choices, Connection, Reads, Tool, tool
from askfirst.tools.word_problems import expression_in


def toys(connection: Connection, arguments: Mapping[str, Any]) -> list[str]:
    return ["Wooden Train", "Train", "Kite", "Yo-Yo"]


@tool
def ship_parcel(
    parcel_id: Annotated[str, Field(pattern=r"^P-\d{4}$")],
    street: str,
    city: str,
    state: str,
    zip_code: str,
    speed: Literal["overnight", "standard"] = "standard",
) -> str:
    """Send a parcel to an address."""
    return "sent"


@tool
def days_between(start_date: str, end_date: str) -> int:
    """Count the days between two dates."""
    return 0


@tool
def wrap(toys: Annotated[list[str], Choices(toys)], layers: int = 1) -> str:
    """Wrap toys in paper."""
    return "wrapped"


@tool
def compute(expression: Annotated[str, Reads(lambda text, connection, arguments: expression_in(text))]) -> str:
    """Compute an expression."""
    return expression


def filled(of: Tool, text: str, **known: Any) -> dict[str, Any]:
    return fill(of, Sources(text, **known)).arguments


def test_pattern_address_and_allowed_value_are_found_in_one_sentence() -> None:
    assert filled(ship_parcel, "Please send parcel P-1234 overnight to 12 Oak Hill Drive, San Antonio, TX 78701.") == {
        "parcel_id": "P-1234",
        "street": "12 Oak Hill Drive",
        "city": "San Antonio",
        "state": "TX",
        "zip_code": "78701",
        "speed": "overnight",
    }


def test_what_is_missing_is_named() -> None:
    assert fill(ship_parcel, Sources("Send parcel P-1234")).missing == ("street", "city", "state", "zip_code")


def test_two_arguments_of_one_kind_take_two_values_in_order() -> None:
    assert filled(days_between, "From 2026-01-01 to 3 March 2026?") == {"start_date": "2026-01-01", "end_date": "3 March 2026"}


def test_existing_values_are_named_with_slips_and_the_longest_wins() -> None:
    assert named(toys(None, {}), "the woden train and two yoyos") == ["Wooden Train", "Yo-Yo"]  # type: ignore[arg-type]
    assert filled(wrap, "Wrap the kite in 3 layers") == {"toys": ["Kite"], "layers": 3}


def test_a_tools_own_reader_comes_first() -> None:
    assert filled(compute, "How much is 15% of 80?") == {"expression": "80 * 15 / 100"}


def test_a_missing_value_is_taken_from_an_earlier_result_when_it_is_the_only_one() -> None:
    result = {"parcels": [{"parcel_id": "P-7777"}], "zip": "10001"}
    assert filled(ship_parcel, "Send it", results=[result])["parcel_id"] == "P-7777"
    two = {"parcels": [{"parcel_id": "P-7777"}, {"parcel_id": "P-8888"}]}
    assert "parcel_id" not in filled(ship_parcel, "Send it", results=[two])


def test_an_earlier_turn_completes_but_never_overrides() -> None:
    assert filled(ship_parcel, "Make it overnight", before=["Where is parcel P-1234?"])["parcel_id"] == "P-1234"
    assert filled(ship_parcel, "And P-9999?", before=["Where is parcel P-1234?"])["parcel_id"] == "P-9999"


def test_only_what_is_missing_is_asked_of_the_llama() -> None:
    asked: list[str] = []

    def ask(of: Any, name: str, schema: Any, choices: Any, found: Any) -> str | None:
        asked.append(name)
        return "Main Street" if name == "street" else None

    found = fill(ship_parcel, Sources("Parcel P-1234 goes to Austin", ask=ask))
    assert asked == ["street", "city", "state", "zip_code"]
    assert found.by == {"parcel_id": "signal", "street": "llama"}


def test_an_address_reads_the_same_written_in_other_ways() -> None:
    for text in ("to 77 elm avenue apt 3b, austin tx 78701", "77 elm avenue, apt 3b, austin, TX, 78701 please"):
        assert [KINDS[kind](text)[0].casefold() for kind in ("street", "street2", "city", "state", "zip")] == [
            "77 elm avenue",
            "apt 3b",
            "austin",
            "tx",
            "78701",
        ]


def test_values_are_found_by_name_at_any_depth() -> None:
    assert list(values_named("order_id", {"customer": {"orders": [{"order id": 1}, {"orderId": 2}]}})) == [1, 2]


def test_the_llama_is_never_asked_for_what_has_a_pattern_and_its_value_must_fit() -> None:
    found = fill(ship_parcel, Sources("Send it overnight", ask=lambda *_: "elsewhere"))
    assert "parcel_id" in found.missing
    assert fill(wrap, Sources("Wrap them", ask=lambda *_: 7)).arguments == {}
