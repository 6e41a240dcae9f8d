"""The formats of fields, each with what is easily taken for one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.document import FORMATS
from contract.formats import CUSTOM, SIZES, UNDIALLED, calling_regions, instant, is_e164, is_region, matches

ID = "3fa85f64-5717-4562-b3fc-2c963f66afa6"


@pytest.mark.parametrize(
    "number",
    ["+15558675309", "+12", "+77", "+442079460000", "+38349123456", "+80012345678", "+88213", "+123456789012345"],
)
def test_a_number_in_e164(number: str) -> None:
    """``+`` and 2 to 15 digits that begin with an assigned calling code, in use or not."""
    assert is_e164(number)
    assert matches("e164", number)


@pytest.mark.parametrize(
    "number",
    [
        "",
        "+",
        "+1",
        "+7",
        "15558675309",
        "0015558675309",
        "++15558675309",
        "+0123456",
        "+15558675309\n",
        "\n+15558675309",
        " +15558675309",
        "+15558675309 ",
        "+1 555 867 5309",
        "+1-555-867-5309",
        "+1(555)8675309",
        "+15558675309;ext=1",
        "tel:+15558675309",
        "+1555867530x",
        # Digits of other scripts are digits for \d and for int(), and the full-width plus sign looks the part.
        "+\uff11\uff15\uff15\uff15\uff18\uff16\uff17\uff15\uff13\uff10\uff19",
        "+1555867530\uff19",
        "+\u0661\u0662\u0663\u0664\u0665\u0666\u0667",
        "\uff0b15558675309",
        "+1555867530\u00b2",
        # One digit too many.
        "+1234567890123456",
        # No such calling code.
        "+999123456",
        "+2101234567",
    ],
)
def test_what_is_no_number_in_e164(number: str) -> None:
    """A line feed at the end, digits of other scripts and calling codes that nobody has make no number."""
    assert not is_e164(number)
    assert not matches("e164", number)


@given(st.text(st.sampled_from("+0123456789 \n\uff11\u0661-x"), max_size=18))
def test_a_number_is_nothing_but_ascii(text: str) -> None:
    """Whatever is called a number has a plus sign and ASCII digits, the first from 1 to 9, and nothing else."""
    if is_e164(text):
        assert text[0] == "+"
        assert text[1:].isascii()
        assert text[1:].isdigit()
        assert text[1] != "0"
        assert 2 <= len(text[1:]) <= 15


@pytest.mark.parametrize(
    ("number", "some"),
    [
        ("+15558675309", {"US", "CA", "JM"}),
        ("+442079460000", {"GB", "GG", "IM", "JE"}),
        ("+4915112345678", {"DE"}),
        ("+77012345678", {"KZ", "RU"}),
        ("+38349123456", {"XK"}),
        ("+80012345678", {"001"}),
    ],
)
def test_the_regions_of_a_calling_code(number: str, some: set[str]) -> None:
    """A calling code of one, two or three digits belongs to its regions; one for the whole world to ``001``."""
    assert some <= set(calling_regions(number) or ())


def test_a_calling_code_that_nobody_has_has_no_regions() -> None:
    """An unassigned code has no regions at all, which is not the same as belonging to no country."""
    assert calling_regions("+999123456") is None


@pytest.mark.parametrize("code", ["US", "GB", "DE", "CA", "JM", "ZA", *sorted(UNDIALLED), "XK"])
def test_a_region(code: str) -> None:
    """An assigned ISO 3166-1 alpha-2 code is one, with a calling code of its own or without."""
    assert is_region(code)


@pytest.mark.parametrize(
    "code", ["", "us", "Us", "USA", "840", "001", "ZZ", "EU", "UK", "AN", "U", "US\n", " US", "\uff35\uff33"]
)
def test_what_is_no_region(code: str) -> None:
    """Small letters, three letters, reserved and withdrawn codes are none."""
    assert not is_region(code)
    assert not matches("iso-3166-1-alpha-2", code)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2030-01-31T12:00:00Z", datetime(2030, 1, 31, 12, tzinfo=UTC)),
        ("2030-01-31t12:00:00z", datetime(2030, 1, 31, 12, tzinfo=UTC)),
        ("2030-01-31T12:00:00+00:00", datetime(2030, 1, 31, 12, tzinfo=UTC)),
        ("2030-01-31T12:00:00-00:00", datetime(2030, 1, 31, 12, tzinfo=UTC)),
        ("2030-01-31T12:00:00+05:30", datetime(2030, 1, 31, 6, 30, tzinfo=UTC)),
        ("2030-01-31T12:00:00-23:59", datetime(2030, 2, 1, 11, 59, tzinfo=UTC)),
        ("2030-01-31T12:00:00.5Z", datetime(2030, 1, 31, 12, microsecond=500_000, tzinfo=UTC)),
        ("2030-01-31T12:00:00.123456789Z", datetime(2030, 1, 31, 12, microsecond=123_456, tzinfo=UTC)),
        ("2032-02-29T23:59:59Z", datetime(2032, 2, 29, 23, 59, 59, tzinfo=UTC)),
        ("2000-02-29T00:00:00Z", datetime(2000, 2, 29, tzinfo=UTC)),
        # Leap seconds are at the end of a day in UTC, wherever the clock stands.
        ("2016-12-31T23:59:60Z", datetime(2016, 12, 31, 23, 59, 59, tzinfo=UTC)),
        ("2016-12-31T15:59:60-08:00", datetime(2016, 12, 31, 23, 59, 59, tzinfo=UTC)),
        ("2016-12-31T23:59:60.5Z", datetime(2016, 12, 31, 23, 59, 59, 500_000, tzinfo=UTC)),
    ],
)
def test_a_moment(text: str, moment: datetime) -> None:
    """A date-time of RFC 3339 names a moment: with a zone, with or without a fraction, leap seconds included."""
    assert matches("date-time", text)
    assert instant(text) == moment


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2030-01-31",
        "2030-01-31T12:00:00",
        "2030-01-31 12:00:00Z",
        "2030-01-31T12:00Z",
        "2030-01-31T24:00:00Z",
        "2030-01-31T12:60:00Z",
        "2030-01-31T12:00:61Z",
        "2030-01-31T12:00:60Z",
        "2016-12-31T23:59:60+01:00",
        "2030-02-29T00:00:00Z",
        "2100-02-29T00:00:00Z",
        "2030-04-31T00:00:00Z",
        "2030-13-01T00:00:00Z",
        "2030-00-10T00:00:00Z",
        "30-01-31T12:00:00Z",
        "2030-1-31T12:00:00Z",
        "2030-01-31T12:00:00Z\n",
        " 2030-01-31T12:00:00Z",
        "2030-01-31T12:00:00.Z",
        "2030-01-31T12:00:00,5Z",
        "2030-01-31T12:00:00+0100",
        "2030-01-31T12:00:00+01",
        "2030-01-31T12:00:00+24:00",
        "2030-01-31T12:00:00+12:60",
        "20300131T120000Z",
        "2030-W05-4T12:00:00Z",
        "+2030-01-31T12:00:00Z",
        "\uff12\uff10\uff13\uff10-01-31T12:00:00Z",
        "Thu, 31 Jan 2030 12:00:00 GMT",
        "1890000000",
    ],
)
def test_what_is_no_moment(text: str) -> None:
    """Days that do not exist, times without a zone and other notations of ISO 8601 name no moment."""
    assert not matches("date-time", text)
    assert instant(text) is None


@pytest.mark.parametrize("text", ["0000-01-01T00:00:00Z", "0001-01-01T00:00:00+01:00", "9999-12-31T23:59:59-01:00"])
def test_a_moment_beyond_the_calendar(text: str) -> None:
    """What is well formed and lies before the first or after the last moment that can be told names none."""
    assert matches("date-time", text)
    assert instant(text) is None


@pytest.mark.parametrize("value", [None, 7, True, [], {}, b"2030-01-31T12:00:00Z"])
def test_what_is_no_text_names_no_moment(value: Any) -> None:
    """A value that is no string is no date-time; whether it may stand there is for its type to say."""
    assert instant(value) is None


@given(st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1)), st.integers(-23 * 60, 23 * 60))
def test_a_moment_has_many_notations(moment: datetime, minutes: int) -> None:
    """The same moment is found in every zone and notation."""
    there = moment + timedelta(minutes=minutes)
    sign = "-" if minutes < 0 else "+"
    zone = f"{sign}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}"
    expected = moment.replace(tzinfo=UTC)

    assert instant(f"{moment.isoformat()}Z") == expected
    assert instant(f"{there.isoformat()}{zone}") == expected


@pytest.mark.parametrize(
    "text", [ID, ID.upper(), "00000000-0000-0000-0000-000000000000", "f" * 8 + "-ffff" * 3 + "-" + "f" * 12]
)
def test_a_uuid(text: str) -> None:
    """A UUID of RFC 9562 is one in small and in capital letters, nil and max included."""
    assert matches("uuid", text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        ID.replace("-", ""),
        f"{{{ID}}}",
        f"urn:uuid:{ID}",
        f"{ID}\n",
        f" {ID}",
        ID[:-1],
        f"{ID}0",
        ID[:-1] + "g",
        "\uff13" + ID[1:],
        "3fa85f645-717-4562-b3fc-2c963f66afa6",
    ],
)
def test_what_is_no_uuid(text: str) -> None:
    """Other notations that Python's own UUID takes, and a line feed at the end, make none."""
    assert not matches("uuid", text)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("date", "2032-02-29", True),
        ("date", "2030-02-29", False),
        ("date", "2030-1-1", False),
        ("email", "a@example.com", True),
        ("email", "a@b@c", False),
        ("uri", "https://example.com/a?b", True),
        ("uri", "no address", False),
        ("int32", 2**31 - 1, True),
        ("int32", -(2**31), True),
        ("int32", 2**31, False),
        ("int32", -(2**31) - 1, False),
        ("int32", 1.5e10, False),
        ("int32", True, True),
        ("int64", 2**63 - 1, True),
        ("int64", 2**63, False),
    ],
)
def test_the_other_formats(name: str, value: Any, expected: bool) -> None:
    """Dates, addresses and sizes of numbers are judged as well."""
    assert matches(name, value) is expected


@pytest.mark.parametrize("name", sorted(FORMATS))
@pytest.mark.parametrize("value", [None, True, [], {}])
def test_a_format_is_about_one_type(name: str, value: Any) -> None:
    """Null, booleans, lists and objects have no format, so that none is wrong."""
    assert matches(name, value)


def test_every_format_is_judged() -> None:
    """There is no format of a fragment under which everything passes, but for that which says what must not be shown."""
    for name in FORMATS - {"password"}:
        assert not (matches(name, "no such thing\n") and matches(name, 2**70))
    assert set(CUSTOM) | set(SIZES) <= FORMATS
