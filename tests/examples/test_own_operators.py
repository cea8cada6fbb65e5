"""The examples of own operators: what is shown, what is stored, and that they keep the promises."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import re
import subprocess
import sys
from itertools import count
from pathlib import Path

import pytest
import regex
from helpers.lanes import slow_but
from hypothesis import example, given
from hypothesis import strategies as st

from cortex_rx import SqliteBackend, Turn, from_stream, run
from cortex_rx import operators as cx
from cortex_rx.engine import stream
from cortex_rx.engine.frames import from_async_iterable
from cortex_rx.errors import ChainOrderError
from cortex_rx.events import Custom, Delta, Ended, Opened, Problem, from_json, to_json
from cortex_rx.testing import EPOCH, Trace, assert_no_leaks, check_operator, run_virtual

FOLDER = Path(__file__).parents[2] / "examples" / "operators"
TURN = Turn("space", "c-1", "What is it?", user_id="ada", user_name="Ada")


def load(name):
    spec = importlib.util.spec_from_file_location(f"own_{name}", FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where dataclasses look for it
    spec.loader.exec_module(module)
    return module


redaction, moderator, translation, custom_event = map(load, ("redaction", "moderator", "translation", "custom_event"))


def model(*script):
    """Texts, pauses in seconds, and an error."""

    async def items():
        for item in script:
            if isinstance(item, int | float):
                await asyncio.sleep(item)
            elif isinstance(item, Exception):
                raise item
            else:
                yield item

    return items


class Stored:
    """The outcome of a stream through an own step and a chain that stores: events, error, and the file."""

    def __init__(self, path, step, *script, after=None):
        self.path, self.step, self.script, self.after = path, step, script, after
        self.trace = Trace()
        self.error = None
        run_virtual(self._run())

    async def _run(self):
        ids = count(1)
        store = SqliteBackend(self.path, clock=lambda: EPOCH, new_id=lambda: f"{next(ids):03}")
        async with assert_no_leaks(), store as backend:
            storing = cx.chain(cx.begin(backend), cx.persist_partial(backend), cx.finalize(backend))
            chain = storing.after(self.after, self.step) if self.after else storing.before("begin", self.step)
            source = from_stream(model(*self.script), turn=TURN, make_id=lambda: "stream-1")
            try:
                await run(source.pipe(self.trace.tap("model"), chain, self.trace.tap("out")))
            except Exception as error:
                self.error = error
            ask = {"memorySpaceId": "space"}
            self.memories = {row["messageRole"]: row["content"] for row in await backend.query("memories:list", ask)}
            rows = await backend.query("memories:list", {**ask, "includePartial": True})
            self.partial = next((row["content"] for row in rows if row["isPartial"]), None)
            found = await backend.query("conversations:get", {**ask, "conversationId": "c-1"})
            self.messages = [message["content"] for message in found["messages"]] if found else []

    def of(self, kind):
        return [event for event in self.trace.values("out") if isinstance(event, kind)]

    def delays(self):
        """How long each delta was on its way, for steps that pass deltas on as they are."""
        came, went = (
            {id(mark.value): mark.at for mark in self.trace.lanes[lane] if isinstance(mark.value, Delta)}
            for lane in ("model", "out")
        )
        return [round(at - came[one], 6) for one, at in went.items()]

    @property
    def text(self):
        return "".join(delta.text for delta in self.of(Delta))

    def raw(self):
        return b"".join(file.read_bytes() for file in self.path.parent.glob(f"{self.path.name}*"))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "memory.db"


def split(text, cuts):
    at = sorted({0, len(text), *(cut % (len(text) + 1) for cut in cuts)})
    return [text[one:other] for one, other in zip(at, at[1:])]


CUTS = st.lists(st.integers(0, 400), max_size=60)


def out_of(operator, pieces, attempt=0):
    """The events that an operator makes of a text in these pieces."""

    async def source(_):
        yield Opened(TURN, "stream-1", EPOCH)
        offset = 0
        for index, text in enumerate(pieces):
            yield Delta(text, index, offset, attempt, 0.0)
            offset += len(text)
        yield Ended("stop", offset, len(pieces))

    async def main():
        async with stream(from_async_iterable(source).pipe(operator)) as events:
            return [event async for event in events]

    return run_virtual(main())


def text_of(events):
    """The text, if its offsets are right."""
    at = 0
    for index, delta in enumerate(event for event in events if isinstance(event, Delta)):
        assert (delta.offset, delta.index) == (at, index)
        at += len(delta.text)
    (ended,) = (event for event in events if isinstance(event, Ended))
    assert ended.offset == at
    return "".join(event.text for event in events if isinstance(event, Delta))


PROGRAMS = ["redaction", "translation", "custom_event", "moderator"]
RUN = """
import runpy, sys
for path in sys.argv[1:]:
    runpy.run_path(path, run_name="__main__")
    print("--- end ---", flush=True)
"""


def test_each_runs_as_a_program(snapshot):
    """One after the other in a process that imports the library once."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", RUN, *(str(FOLDER / f"{name}.py") for name in PROGRAMS)],
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        env=os.environ | {"PYTHONIOENCODING": "utf-8"},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    *said, moderated, end = done.stdout.split("--- end ---\n")
    assert end == ""
    for name, out in zip(PROGRAMS[:-1], said, strict=True):
        assert out == snapshot(name=name)
    judged, at_once = moderated.split("at once: ")  # how far the second comes depends on the machine
    assert "poison" not in judged
    for part in (judged, at_once):
        shown, kept = part.removeprefix("judged: ").partition("\n")[0], part.partition("kept as a partial: ")[2]
        assert repr(shown) == kept.strip() and shown.startswith("First warm the water.")
        assert "the answer was ended by the moderator" in part and "memories: []" in part


# --- redaction --------------------------------------------------------------------------------------------------------

SECRETS = (
    "Mail ada.b+c@mail.example.org; +49 30 90182-055, 030-1234567 or sk-abcdefghijklmnop; "
    "not 12 345, a@b or sk-short. +1 2"
)
PATTERNS = [
    (redaction.PERSONAL, redaction.LONGEST),
    (r"a.{5}b|x", 7),  # a search would find the x within what may become the longer one
    (r"ab(?:c{1,5}d)?", 8),
    (r"ab|abcd|b", 4),
    (r"abc(?=x)|a", 3),
    (r"a(?:bcd)?", 4),
    (r"(?<=k)\d{2,4}", 4),
    (r"(?<!\d)\d{3}(?!\d)", 3),
    (r"\bab\b", 2),
    (r"^a{2,3}|b$", 3),
]


def test_redaction_is_stored_and_the_secret_is_nowhere_in_the_file(path, snapshot):
    pieces = [piece for letters in split(SECRETS, range(0, 400, 7)) for piece in (letters, 0.05)]
    stored = Stored(path, redaction.redact(), *pieces)
    want = re.sub(redaction.PERSONAL, "[redacted]", SECRETS)
    assert want.count("[redacted]") == 4 and "12 345" in want
    assert stored.error is None
    assert stored.text == stored.memories["agent"] == stored.messages[1] == want
    raw = stored.raw()
    assert b"[redacted]" in raw and b"sk-short" in raw
    for secret in (b"ada.b", b"example.org", b"90182", b"-055", b"1234567", b"abcdefgh"):
        assert secret not in raw, secret
    assert stored.trace.text(legend=True) == snapshot


@given(st.sampled_from(PATTERNS), st.text("abcdxk012 @.-\n", max_size=60) | st.just(SECRETS), CUTS)
@example(PATTERNS[1], "a12x45b", [1, 2, 3, 4, 5, 6])
@example(PATTERNS[2], "abccccd abcc", list(range(12)))
def test_redaction_does_not_depend_on_the_split(pattern, text, cuts):
    compiled = regex.compile(pattern[0])
    redactor = redaction.Redactor(compiled, pattern[1], "#")
    out, pieces = [], split(text, cuts)
    for piece in pieces:
        out.append(redactor.feed(piece))
        assert len(redactor.text) - redactor.at <= pattern[1] + 1, "what is held back is bounded"
        assert len(redactor.text) <= 2 * pattern[1] + 1
    out.append(redactor.finish())
    assert "".join(out) == re.sub(pattern[0], "#", text)


@given(CUTS)
def test_redacted_deltas_follow_one_another(cuts):
    events = out_of(redaction.redact(), split(SECRETS, cuts))
    assert text_of(events) == re.sub(redaction.PERSONAL, "[redacted]", SECRETS)


def test_redaction_holds_back_only_what_may_be_a_match():
    deltas = [
        event.text
        for event in out_of(redaction.redact(), ["Call ", "me: ", "+49 ", "30 ", "1234567", ", then."])
        if isinstance(event, Delta)
    ]
    assert deltas == ["Call ", "me: ", "[redacted], ", "then."]


@pytest.mark.parametrize(
    ("tail", "kept"), [("call 030-1234567", "call [redacted]"), ("call 030-12", "call 030-12"), ("ada@ex", "ada@ex")]
)
def test_what_redaction_holds_back_comes_before_the_error(path, tail, kept):
    error = ConnectionError("the provider hung up")
    stored = Stored(path, redaction.redact(), "Well, ", 0.1, tail, 0.1, error)
    assert stored.error is error
    assert stored.text == stored.partial == f"Well, {kept}"
    assert stored.memories == {} and b"1234567" not in stored.raw()


def test_a_match_that_is_longer_than_it_may_be_ends_the_stream_unseen(path):
    stored = Stored(path, redaction.redact(r"sk-\w+", 20), "The key: ", "sk-0123", "456789" * 3, " ok")
    assert type(stored.error) is ValueError
    assert stored.text == stored.partial == "The key: "
    assert b"0123" not in stored.raw()


def test_a_pattern_that_matches_the_empty_text_is_refused():
    with pytest.raises(ValueError, match="matches the empty text"):
        redaction.redact(r"\d*", 5)


# --- the moderator ----------------------------------------------------------------------------------------------------

WORDS = ("First ", "warm ", "the ", "water. ", "Add ", "poi", "son ", "to ", "it. ", "Serve ", "hot.")
SCRIPT = [item for word in WORDS for item in (0.1, word)]
SHOWS = pytest.mark.parametrize("show", ["judged", "at once"])


def judge_of(seconds=0.15):
    async def judge(text):
        await asyncio.sleep(seconds)
        return "poison" not in text

    return judge


@SHOWS
def test_a_moderated_answer_is_never_stored_as_complete(path, show, snapshot):
    stored = Stored(path, moderator.moderate(judge_of(), show), *SCRIPT)
    assert type(stored.error) is moderator.Moderated
    assert stored.of(Ended) == [] and stored.memories == {} and stored.messages == []
    assert stored.text == stored.partial, "what was shown is kept, as a partial, and no more"
    assert ("poison" in stored.text) == (show == "at once")
    assert "".join(WORDS).startswith(stored.text) and len(stored.text) < len("".join(WORDS))
    assert stored.text[: stored.error.offset] == "First warm the water. Add poi", "of itself it was allowed"
    assert str(stored.trace) == snapshot


@SHOWS
@pytest.mark.parametrize("last", ["verdict", "failure", "silence"])
def test_not_even_when_the_verdict_comes_after_the_end_of_the_text(path, show, last):
    """The text has come to its end when the judge says so of its last word, fails over it, or keeps silent."""

    async def judge(text):
        await asyncio.sleep(0.05)
        if "bye" in text:
            if last == "failure":
                raise ZeroDivisionError
            if last == "silence":
                await asyncio.sleep(3600)
            return False
        return True

    stored = Stored(path, moderator.moderate(judge, show), "Hello, ", 0.1, "and ", 0.1, "bye.")
    assert type(stored.error) is {
        "verdict": moderator.Moderated, "failure": ZeroDivisionError, "silence": TimeoutError
    }[last]  # fmt: skip
    assert stored.of(Ended) == [] and stored.memories == {} and stored.messages == []
    assert stored.partial == stored.text == ("Hello, and " if show == "judged" else "Hello, and bye.")


@SHOWS
def test_nothing_that_ends_or_changes_the_text_stands_behind_the_moderator(show):
    """A limit would end the answer, and so have it stored, before the verdict."""
    moderate = moderator.moderate(judge_of(), show)
    source = from_stream(["Hello"], turn=TURN)
    for behind in (cx.limit(100, then="end"), redaction.redact()):
        with pytest.raises(ChainOrderError, match="rewrites the text, so it belongs before moderate"):
            cx.chain(moderate, behind)(source)
        cx.chain(behind, moderate)(source)


@SHOWS
def test_an_answer_that_is_allowed_is_stored(path, show):
    stored = Stored(path, moderator.moderate(lambda text: True, show), *SCRIPT)  # a judge need not be async
    assert stored.error is None
    assert stored.text == stored.memories["agent"] == stored.messages[1] == "".join(WORDS)
    assert stored.of(Ended) == [Ended("stop", len(stored.text), len(WORDS))]


def test_what_the_judge_costs_in_latency(path):
    """Judged before it is shown, a token waits for its verdict, and maybe for the one before; at once, none waits."""
    allowing = [
        Stored(
            path.with_name(f"{at}.db"),
            moderator.moderate(judge_of(0.15), show),
            *[i for word in WORDS[:5] for i in (0.1, word)],
        )
        for at, show in enumerate(("judged", "at once"))
    ]
    assert allowing[0].delays() == [0.15, 0.2, 0.25, 0.3, 0.2]
    assert allowing[1].delays() == [0] * 5


def test_the_judge_sees_what_was_split_and_a_bounded_context():
    seen = []

    def judge(text):
        seen.append(text)
        return True

    out_of(moderator.moderate(judge), ["x" * 1000, "poi", "son"])
    assert seen[-1].endswith("poison")
    assert max(map(len, seen)) <= 1000 + 500


def test_the_source_fails_and_what_came_is_judged_first(path):
    error = ConnectionError("the provider hung up")
    stored = Stored(path, moderator.moderate(judge_of(), "judged"), "Hello, ", error)
    assert stored.error is error and stored.text == stored.partial == "Hello, "


# --- translation ------------------------------------------------------------------------------------------------------

ENGLISH = "Dr. No paid $3.14. Then he left!  Why? Nobody knows."
GERMAN = "Dr. No zahlte 3,14 $. Dann ging er!  Warum? Niemand weiß es."
SENTENCES = dict(
    zip(
        ("Dr. No paid $3.14.", "Then he left!", "Why?", "Nobody knows."),
        ("Dr. No zahlte 3,14 $.", "Dann ging er!", "Warum?", "Niemand weiß es."),
        strict=True,
    )
)


async def translator(sentence):
    await asyncio.sleep(0.2)
    return SENTENCES[sentence]


def test_the_translation_is_stored_and_the_original_goes_along(path, snapshot):
    stored = Stored(
        path, translation.translate(translator), *[i for p in split(ENGLISH, range(0, 60, 6)) for i in (0.05, p)]
    )
    assert stored.error is None
    assert stored.text == stored.memories["agent"] == stored.messages[1] == GERMAN
    originals = [event.data for event in stored.of(Custom)]
    assert [ENGLISH[one["start"] :][: len(one["text"])] for one in originals] == [one["text"] for one in originals]
    assert "".join(one["text"] for one in originals) == ENGLISH
    assert b"Nobody" not in stored.raw()
    assert str(stored.trace) == snapshot


@given(CUTS)
def test_translation_does_not_depend_on_the_split(cuts):
    events = out_of(translation.translate(translator), split(f"  {ENGLISH}\n", cuts))
    assert text_of(events) == f"  {GERMAN}\n"
    assert [event.data["text"].strip() for event in events if isinstance(event, Custom)] == list(SENTENCES)


def test_sentences_that_are_there_are_translated_at_the_same_time(path):
    calls, most = 0, 0

    async def counting(sentence):
        nonlocal calls, most
        calls += 1
        most = max(most, calls)
        await asyncio.sleep(1 if sentence == "Why?" else 0.1)  # the last to come back, and not the last to be shown
        calls -= 1
        return SENTENCES[sentence]

    stored = Stored(path, translation.translate(counting), ENGLISH)
    assert most == 3 and stored.memories["agent"] == GERMAN
    assert stored.trace.times("out")[-1] == pytest.approx(1.1)


def test_a_sentence_that_cannot_be_translated_is_shown_as_it_is(path):
    async def failing(sentence):
        if sentence == "Why?":
            raise ConnectionError("the translator is away")
        return SENTENCES[sentence]

    stored = Stored(path, translation.translate(failing), ENGLISH)
    assert stored.error is None
    assert stored.memories["agent"] == GERMAN.replace("Warum?", "Why?")
    (problem,) = stored.of(Problem)
    assert problem == Problem("streaming", "ConnectionError", "ConnectionError was raised", recoverable=True)


def test_the_open_sentence_is_translated_before_the_error(path):
    error = ConnectionError("the provider hung up")
    stored = Stored(path, translation.translate(translator), "Then he left! Why?", error)
    assert stored.error is error
    assert stored.partial == stored.text == "Dann ging er! Warum?"


# --- a custom event ---------------------------------------------------------------------------------------------------

CITING = "Long [1], wide [2][1] and [12], not [1 ] or [1234]."


@given(CUTS)
def test_every_citation_is_said_once_right_after_it_was_shown(cuts):
    events = out_of(custom_event.cite(["a", "b"]), split(CITING, cuts))
    shown, cited = "", []
    for event in events:
        if isinstance(event, Delta):
            shown += event.text
        elif isinstance(event, Custom):
            cited.append(event.data)
            assert CITING.startswith(f"[{event.data['number']}]", event.data["offset"])
            assert len(shown) >= event.data["offset"] + len(f"[{event.data['number']}]")
            assert list(custom_event.CITATION.finditer(shown))[len(cited) - 1].start() == event.data["offset"]
    assert [(one["number"], one["source"]) for one in cited] == [(1, "a"), (2, "b"), (1, "a"), (12, None)]
    assert text_of(events) == CITING


def test_the_events_are_folded_and_the_text_is_stored_as_it_was(path, snapshot):
    stored = Stored(
        path, custom_event.cite(["a", "b"]), "Long [", 0.1, "1", 0.1, "], wide [2]", 0.1, "[1].", after="begin"
    )
    assert stored.memories["agent"] == stored.text == "Long [1], wide [2][1]."
    footnotes = custom_event.Footnotes()
    for event in stored.trace.values("out"):
        footnotes.add(event)
    assert footnotes.cited == {"a": [5, 18], "b": [15]}
    assert [from_json(to_json(event)) for event in stored.of(Custom)] == stored.of(Custom)
    assert str(stored.trace) == snapshot


def test_a_text_that_begins_anew_is_read_anew():
    one = custom_event.cite(["a"])

    async def source(_):
        yield Opened(TURN, "stream-1", EPOCH)
        yield Delta("x [", 0, 0, 0, 0.0)
        yield Delta("1] [1]", 0, 0, 1, 0.0)

    async def main():
        async with stream(from_async_iterable(source).pipe(one)) as events:
            return [event.data["offset"] async for event in events if isinstance(event, Custom)]

    assert run_virtual(main()) == [3]


# --- all of them ------------------------------------------------------------------------------------------------------


def identity(text):
    return text


async def slow_upper(text):
    await asyncio.sleep(0.1)
    return text.upper()


async def slow_yes(text):
    await asyncio.sleep(0.1)
    return True


PROMISES = {
    "redact": (redaction.redact, {"rewrites": lambda text: re.sub(redaction.PERSONAL, "[redacted]", text)}),
    "moderate, judged": (lambda: moderator.moderate(slow_yes), {"rewrites": identity, "stage": True}),
    "moderate, at once": (lambda: moderator.moderate(slow_yes, "at once"), {"rewrites": identity}),
    "translate": (lambda: translation.translate(slow_upper), {"rewrites": str.upper, "stage": True}),
    "cite": (lambda: custom_event.cite(["a"]), {}),
}
QUICK = ["moderate, judged", "moderate, at once", "cite"]


@pytest.mark.parametrize(
    "name", slow_but(QUICK, PROMISES, "examples of the documentation, of whose kind another is in every run")
)
def test_each_keeps_the_promises_of_every_operator(name):
    make, how = PROMISES[name]
    report = check_operator(make, points=20, **how)
    assert len(report.checked) == (9 if name == "cite" else 10) - ("stage" in how)


@pytest.mark.parametrize("name", [name for name in PROMISES if name != "cite"])
def test_what_rewrites_is_refused_behind_what_stores(name, path):
    step, backend = PROMISES[name][0](), SqliteBackend(path)
    source = from_stream(model("a"), turn=TURN)
    chain = cx.chain(cx.begin(backend), cx.persist_partial(backend), step, cx.finalize(backend))
    with pytest.raises(ChainOrderError, match=f"{step.name} rewrites the text, so it belongs before persist_partial"):
        chain(source)
    with pytest.raises(ChainOrderError, match=f"{step.name} rewrites the text, so it belongs before cite"):
        cx.chain(custom_event.cite([]), step)(source)
    assert not path.exists(), "refused before anything is stored"
