"""What somebody is, has and does, by closed lists: occupations, languages, illnesses, relatives, animals."""

from __future__ import annotations

from cortex_rx.facts.pattern import lexicon as lex
from cortex_rx.facts.pattern.names import name
from cortex_rx.facts.pattern.phrases import Found, Text, bare, doing, ends, noun, phrase_end

__all__ = [
    "acquaintance",
    "being_ill",
    "condition",
    "diet",
    "kin",
    "language",
    "learnable",
    "medicine",
    "occupation",
    "pet",
    "status",
]

_ILLNESSES = lex.words(
    "diabetes asthma epilepsy cancer anaemia anemia migraines migraine adhd autism eczema psoriasis hypertension gout "
    "depression anxiety disease disorder syndrome arthritis hypothyroidism hay-fever dyslexia insomnia tinnitus ms "
    "glaucoma intolerance pressure celiac coeliac crohn's lupus hiv copd ibs pcos astigmatism scoliosis endometriosis "
    "vertigo hemophilia haemophilia sciatica dementia parkinson's alzheimer's"
)

_GRADES = lex.words("severe bad mild serious slight strong terrible life-threatening lifelong")
_ILL = ("itis", "osis", "emia", "aemia", "algia", "pathy", "phobia", "plegia")

_SUFFERERS = lex.words(
    "diabetic asthmatic epileptic dyslexic autistic colourblind colorblind colour-blind color-blind deaf blind "
    "anaemic anemic coeliac celiac bipolar"
)

_MAKERS = lex.words("author writer composer director creator inventor producer founder designer editor")
_MEDICINES = lex.words(
    "aspirin ibuprofen paracetamol insulin antihistamines antidepressants statins lithium warfarin metformin beta "
    "beta-blockers antibiotics prozac xanax adderall ritalin melatonin lisinopril prednisone"
)

_PHARMACY = (
    "xine", "pril", "sartan", "statin", "olol", "azole", "mycin", "cillin", "formin", "pam", "lam", "cetam", "gliptin",
    "prazole", "tidine", "oxetine", "raline", "profen", "aparin", "heparin", "dipine", "thiazide", "sone", "solone",
)  # fmt: skip


def occupation(text: Text, at: int) -> Found:
    """An occupation: "a nurse", "the head teacher", "software engineer"."""
    end = phrase_end(text, at, frozenset())
    for last in range(at + 1, end + 1):
        closed = last == end or text.low(last) in ("working", "based", "specialising", "specializing")
        made = text.low(last) == "of" and text.low(last - 1) in _MAKERS  # "the author of Middlemarch"
        if closed and not made and lex.is_occupation(text.low(last - 1)) and text.low(at) not in lex.OWNERS:
            return [bare(text, at, last)], last
    return None


def language(text: Text, at: int) -> Found:
    """A language."""
    end = at
    while text.low(end) in (
        "fluent",
        "some",
        "any",
        "basic",
        "good",
        "bit",
        "of",
        "little",
        "native",
        "a",
        "very",
        "decent",
    ):
        end += 1
    return ([text.between(end, end + 1)], end + 1) if text.low(end) in lex.LANGUAGES else None


def diet(text: Text, at: int) -> Found:
    """A diet: "vegan", "a strict vegetarian", "gluten-free"."""
    end = at
    while text.low(end) in lex.ARTICLES | {"strict", "strictly", "lifelong", "committed", "total"}:
        end += 1
    return ([text.between(end, end + 1)], end + 1) if text.low(end) in lex.DIETS else None


def status(text: Text, at: int) -> Found:
    """A relationship status; not "separated from my luggage"."""
    if text.low(at + 1) == "from" and not (text.capital(at + 2) or text.low(at + 3) in lex.PERSONS):
        return None
    alone = text.low(at + 1) not in ("to", "in", "with") and not (
        text.kind(at + 1) == "word" and not ends(text, at + 1)
    )
    return ([text.between(at, at + 1)], at + 1) if text.low(at) in lex.STATUSES and alone else None


def pet(text: Text, at: int) -> Found:
    """An animal that is kept: "a dog", "two black cats"; not "a cat in mind"."""
    end = phrase_end(text, at, frozenset())
    if text.low(end) == "in" and text.low(end + 1) == "mind":
        return None
    for last in range(end, at, -1):
        if text.low(last - 1) in lex.PETS:
            if last < end and not text.capital(last):
                return None  # "a dog allergy"
            return [bare(text, at, last)], last
    return None


def learnable(text: Text, at: int) -> Found:
    """What can be learnt: a language, an instrument, "to swim", "Go"."""
    if text.low(at) == "to":
        return doing(text, at)
    if text.low(at) in ("how", "about", "from", "that", "the"):
        return None
    if (found := language(text, at)) is not None or (found := name(text, at)) is not None:
        return found
    return noun(text, at) if text.low(at) not in lex.ARTICLES and not _loose(text, at) else None


def _loose(text: Text, at: int) -> bool:
    """Whether a vague word begins here."""
    return text.low(at) in ("lots", "lot", "something", "new", "things", "much", "little")


def condition(text: Text, at: int) -> Found:
    """An illness: its name is known, or ends as such names do."""
    end = phrase_end(text, at, frozenset(["of"]))
    if end == at:
        return None
    last = text.low(end - 1)
    return ([bare(text, at, end)], end) if last in _ILLNESSES or last.endswith(_ILL) else None


def being_ill(text: Text, at: int) -> Found:
    """What one is with an illness: "diabetic", "lactose intolerant"."""
    end = at
    while text.low(end) in ("a", "severely", "slightly", "partially", "type", "1", "2"):
        end += 1
    start = end
    if text.low(end + 1) == "intolerant" or (text.low(end) == "colour" and text.low(end + 1) == "blind"):
        return [text.between(start, end + 2)], end + 2
    ill = text.low(end) in _SUFFERERS and text.low(end + 1) != "to"  # not "blind to it"
    return ([text.between(start, end + 1)], end + 1) if ill else None


def allergy(text: Text, at: int) -> Found:
    """What one is allergic to, of "a severe peanut allergy"."""
    end = phrase_end(text, at, frozenset())
    first = at
    while text.low(first) in lex.ARTICLES | _GRADES:
        first += 1
    known = end > first + 1 and text.low(end - 1) in ("allergy", "allergies")
    return ([text.between(first, end - 1)], end) if known else None


def medicine(text: Text, at: int) -> Found:
    """A medicine: its name is known, or ends as such names do."""
    end = phrase_end(text, at, frozenset())
    if end == at:
        return None
    known = any(text.low(one) in _MEDICINES or text.low(one).endswith(_PHARMACY) for one in range(at, end))
    return ([bare(text, at, end)], end) if known else None


def kin(text: Text, at: int) -> Found:
    """Relatives one has: "a sister", "three sisters"."""
    end = phrase_end(text, at, frozenset())
    for last in range(at, end):
        vague = lex.RELATIONS.get(text.low(last), ("",))[0] in ("friend_of", "colleague_of")
        if vague and text.low(last + 1) not in ("called", "named"):
            return None  # who has no friends?
        if text.low(last) in lex.RELATIONS and (last + 1 == end or text.capital(last + 1)):
            return [bare(text, at, last + 1)], last + 1
    return None


def acquaintance(text: Text, at: int) -> Found:
    """A person one knows: by name, or "the mayor"."""
    if (found := name(text, at)) is not None:
        return found if found[1] - at > 1 and text.low(at) not in lex.LANGUAGES else None
    end = phrase_end(text, at, frozenset())
    known = end > at and text.low(at) in ("the", "a", "an") and lex.is_person(text.low(end - 1))
    return ([bare(text, at, end)], end) if known else None
