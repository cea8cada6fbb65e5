"""A text with every hard case in it, and the strategies that cut it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest
from helpers.lanes import slow_but

from cortex_rx.chunking import Span, cutter

HARD = (
    "Dr. Smith paid $3.14 (ca. 1,000 yen. Or so). He left!  \"Yes. No.\" she said. 'Go.' “Quoted. Text.” Then "
    'https://a.b/c_(d)?e=1.2. [A link. Here](https://x.y/z_(q) "A title. x") and ![an image](a.png) or <https://x.y>; '
    'next `x. Y` is. ``a ` b. `` **The bold end.** A note.[^1] It is <b class="x. Y">bold</b>, e.g. This one.\r\n\r\n'
    "# A title. Here\nText goes on. 1. No item\n- item one\n* item two. The second\n10. ten\n"
    '  ```py\nx = 1. \n\ny = "```"\n  ```\nAfter it. A 5" and a 6" pipe. (open. And [never closed. Or 「so。\n \n'
    "你好。再见！他说：「你好。再见。」然后走了。3.14是圆周率。真的？！是的、見て：https://例え.jp/日本。終わり。ＡＢＣ！"
    "👩‍👩‍👧 🇩🇪🇫🇷🇮🇹 👍🏽 ❤️‍🔥 e\u0301x\u0301 क्षि \u0301y 각ᄀ\u1161 \u06001 Ünïcödé. वाक्य। दूसरा؟ نعم. "
    "สวัสดีครับ ไม่เป็นไร U.S. Army. J. R. Tolkien at 5 p.m. yesterday... Wait... What?! ok\r\n  \n\n"
    + "longword" * 50
    + " \n"
    + "`` ` ((( [[[ <<< ``` \n   ~~~\nunclosed fence. In it\n\n```\n日本語 `tick. "
)


def count(text: str) -> int:
    """Tokens of a tokenizer that does not exist."""
    return len(text.encode()) // 4 + 1


STRATEGIES: dict[str, dict[str, Any]] = {
    "token": {"strategy": "token", "size": 10, "overlap": 3},
    "token, counted": {"strategy": "token", "size": 9, "overlap": 4, "count": count},
    "sentence": {"strategy": "sentence", "size": 2, "overlap": 1},
    "sentence, one by one": {"strategy": "sentence", "size": 1},
    "paragraph": {"strategy": "paragraph", "size": 2, "overlap": 1},
    "fixed": {"strategy": "fixed", "size": 20, "overlap": 3},
    "fixed, tiny": {"strategy": "fixed", "size": 2, "overlap": 1},
    "token, short": {"strategy": "token", "size": 100, "overlap": 3, "max_length": 40},
    "token, counted, short": {"strategy": "token", "size": 50, "overlap": 4, "count": count, "max_length": 40},
    "sentence, short": {"strategy": "sentence", "size": 5, "overlap": 1, "max_length": 50},
    "paragraph, short": {"strategy": "paragraph", "size": 2, "overlap": 1, "max_length": 60},
    "fixed, short": {"strategy": "fixed", "size": 50, "overlap": 3, "max_length": 32},
}


def _cut(parts: Iterable[str], **how: Any) -> list[Span]:
    """The chunks of a text that comes in these parts."""
    made = cutter(**how)
    pieces = [piece for part in parts for piece in made.feed(part)]
    return pieces + made.finish()


@pytest.fixture(scope="session")
def hard() -> str:
    return HARD


@pytest.fixture(scope="session")
def cut() -> Callable[..., list[Span]]:
    return _cut


@pytest.fixture(scope="session")
def texts() -> Callable[..., list[str]]:
    """The texts of the chunks of a text, by default with one unit each."""

    def texts(text: str, strategy: str, size: int = 1, **how: Any) -> list[str]:
        return [piece.text for piece in _cut([text], strategy=strategy, size=size, **how)]

    return texts


MAIN = ["token", "token, counted", "sentence", "paragraph", "fixed"]


@pytest.fixture(
    scope="session", params=slow_but(MAIN, STRATEGIES, "each strategy is cut in every run, with these arguments not")
)
def how(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Each strategy, with the arguments of its cutter."""
    return STRATEGIES[request.param]
