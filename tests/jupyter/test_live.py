"""`live`: what it shows while an answer streams, how often, and what remains after an interruption or a failure."""

import asyncio
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from datetime import timedelta

import pytest

from cortex_rx import Answer, AnswerStopped, Cortex, Turn, default_chain, from_stream
from cortex_rx import operators as cx
from cortex_rx.errors import InvalidArgument, MissingExtra, ResumableStreamError, StreamTimeout
from cortex_rx.events import Delta, Ended, Opened, PartialStored, Problem, Replayed, Waiting
from cortex_rx.jupyter import Live, live
from cortex_rx.testing import assert_no_leaks, run_virtual

TENTH = timedelta(milliseconds=100)


class Display:
    """Stands for the notebook: it keeps what it was asked to show, and when."""

    def __init__(self):
        self.frames, self.times, self.states = [], [], []

    def __call__(self, view):
        self.frames.append(repr(view))
        self.times.append(asyncio.get_running_loop().time())
        self.states.append(view.state)
        ElementTree.fromstring(view._repr_html_())


def play(lab, stream, act=None, **more):
    """Show an answer in virtual time; `act(task, answer)` does something meanwhile."""
    display = Display()

    async def main():
        async with assert_no_leaks(), lab.backend() as backend:
            answer = lab.ask(backend, stream, **more)
            task = asyncio.create_task(live(answer, show=display))
            if act:
                await act(task, answer)
            (display.outcome,) = await asyncio.gather(task, return_exceptions=True)
            display.answer = repr(answer)

    run_virtual(main())
    assert lab.opened == lab.closed
    display.stored = run_virtual(lab.stored())
    return display


def test_what_is_shown(lab, snapshot):
    display = play(lab, lab.model("It ", "is ", "in ", "Lisbon.", pause=0.3))
    assert display.outcome is None
    assert (
        "\n\n".join(f"{at:.1f} s\n{frame}" for at, frame in zip(display.times, display.frames, strict=True)) == snapshot
    )
    assert display.states == ["waiting", *["streaming"] * 5, "storing", "remembered"]
    assert display.stored == [("It is in Lisbon.", False), ("What?", False)]
    assert display.answer == "Answer(remembered, 16 characters)"


@pytest.mark.parametrize("tokens", [1_000, 20_000])
def test_however_many_tokens_come_it_is_shown_ten_times_a_second_at_most(lab, tokens):
    display = play(lab, lab.model(*["ab "] * tokens, pause=2 / tokens))
    assert display.outcome is None and len(display.frames) <= 2 / 0.1 + 3
    # The first text is shown at once, and so is the last state.
    gaps = [later - before for before, later in zip(display.times[1:-1], display.times[2:-1])]
    assert min(gaps) >= 0.1 - 1e-9
    assert max(map(len, display.frames)) < 2_500
    assert (
        f"remembered: {3 * tokens:,} characters in {tokens:,} deltas, stored up to {3 * tokens:,}" in display.frames[-1]
    )


def test_the_latest_is_shown_although_nothing_more_comes(lab):
    async def burst_and_silence():
        lab.opened += 1
        for piece in ("one ", "two ", "three"):
            await asyncio.sleep(0.01)
            yield piece
        await asyncio.sleep(50)
        lab.closed += 1

    display = play(lab, burst_and_silence)
    silent = [frame for at, frame in zip(display.times, display.frames) if at < 49]
    assert "one two three" in silent[-1] and "stored up to 13" in silent[-1]
    assert len(silent) <= 8


def test_an_interrupted_cell_says_what_is_kept_and_where(lab, snapshot):
    async def interrupt(task, answer):
        await asyncio.sleep(1.25)  # 12 tokens have come; the last write was at 1.1 s
        task.cancel()

    display = play(lab, lab.model(*["word "] * 99), interrupt)
    assert isinstance(display.outcome, asyncio.CancelledError)
    ((content, partial),) = display.stored
    assert (content, partial) == ("word " * 12, True)
    assert display.frames[-1] == snapshot and "kept: 60 characters" in display.frames[-1]
    assert display.answer == "Answer(ended without being remembered, 60 characters)"


def test_what_the_display_says_finds_it(lab):
    async def main():
        async with lab.backend() as backend:
            answer, display = lab.ask(backend, lab.model("Hello", hang=True)), Display()
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(live(answer, show=display), 2)
            found = display.frames[-1].partition("find it: await ")[2]
            memory = await eval(found, {"cortex": Cortex(backend)})
            assert (memory.content, memory.is_partial) == ("Hello", True) and memory == await answer.kept()

    run_virtual(main())


def test_interrupted_again_while_it_is_written_it_is_kept_and_said_all_the_same(lab):
    async def interrupt(task, answer):
        backend, slow = answer._backend, answer._backend.mutation

        async def mutation(path, arguments):
            await asyncio.sleep(0.5)
            return await slow(path, arguments)

        await asyncio.sleep(1.25)
        backend.mutation = mutation
        for _ in range(3):
            task.cancel()
            await asyncio.sleep(0.05)
        assert task.done()  # the cell is free at once
        await asyncio.sleep(5)

    display = play(lab, lab.model(*["word "] * 99), interrupt)
    assert isinstance(display.outcome, asyncio.CancelledError)
    ((content, partial),) = display.stored
    assert partial and content == "word " * 12
    assert display.states[-1] == "interrupted" and "kept: 60 characters" in display.frames[-1]


@pytest.mark.filterwarnings("ignore:an Answer was never used")
def test_interrupted_before_anything_came(lab):
    async def interrupt(task, answer):
        await asyncio.sleep(1)
        task.cancel()

    display = play(lab, lab.model("late", pause=10), interrupt)
    assert "interrupted: 0 characters in 0 deltas" in display.frames[-1] and "kept: 0 characters" in display.frames[-1]

    async def at_once(task, answer):
        task.cancel()

    display = play(lab, lab.model("x"), at_once)
    assert isinstance(display.outcome, asyncio.CancelledError) and display.frames == []


def test_interrupted_after_the_text_it_is_remembered(lab):
    async def interrupt(task, answer):
        mutation = answer._backend.mutation

        async def slow(path, arguments):
            if path == "streams:finalize":
                await asyncio.sleep(2)
            return await mutation(path, arguments)

        answer._backend.mutation = slow
        await asyncio.sleep(1)
        task.cancel()

    display = play(lab, lab.model("Hello"), interrupt)
    assert (
        display.states[-2:] == ["storing", "interrupted"]
        and "kept: 5 characters, the whole answer" in display.frames[-1]
    )
    assert display.stored == [("Hello", False), ("What?", False)]


def test_without_partial_storage_it_says_that_nothing_is_kept(lab):
    async def interrupt(task, answer):
        await asyncio.sleep(1.25)
        task.cancel()

    display = play(lab, lab.model(*["word "] * 99), interrupt, options={"store_partial_response": False})
    assert "stored up to 0" in display.frames[-1] and "kept: 0 characters" in display.frames[-1]


def test_a_stream_that_fails_is_shown_and_raised(lab):
    chain = {"options": {"streamTimeout": 1_000}}
    display = play(lab, lab.model("Hello", hang=True), **chain)
    assert isinstance(display.outcome, ResumableStreamError)
    assert isinstance(display.outcome.original_error, StreamTimeout)
    assert display.states[-1] == "failed" and "kept: 5 characters, a partial memory" in display.frames[-1]
    assert display.stored == [("Hello", True)]


def test_one_that_somebody_else_stops(lab):
    async def stop(task, answer):
        await asyncio.sleep(1)
        await answer.stop()

    display = play(lab, lab.model("Hello", hang=True), stop)
    assert isinstance(display.outcome, AnswerStopped) and display.states[-1] == "stopped"


def test_a_store_that_cannot_say_what_it_holds(lab):
    async def interrupt(task, answer):
        await asyncio.sleep(1)

        async def query(path, arguments):
            raise OSError("of a path that nobody should see")

        answer._backend.query = query
        task.cancel()

    display = play(lab, lab.model("Hello", hang=True), interrupt)
    assert "the store could not be read: OSError" in display.frames[-1]
    assert "nobody" not in display.frames[-1] and display.stored == [("Hello", True)]


def test_an_answer_that_does_not_know_its_store(lab):
    async def main():
        async with lab.backend() as backend:
            turn = Turn("s", "c-1", "What?", agent_id="helper")
            answer = Answer(default_chain(backend)(from_stream(lab.model("Hello", hang=True), turn=turn)))
            display = Display()
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(live(answer, show=display), 1)
            return display

    last = run_virtual(main()).frames[-1]
    assert "stored up to 5" in last and "this answer has no backend" in last


def test_an_answer_that_streams_already_or_is_over(lab):
    async def main():
        async with lab.backend() as backend:
            answer, late, after = lab.ask(backend, lab.model("It ", "is ", "there")), Display(), Display()
            answer.detach()
            await asyncio.sleep(0.25)
            assert repr(answer) == "Answer(streaming, 6 characters)"
            await live(answer, show=late)
            await live(answer, show=after)
            return late, after

    late, after = run_virtual(main())
    assert "It is " in late.frames[1] and "in 2 deltas" in late.frames[1] and "first text" not in late.frames[1]
    assert after.frames[-1] == late.frames[-1] and "first text after 100 ms" in after.frames[-1]


def test_what_is_waited_for_is_shown_until_the_stream_is_opened():
    view = Live()
    assert view.add(Waiting("the former writer may be alive", 1_700_000_000.0))
    assert repr(view).splitlines()[0].startswith("waiting: ")
    assert repr(view).splitlines()[-1] == "waiting until 22:13:20 UTC: the former writer may be alive"
    assert "22:13:20" in view._repr_html_()
    opened = Opened(Turn("s", "c-1", "Hi!", agent_id="helper"), "stream-1", 1_700_000_000.0)
    assert view.add(opened) and "22:13:20" not in repr(view)
    assert not view.add(opened)


def test_what_a_model_says_is_no_markup():
    view = Live()
    for event in (
        Delta("<script>alert('x')</script> & </pre> \"q\"", 0, 0, 0, 0.2),
        Problem("storage", "<b>CODE</b>", "m", recoverable=True),
        Problem("storage", "<b>CODE</b>", "m", recoverable=True),
    ):
        view.add(event)
    html = view._repr_html_()
    assert "<script" not in html and "<b>CODE" not in html and html.count("CODE") == 1
    root = ElementTree.fromstring(html)
    assert root.findtext(".//pre") == "<script>alert('x')</script> & </pre> \"q\""
    view.ended("failed", ("<i>",), 0)
    assert "<i>" not in view._repr_html_()


def test_a_long_answer_is_shown_by_its_end():
    view = Live()
    for index in range(100):
        view.add(Delta("x" * 9_999 + "y", index, index * 10_000, 0, index / 10))
    view.add(PartialStored(500_000, 50, 0, 5.0))
    assert "1,000,000 characters in 100 deltas, stored up to 500,000" in repr(view)
    assert "[998,000 characters before]\n…x" in repr(view) and repr(view).endswith("y")
    assert len(repr(view)) < 2_500 and len(view._repr_html_()) < 3_000
    bar = ElementTree.fromstring(view._repr_html_()).find("progress")
    assert (bar.get("max"), bar.get("value")) == ("1000000", "500000")


def test_a_text_that_begins_anew():
    view = Live()
    view.add(Delta("wrong", 0, 0, 0, 0.2))
    view.add(PartialStored(5, 1, 0, 0.3))
    view.add(Delta("right", 0, 0, 1, 0.5))
    view.add(PartialStored(5, 1, 0, 0.6))  # of the text before
    assert (view.tail, view.characters, view.stored) == ("right", 5, 0)
    view.add(Replayed("all of it", 9, 3, 2))
    assert (view.tail, view.characters, view.deltas, view.state) == ("all of it", 9, 3, "streaming")
    view.add(Ended("stop", 9, 3))
    assert view.state == "storing"


def test_metrics_that_come_meanwhile(lab):
    async def main():
        display = Display()
        async with lab.backend() as backend:
            chain = default_chain(backend).replace("measure", cx.measure(every=TENTH))
            await live(lab.ask(backend, lab.model(*"abcdefgh"), chain=chain), show=display)
        return display

    display = run_virtual(main())
    assert any("95 % of the gaps up to" in frame for frame in display.frames[:-1])


@pytest.mark.parametrize("every", [timedelta(), timedelta(seconds=-1), 0.1])
async def test_no_pause_is_refused_before_anything_runs(lab, every):
    async with lab.backend() as backend:
        answer = lab.ask(backend, lab.model("a"))
        with pytest.raises(InvalidArgument, match="every"):
            await live(answer, every=every, show=print)
        assert repr(answer) == "Answer(not started)" and lab.opened == 0
        await answer.stop()


async def test_what_is_no_answer_is_refused_and_not_shown(lab):
    async with lab.backend() as backend:
        for wrong in (lab.model("a"), await lab.ask(backend, lab.model("a")), None):
            with pytest.raises(InvalidArgument, match="answer: got .* accepted: an Answer"):
                await live(wrong, show=pytest.fail)


async def test_without_a_notebook_only_the_end_is_shown(lab, capsys):
    async with lab.backend() as backend:
        await live(lab.ask(backend, lab.model(*"abc", pause=0.001)), every=timedelta(milliseconds=1))
    out = capsys.readouterr().out
    assert out.startswith("remembered: 3 characters in 3 deltas, stored up to 3") and "\nabc\n" in out
    assert out.count("characters in") == 1


@pytest.mark.filterwarnings("ignore:an Answer was never used")
async def test_without_the_extra_it_names_it(lab, monkeypatch):
    monkeypatch.setitem(sys.modules, "IPython", None)
    async with lab.backend() as backend:
        with pytest.raises(MissingExtra, match=r"pip install 'cortex-rx\[jupyter\]'"):
            await live(lab.ask(backend, lab.model("a")))
    assert lab.opened == 0


def test_it_is_imported_without_ipython():
    code = "import sys, cortex_rx.jupyter; sys.exit('IPython' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


async def test_what_is_kept_of_an_answer(lab):
    async with lab.backend() as backend:
        answer = lab.ask(backend, lab.model("Hello", pause=0.001))
        assert await answer.kept() is None
        await answer
        kept = await answer.kept()
        assert (kept.content, kept.is_partial) == ("Hello", False)
        await backend.mutation("memories:deleteMemory", {"memorySpaceId": "s", "memoryId": kept.memory_id})
        assert await answer.kept() is None
