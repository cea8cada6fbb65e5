"""Proper names: of persons, places, schools, employers, works."""

from __future__ import annotations

from cortex_rx.facts.pattern import lexicon as lex
from cortex_rx.facts.pattern.phrases import Found, Text, bare, ends, noun, phrase_end

__all__ = ["given", "itself", "name", "organisation", "place", "school", "somewhere", "work"]

_PARTICLES = lex.words("of de da di du der del la le bin van von &")
_PLACE_LINKS = lex.words("near of outside by in")

_NATIONAL = ("ish", "ese", "ian", "ean", "ssian", "ic", "can", "lim", "yan", "aqi", "eli", "stani", "wede")

_NO_NAMES = lex.words(
    "french dutch greek thai swiss czech german jewish muslim christian hindu ok okay sorry glad fine texan dane finn "
    "pole turk scot briton monday tuesday wednesday thursday friday saturday sunday autistic adhd vegan gemini leo "
    "aries taurus virgo libra scorpio capricorn aquarius pisces sagittarius cancer not good new asian arab"
)

_INSTITUTIONS = lex.words(
    "hospital bank school bakery shop store restaurant factory library museum laboratory lab warehouse office café "
    "cafe kitchen pharmacy clinic supermarket hotel bookshop bookstore nursery kindergarten university bar pub gym"
)
_SCREENS = lex.words("settings preferences options help file tools menu page home view window account profile")
_SCHOOLS = ("school", "university", "college", "academy", "institute", "gymnasium", "lycée")


def name(text: Text, at: int) -> Found:
    """A proper name: "Ada", "Ada Lovelace", "Leonardo da Vinci", "St. Mary's Hospital"; also what is quoted."""
    at += text.low(at) == "the"
    first = at
    while (text.capital(at) and text.low(at) not in lex.PRONOUNS) or (at > first and _continues(text, at)):
        at += 1
    return ([text.between(first, at)], at) if at > first else None


def _continues(text: Text, at: int) -> bool:
    """Whether a name goes on with a small word or a mark here."""
    low, capital = text.low(at), text.capital(at + 1)
    if low == "'s":
        return capital or ends(text, at + 1)  # "St. Mary's"
    if low == "'":
        return capital and text.low(at - 1).endswith("s")  # "St Thomas' Hospital"
    return capital and (low in _PARTICLES or (low == "." and _shortened(text, at - 1)))


def _shortened(text: Text, at: int) -> bool:
    """Whether a full stop after this word belongs to it: "Dr.", "K."."""
    return text.low(at) in lex.TITLES or (len(text.low(at)) == 1 and text.capital(at))


def given(text: Text, at: int) -> Found:
    """A name where one is expected: also in lower case ("my name is ada")."""
    if (found := name(text, at)) is not None:
        return found
    known = lex.ADVERBS | lex.OPENERS | lex.DETERMINERS | lex.OWNERS | lex.DEMONSTRATIVES | lex.TRAILERS
    if text.kind(at) == "word" and not ends(text, at) and text.low(at) not in known:
        return [text.between(at, at + 1)], at + 1
    return None


def itself(text: Text, at: int) -> Found:
    """A name after "I'm": one to three capitalised words at the end of the clause, no nationality."""
    found = name(text, at)
    if found is None or text.low(at) == "the" or text.kind(at) != "word":
        return None
    end = found[1]
    words = [text.low(one) for one in range(at, end)]
    closed = text.kind(end) in ("mark", "line", "") or text.low(end) in ("and", "from", "by")
    if (
        len(words) > 3
        or not closed
        or words[-1] in lex.LANGUAGES
        or words[-1] in lex.STATUSES
        or words[-1] in lex.DIETS
    ):
        return None
    if len(words) == 1 and (words[0].endswith(_NATIONAL) or text.tokens[at].text.isupper() or words[0] in _NO_NAMES):
        return None
    return found


def place(text: Text, at: int) -> Found:
    """A place: "Leeds", "Leeds, England", "the Netherlands", "a village near York"."""
    if (
        text.low(at) in lex.MONTHS
        or text.kind(at) == "number"
        or text.low(at) in lex.LANGUAGES | {"here", "there", "it"}
    ):
        return None
    if (found := name(text, at)) is not None:
        end = found[1]
        start = at + (text.low(at) == "the")
        if text.low(end) == "," and (more := name(text, end + 1)) and _over(text, more[1]) and not text.starts(end + 1):
            return [text.between(start, more[1])], more[1]
        if text.kind(end) == "word" and not ends(text, end) and text.low(end) != "'s":
            end = phrase_end(text, end, frozenset())  # "Lake district"
        return [text.between(start, end)], end
    end = phrase_end(text, at, _PLACE_LINKS)
    proper = any(text.capital(one) for one in range(at, end))
    if not proper and text.low(at) not in lex.ARTICLES | lex.OWNERS:
        return None  # "in fear"
    person = lex.is_person(text.low(end - 1)) or text.low(end - 1) in lex.TIMES
    return ([bare(text, at, end)], end) if end > at and not person else None


def _over(text: Text, at: int) -> bool:
    """Whether nothing follows that would make a comma before it part of a list or a clause."""
    return text.low(at) not in ("and", "or", "is", "was", "'s") and (text.kind(at) != "word" or ends(text, at))


def site(text: Text, at: int) -> Found:
    """A place by its name, as a thing is somewhere: "Peru", "the Alps"; not "`docs/`", not "the table"."""
    found = place(text, at) if text.capital(at + (text.low(at) == "the")) else None
    quoted = found is not None and any(text.kind(one) == "quote" for one in range(at, found[1]))
    return None if quoted else found


def organisation(text: Text, at: int) -> Found:
    """An employer, a school, a club: by its name, or "a bank", "the local hospital"."""
    if text.low(at) in ("home", "it", "night", "nights", "weekends"):
        return None
    found = name(text, at)
    if found is not None:
        end = found[1]
        if text.kind(end) == "word" and not ends(text, end) and text.low(end) != "'s":
            end = phrase_end(text, end, frozenset())
        return [text.between(at + (text.low(at) == "the"), end)], end
    if text.low(at) in lex.ARTICLES or text.low(at) in lex.OWNERS:
        found = noun(text, at)
        return None if found is None or text.low(found[1] - 1) in lex.TIMES else found
    return None


def institution(text: Text, at: int) -> Found:
    """Where one works, by its kind: "a hospital"."""
    found = organisation(text, at)
    return found if found and text.low(found[1] - 1) in _INSTITUTIONS else None


def school(text: Text, at: int) -> Found:
    """A school by its name."""
    found = name(text, at)
    return found if found and any(word in found[0][0].lower() for word in _SCHOOLS) else None


def somewhere(text: Text, at: int) -> Found:
    """A place by its name; not one of a screen: "Settings"."""
    found = name(text, at)
    return None if found is None or text.low(found[1] - 1) in _SCREENS else found


def work(text: Text, at: int) -> Found:
    """A work by its name: in quotation marks or capitals."""
    return name(text, at)
