"""Personal data is found by its form and its check digits, and what only looks like it stays."""

import pytest

from hone.curate import mask_personal
from hone.curate.pii import _IBAN_COUNTRIES


@pytest.mark.parametrize(
    ("text", "masked", "kind"),
    [
        ("Write to ann.lee+news@mail.example.co.uk.", "Write to <EMAIL>.", "email"),
        ("<bob@example.com>", "<<EMAIL>>", "email"),
        ("The host 8.8.8.8 answered.", "The host <IP> answered.", "ip"),
        ("It was 2606:4700:4700::1111 again.", "It was <IP> again.", "ip"),
        ("Call +44 20 7946 0958 today.", "Call <PHONE> today.", "phone"),
        ("Call (415) 555-2671, or wait.", "Call <PHONE>, or wait.", "phone"),
        ("Call 415-555-2671.", "Call <PHONE>.", "phone"),
        ("Card 4111 1111 1111 1111 was used.", "Card <CARD> was used.", "card"),
        ("Card 378282246310005.", "Card <CARD>.", "card"),
        ("Pay to DE89 3704 0044 0532 0130 00.", "Pay to <IBAN>.", "iban"),
        ("Pay to GB82WEST12345698765432, please.", "Pay to <IBAN>, please.", "iban"),
        ("NO93 8601 1117 947", "<IBAN>", "iban"),
    ],
)
def test_personal_data_is_masked(text, masked, kind):
    assert mask_personal(text) == (masked, {kind: 1})


@pytest.mark.parametrize(
    "text",
    [
        "Version 1.2.3.4.5 came in 2019-2020.",
        "The router is 192.168.0.1, the loopback 127.0.0.1 and ::1.",
        "Section 300.400.500.600 is no address.",
        "Card 4111 1111 1111 1112 fails the check.",
        "0000 0000 0000 0000 and 4444444444444444 are no cards.",
        "DE88 3704 0044 0532 0130 00 fails the check.",
        "QQ89 3704 0044 0532 0130 00 is no country's.",
        "In 1861-1865 the army of 100,000 lost 23,456 men; 3.14159265358979 is pi.",
        "ISBN 978-3-16-148410-0 and the year 1999 - 2001.",
        "It rose 3 @ 5, and user@host has no domain.",
        "At 10:20:30:40 the clock stopped.",
        "No digits here.",
    ],
)
def test_what_only_looks_like_personal_data_stays(text):
    assert mask_personal(text) == (text, {})


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("ES91 2100 0418 4502 0005 1332 BIC CAIXESBB", "<IBAN> BIC CAIXESBB"),
        ("BE68 5390 0754 7034 BIC", "<IBAN> BIC"),
        ("AT61 1904 3002 3457 3201 BIC", "<IBAN> BIC"),
        ("PL61 1090 1014 0000 0712 1981 2874 PLN", "<IBAN> PLN"),
        ("LU28 0019 4006 4475 0000 EUR 100", "<IBAN> EUR 100"),
        ("ES91 2100 0418 4502 0005 1332 1999", "<IBAN> 1999"),
        ("GB82 WEST 1234 5698 7654 32 TO 2024", "<IBAN> TO 2024"),
    ],
)
def test_an_account_number_ends_where_its_country_says_whatever_follows(text, masked):
    assert mask_personal(text) == (masked, {"iban": 1})


@pytest.mark.parametrize("follows", ["", ".", " BIC", " EUR 5", " 1999", " GB", " 7 UP"])
def test_the_accounts_of_every_country_are_masked_in_groups_and_without_blanks(follows):
    for length, countries in _IBAN_COUNTRIES.items():
        for country in countries.split():
            body = "0123456789"[: (length - 4) % 10] + "0123456789" * ((length - 4) // 10)
            check = 98 - int(body + "".join(str(int(sign, 36)) for sign in country) + "00") % 97
            plain = f"{country}{check:02d}{body}"
            for written in (plain, " ".join(plain[at : at + 4] for at in range(0, length, 4))):
                assert mask_personal(f"Pay {written}{follows}") == (f"Pay <IBAN>{follows}", {"iban": 1})


def test_an_account_number_inside_a_longer_one_stays():
    assert mask_personal("ES9121000418450200051332X")[1]["iban"] == 0


def test_every_one_of_several_is_counted():
    text = "a@b.org, c@d.org and +1 212 555 0123; the account is FR14 2004 1010 0505 0001 3M02 606."
    masked, counts = mask_personal(text)
    assert masked == "<EMAIL>, <EMAIL> and <PHONE>; the account is <IBAN>."
    assert counts == {"email": 2, "phone": 1, "iban": 1}


def test_a_masked_text_is_not_masked_again():
    once, _ = mask_personal("Call 415-555-2671 or write to a@b.org from 8.8.4.4.")
    assert mask_personal(once) == (once, {})
