"""Personal data in texts, found by form and check digits, and replaced by a placeholder that says what stood there.

Found: e-mail addresses, public IP addresses, phone numbers, card numbers (Luhn), IBANs (check digits). The one surprise: names, addresses and
numbers without a fixed form are not looked for; that takes a model, and a text without placeholders is not proven free of personal data.
"""

import ipaddress
import re
from collections import Counter
from collections.abc import Callable

__all__ = ["PLACEHOLDERS", "has_iban_check", "has_luhn_check", "is_public_address", "mask_personal"]

PLACEHOLDERS = {"iban": "<IBAN>", "card": "<CARD>", "email": "<EMAIL>", "ip": "<IP>", "phone": "<PHONE>"}
"""What is written in place of each kind, in the order in which they are looked for: the surest form first."""

# Lengths by country from the registry of ISO 13616; a country that is not here has no IBAN.
_IBAN_COUNTRIES = {
    15: "NO",
    16: "BE",
    18: "DK FI FO GL NL SD",
    19: "MK SI",
    20: "AT BA EE KZ LT LU XK",
    21: "CH HR LI LV",
    22: "BG BH CR DE GB GE IE ME RS VA",
    23: "AE GI IL IQ TL",
    24: "AD CZ ES MD PK RO SA SE SK TN VG",
    25: "LY PT ST",
    26: "IS TR",
    27: "FR GR IT MC MR SM",
    28: "AL AZ BY CY DO GT HU LB PL SV",
    29: "BR EG PS QA UA",
    30: "JO KW MU",
    31: "MT SC",
    32: "LC",
}
_IBAN_LENGTHS = {country: length for length, countries in _IBAN_COUNTRIES.items() for country in countries.split()}


def _iban_form(length: int) -> str:
    """Of an account number of `length` signs: all together or in groups of four; what stands behind it is not part of it."""
    groups, rest = divmod(length - 4, 4)
    return rf"\d{{2}}(?: ?[A-Z0-9]{{4}}){{{groups}}}" + (rf" ?[A-Z0-9]{{{rest}}}" if rest else "") + r"\b"


_IBAN = re.compile(
    r"\b(?:"
    + "|".join(f"(?:{countries.replace(' ', '|')}){_iban_form(length)}" for length, countries in _IBAN_COUNTRIES.items())
    + ")"
)
# The first digits are those of the card networks: 2 and 5 Mastercard, 3 American Express and others, 4 Visa, 6 Discover and others.
_CARD = re.compile(r"(?<![\w.-])[2-6]\d{3}(?:[ -]?\d){9,15}(?![\w-])(?!\.\d)")
_EMAIL = re.compile(
    r"(?<![\w.+-])[A-Za-z0-9][A-Za-z0-9._%+-]{0,63}@(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z]{2,24}(?![\w-])"
)
_IP4 = re.compile(r"(?<![\w.-])(?:\d{1,3}\.){3}\d{1,3}(?![\w-])(?!\.\d)")
_IP6 = re.compile(r"(?<![\w:.])(?:[0-9A-Fa-f]{0,4}:){3,7}[0-9A-Fa-f]{0,4}(?![\w:])")
# International with its plus, or North American with its two groups of three and one of four.
_PHONE = re.compile(
    r"(?<![\w.+-])(?:\+[1-9]\d{0,2}(?:[ .-]?\(?\d{1,4}\)?){2,6}"
    r"|(?:\+?1[ .-]?)?(?:\([2-9]\d\d\) ?|[2-9]\d\d[ .-])[2-9]\d\d[ .-]\d{4})(?![\w-])(?!\.\d)"
)


def mask_personal(text: str) -> tuple[str, Counter[str]]:
    """The text with placeholders, and how many of each kind there were."""
    counts: Counter[str] = Counter()
    if not any(map(str.isdigit, text)) and "@" not in text and "::" not in text:
        return text, counts
    for kind, pattern, is_one in _KINDS:

        def replaced(found: re.Match[str], kind: str = kind, is_one: Callable[[str], bool] = is_one) -> str:
            if not is_one(found.group()):
                return found.group()
            counts[kind] += 1
            return PLACEHOLDERS[kind]

        text = pattern.sub(replaced, text)
    return text, counts


def has_luhn_check(number: str) -> bool:
    """Whether 13 to 19 digits pass the check of ISO/IEC 7812 and are not one digit repeated."""
    digits = [int(digit) for digit in number if digit.isdigit()]
    if not 13 <= len(digits) <= 19 or len(set(digits)) == 1:
        return False
    doubled = [digit * 2 - 9 * (digit > 4) for digit in digits[-2::-2]]
    return (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0


def has_iban_check(account: str) -> bool:
    """Whether an account number has its country's length and passes the check of ISO 13616 (the remainder by 97 is 1)."""
    plain = account.replace(" ", "")
    if _IBAN_LENGTHS.get(plain[:2]) != len(plain):
        return False
    return int("".join(str(int(sign, 36)) for sign in plain[4:] + plain[:4])) % 97 == 1


def is_public_address(address: str) -> bool:
    """Whether it is an IP address of a machine on the public network; private, local and documentation ones name nobody."""
    try:
        return ipaddress.ip_address(address).is_global
    except ValueError:
        return False


def _is_phone(number: str) -> bool:
    return 9 <= sum(map(str.isdigit, number)) <= 15


_KINDS: tuple[tuple[str, re.Pattern[str], Callable[[str], bool]], ...] = (
    ("iban", _IBAN, has_iban_check),
    ("card", _CARD, has_luhn_check),
    ("email", _EMAIL, lambda _: True),
    ("ip", _IP4, is_public_address),
    ("ip", _IP6, is_public_address),
    ("phone", _PHONE, _is_phone),
)
