"""Dates, numbers, sums, addresses."""

from __future__ import annotations

from cortex_rx.facts.pattern import lexicon as lex
from cortex_rx.facts.pattern.phrases import Found, Text, ends, is_year, phrase_end

__all__ = ["age", "amount", "date", "email", "number", "phone", "zone"]

_NUMBERED = lex.words("years year yrs yo")

_CURRENCIES = lex.words(
    "dollar dollars euro euros pound pounds cent cents pence quid bucks yen yuan rupee rupees franc francs kroner "
    "krona kronor crowns zloty rubles pesos reais lira rand won usd eur gbp chf"
)
_ZONES = lex.words("UTC GMT CET CEST EET EST EDT CST CDT MST MDT PST PDT BST JST AEST AEDT Pacific Eastern")


def date(text: Text, at: int) -> Found:
    """A date: "3 May 1990", "May 3rd", "1990-05-03", "May 1990", "1990"."""
    start = at
    if text.low(at) in lex.WEEKDAYS and text.low(at + 1) in (",", "the"):
        at += 1 + (text.low(at + 1) == ",")
    if text.low(at) == "the":
        at += 1
        start = at if start == at - 1 else start
    if (feast := _feast(text, at)) > at:
        return [text.between(start, feast)], feast
    day, month = _day(text, at), text.low(at).rstrip(".") in lex.MONTHS and text.capital(at)
    if day:
        after = at + 1 + (text.low(at + 1) == "of")
        if text.low(after) not in lex.MONTHS:
            if any(sign in text.low(at) for sign in "/-") and len(text.low(at)) >= 6:
                return [text.between(start, at + 1)], at + 1
            return ([text.between(start, at + 1)], at + 1) if is_year(text, at) else None
        end = after + 1
    elif month:
        end = at + 1
        if text.low(end) == "the":
            end += 1
        if _day(text, end) and not is_year(text, end):
            end += 1
    else:
        return None
    year = end + (text.low(end) in (",", "of"))
    if is_year(text, year):
        end = year + 1
    return [text.between(start, end)], end


def _feast(text: Text, at: int) -> int:
    """Where a named day ends that begins here: "Christmas Eve", "New Year's Day"."""
    if text.low(at) == "new" and text.low(at + 1) == "year" and text.low(at + 2) == "'s":
        at += 2
    elif text.low(at) not in ("christmas", "boxing", "midsummer", "valentine", "leap", "easter", "halloween"):
        return at
    at += 1 + (text.low(at + 1) == "'s")
    return at + (text.low(at) in ("eve", "day", "sunday", "monday"))


def _day(text: Text, at: int) -> bool:
    return text.kind(at) == "number" and text.low(at)[:1].isdigit()


def number(text: Text, at: int) -> Found:
    """A number, in digits or words: "42", "forty-two"."""
    end = at
    while text.kind(end) == "number" or (text.kind(end) == "word" and set(text.low(end).split("-")) <= lex.NUMBERS):
        end += 1
    return ([text.between(at, end)], end) if end > at else None


def age(text: Text, at: int) -> Found:
    """A person's age: "42", "42 years old"; not "42 minutes"."""
    found = number(text, at)
    if found is None:
        return None
    value, end = found
    if text.low(end) in _NUMBERED:
        end += 1
        if text.low(end) == "old":
            return value, end + 1
        return (value, end + 2) if text.low(end) == "of" and text.low(end + 1) == "age" else None
    digits = value[0].isdigit()
    sound = (digits and 0 < int(value[0]) < 120 and len(value[0]) < 4) or not digits
    closed = ends(text, end) and text.low(end) not in ("of", "to", "in", "on", "by", "%", "/", ":", "-", "or")
    return (value, end) if sound and closed and value[0] != "one" else None


def amount(text: Text, at: int) -> Found:
    """A sum: "$5", "5 euros", "about 30 pounds a month"."""
    end = at
    if text.low(end) in ("about", "around", "roughly", "only", "just"):
        end += 1
    first = end
    while text.kind(end) == "number" or text.low(end) in "$€£¥" or text.low(end) in lex.NUMBERS:
        if end >= len(text.tokens):
            break
        end += 1
    if end == first:
        return None
    signed = any(text.low(one)[:1] in "$€£¥" for one in range(first, end))
    if not signed and text.low(end) not in _CURRENCIES:
        return None
    end = phrase_end(text, end, frozenset()) if not ends(text, end) and text.low(end) not in lex.ARTICLES else end
    return [text.between(first, end)], end


def email(text: Text, at: int) -> Found:
    """An address of electronic mail."""
    return ([text.between(at, at + 1)], at + 1) if text.kind(at) == "email" else None


def phone(text: Text, at: int) -> Found:
    """A telephone number: at least six digits."""
    end = at
    while text.kind(end) == "number" or text.low(end) in ("+", "(", ")", "-"):
        end += 1
    value = text.between(at, end)
    return ([value], end) if sum(map(str.isdigit, value)) >= 6 else None


def zone(text: Text, at: int) -> Found:
    """A time zone: "Europe/Lisbon", "UTC+2", "CET", "Pacific"."""
    word = text.tokens[at].text if at < len(text.tokens) else ""
    if "/" in word and word[:1].isupper():
        return [word], at + 1
    if word in _ZONES:
        end = at + 1
        if text.low(end) in ("+", "-") and text.kind(end + 1) == "number":
            end += 2
        elif text.kind(end) == "number" and text.low(end)[:1] in "+-":
            end += 1
        return [text.between(at, end)], end
    return None
