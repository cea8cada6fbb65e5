"""Words: a text as tokens, contractions taken apart, and the closed classes of English words.

What is quoted, code, or a heading becomes one opaque token or nothing, so no rule reads it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

__all__ = ["Token", "forms", "masked", "tokens"]

# Each alternative begins where the last token ended and none can match a prefix in two ways, so the time is linear.
# What could run on is bounded.
_TOKEN = re.compile(
    r"""
    (?P<email>[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,4})
    | (?P<link>(?:https?://|www\.)\S{1,2000})
    | (?P<number>[+$€£¥]?\d{1,64}(?:[.,:/-]\d{1,64}){0,8}(?:(?:st|nd|rd|th|k|m|am|pm|kg|km|cm|lb|lbs|[%€£$°])\b)?(?!\w))
    | (?P<word>\w+(?:['’.&/-]\w+)*(?:\+\+|\#)?)
    | (?P<line>\n)
    | (?P<mark>\.\.\.|--|[^\w\s])
    """,
    re.VERBOSE,
)
_FENCE = re.compile(r"^\s{0,3}(```|~~~)")
_BULLET = re.compile(r"^\s*(?:[-*+•]|\d{1,3}[.)])\s+")
_CODE = re.compile(r"`[^`\n]{1,500}`")
_OPENS = {'"': '"', "“": "”", "„": "“", "«": "»", "‘": "’", "'": "'"}

LONGEST = 60  # tokens between single quotation marks; characters of a contraction

NEGATIVE = frozenset(["not", "never", "neither", "nor", "hardly", "rarely", "seldom"])
_SHORT = {
    "'m": "am",
    "'re": "are",
    "'ve": "have",
    "'ll": "will",
    "'d": "would",
    "n't": "not",
}
_NEGATED = ["do", "does", "did", "is", "are", "was", "were", "has", "have", "had", "would", "could", "should"]
_WHOLE = {
    "can't": ("can", "not"),
    "cannot": ("can", "not"),
    "won't": ("will", "not"),
    "shan't": ("shall", "not"),
    "ain't": ("am", "not"),
    "im": ("i", "am"),
    "i'm": ("i", "am"),
    "ive": ("i", "have"),
    # without the apostrophe: "ca" and "nt"
    **{f"{written}nt": (verb, "not") for verb, written in [("can", "ca"), *((one, one) for one in _NEGATED)]},
    "gonna": ("going", "to"),
    "wanna": ("want", "to"),
    "gotta": ("have", "to"),
}


@dataclass(frozen=True, slots=True)
class Token:
    """A word, number or mark; `low` is what rules compare, `start` and `stop` are its characters in the text."""

    text: str
    low: str
    kind: str
    start: int
    stop: int

    @property
    def capital(self) -> bool:
        """Whether it is written as a name is: "Ada", "iPhone", "NASA", but not "I"."""
        return self.kind == "quote" or (self.kind == "word" and self.low != "i" and self.text != self.text.lower())


def masked(text: str) -> str:
    """`text` with blocks of code, quoted lines, headings and tables as spaces; each character keeps its place.

    >>> masked("I live in Leeds.\\n> I live in York.\\n`x` is mine").split()
    ['I', 'live', 'in', 'Leeds.', '`x`', 'is', 'mine']
    """
    lines, fence = [], ""
    for line in text.split("\n"):
        found = _FENCE.match(line)
        hidden = bool(fence) or found is not None or line.lstrip()[:1] in ("#", ">", "|") or line[:4].isspace()
        if found and (not fence or found[1] == fence):
            fence = "" if fence else found[1]
        if hidden:
            lines.append(" " * len(line))
        elif bullet := _BULLET.match(line):
            lines.append(" " * (bullet.end() - 2) + "• " + line[bullet.end() :])
        else:
            lines.append(line)
    return "\n".join(lines)


def tokens(text: str) -> list[Token]:
    """The tokens of a text. What stands in quotation marks or backquotes is one token.

    >>> [token.low for token in tokens("I don't read “War and Peace”, she's at Ada's.")]
    ['i', 'do', 'not', 'read', 'war and peace', ',', 'she', "'s", 'at', 'ada', "'s", '.']
    """
    seen = masked(text)
    found = [_token(match) for match in _TOKEN.finditer(_CODE.sub(lambda code: f'"{code[0][1:-1]}"', seen))]
    result: list[Token] = []
    closes = _closing(found, seen)
    at = 0
    while at < len(found):
        token = found[at]
        if (quoted := closes.get(at)) is not None:
            stop, at = quoted
            inner = text[token.stop : stop]
            result.append(Token(inner, inner.lower(), "quote", token.stop, stop))
        else:
            result += _apart(token)
            at += 1
    return result


def _token(match: re.Match[str]) -> Token:
    return Token(match[0], match[0].lower().replace("’", "'"), match.lastgroup or "mark", match.start(), match.end())


def _closing(found: list[Token], text: str) -> dict[int, tuple[int, int]]:
    """For each opening quotation mark, where what it quotes ends, and the token after it. What is not closed in its
    paragraph goes on to the end of that."""
    closes: dict[int, tuple[int, int]] = {}
    at = 0
    while at < len(found):
        close = _OPENS.get(found[at].text)
        before = text[found[at].start - 1 : found[at].start]
        if close is None or (before and (before.isalnum() or before in "'’")):
            at += 1
            continue
        end = at + 1
        single = found[at].text in "'‘"  # it may be an apostrophe, so what it quotes is short
        limit = min(len(found), at + LONGEST) if single else len(found)
        while end < limit and not _closes(found, end, close, text) and not _blank(found, end):
            end += 1
        if end < limit and found[end].text == close:
            closes[at] = found[end].start, end + 1
            at = end + 1
        elif single:
            at += 1
        else:
            closes[at] = found[end - 1].stop, end
            at = end
    return closes


def _closes(found: list[Token], at: int, close: str, text: str) -> bool:
    after = text[found[at].stop : found[at].stop + 1]
    return found[at].text == close and not after.isalnum()


def _blank(found: list[Token], at: int) -> bool:
    return found[at].kind == "line" and at + 1 < len(found) and found[at + 1].kind == "line"


def _apart(token: Token) -> list[Token]:
    """The words of a contraction, each with its characters."""
    if token.kind != "word" or len(token.text) > LONGEST or not ("'" in token.low or token.low in _WHOLE):
        return [token]
    low, text, start = token.low, token.text, token.start
    if (words := _WHOLE.get(low)) is not None:
        cut = len(words[0]) if low.startswith(words[0]) else 0
        cut = min(cut, len(text))
        return [
            Token(text[:cut], words[0], "word", start, start + cut),
            Token(text[cut:], words[1], "word", start + cut, token.stop),
        ]
    for end, word in _SHORT.items():
        if low.endswith(end) and len(low) > len(end):
            cut = len(text) - len(end)
            return [
                *_apart(Token(text[:cut], low[:cut], "word", start, start + cut)),
                Token(text[cut:], word, "word", start + cut, token.stop),
            ]
    if low.endswith("'s") and len(low) > 2:
        cut = len(text) - 2
        return [
            Token(text[:cut], low[:cut], "word", start, start + cut),
            Token(text[cut:], "'s", "word", start + cut, token.stop),
        ]
    return [token]


_IRREGULAR = {
    "be": "was been",
    "become": "became become",
    "begin": "began begun",
    "bring": "brought brought",
    "buy": "bought bought",
    "come": "came come",
    "do": "did done",
    "drink": "drank drunk",
    "drive": "drove driven",
    "eat": "ate eaten",
    "feel": "felt felt",
    "find": "found found",
    "fly": "flew flown",
    "forget": "forgot forgotten",
    "get": "got got",
    "give": "gave given",
    "go": "went gone",
    "grow": "grew grown",
    "have": "had had",
    "hear": "heard heard",
    "hold": "held held",
    "keep": "kept kept",
    "know": "knew known",
    "lead": "led led",
    "learn": "learned learned",
    "leave": "left left",
    "make": "made made",
    "mean": "meant meant",
    "meet": "met met",
    "pay": "paid paid",
    "quit": "quit quit",
    "read": "read read",
    "ride": "rode ridden",
    "run": "ran run",
    "say": "said said",
    "see": "saw seen",
    "sell": "sold sold",
    "sing": "sang sung",
    "sleep": "slept slept",
    "speak": "spoke spoken",
    "spend": "spent spent",
    "stand": "stood stood",
    "swim": "swam swum",
    "take": "took taken",
    "teach": "taught taught",
    "tell": "told told",
    "think": "thought thought",
    "wear": "wore worn",
    "win": "won won",
    "write": "wrote written",
    "cost": "cost cost",
    "dream": "dreamt dreamt",
    "build": "built built",
    "wed": "wed wed",
    "bear": "bore born",
}
_DOUBLES = frozenset(["plan", "run", "swim", "stop", "get", "quit", "chat", "jog", "prefer", "program", "wed"])


@cache
def forms(verb: str) -> dict[str, frozenset[str]]:
    """The forms of a verb: `base`, `third`, `past`, `participle`, `ing`, by the word.

    >>> sorted(forms("live")), sorted(forms("study")["studied"])
    (['live', 'lived', 'lives', 'living'], ['participle', 'past'])
    """
    stem = verb + verb[-1] if verb in _DOUBLES else verb
    soft = verb.endswith("y") and verb[-2] not in "aeiou"
    third = verb[:-1] + "ies" if soft else verb + ("es" if verb.endswith(("s", "sh", "ch", "x", "z", "o")) else "s")
    ed = verb[:-1] + "ied" if soft else (verb + "d" if verb.endswith("e") else stem + "ed")
    past, participle = _IRREGULAR.get(verb, f"{ed} {ed}").split()
    ing = verb[:-1] + "ing" if verb.endswith("e") and verb[-2:] not in ("ee", "be") else stem + "ing"
    made: dict[str, set[str]] = {}
    for word, name in ((verb, "base"), (third, "third"), (past, "past"), (participle, "participle"), (ing, "ing")):
        made.setdefault(word, set()).add(name)
    if verb == "travel":  # in British English
        made |= {"travelled": {"past", "participle"}, "travelling": {"ing"}}
    if verb == "have":
        made["has"] = made.pop("haves")
    return {word: frozenset(names) for word, names in made.items()}
