"""A client that writes down what it has seen, so that it can come back.

python client.py PORT STATE [ask|follow|resume]
"""

from __future__ import annotations

import json
import sys
import urllib.parse
import urllib.request
from datetime import datetime
from pathlib import Path
from typing import Any

NEW: dict[str, Any] = {"text": "", "attempt": 0, "position": None, "stream": None, "token": None, "end": None}


def read(port: str, state: dict[str, Any], path: Path, how: str) -> None:
    """Read to the end of the stream, or until the server goes away."""
    given = {
        "ask": {"question": "Count!"},
        "resume": {"token": state["token"]},
        "follow": {"stream": state["stream"], "after": state["position"]},
    }[how]
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/{how}?{urllib.parse.urlencode(given)}") as answer:
        for line in answer:
            take(state, json.loads(line))
            path.write_text(json.dumps(state))


def take(state: dict[str, Any], event: dict[str, Any]) -> None:
    """Apply an event to the text that is shown."""
    state["position"] = event.get("position", state["position"])
    match event["type"]:
        case "Waiting":  # a moment ago the server before this one was alive
            print(f"{event['reason']}, until {datetime.fromtimestamp(event['until']):%H:%M:%S}")
        case "Begun":
            state |= {"stream": event["stream_id"], "token": event["token"]}
        case "Replayed":  # all that is stored: what was shown beyond it is gone
            state |= {"text": event["text"], "attempt": event["attempt"]}
        case "Rewound":
            state |= {"text": state["text"][: event["offset"]], "attempt": event["attempt"]}
        case "Delta":
            if event["attempt"] != state["attempt"]:
                state |= {"text": "", "attempt": event["attempt"]}
            assert event["offset"] == len(state["text"]), "a gap, or a word twice"
            state["text"] += event["text"]
        case "Ended" | "Interrupted":
            state["end"] = event["type"]


if __name__ == "__main__":
    where = Path(sys.argv[2])
    known = json.loads(where.read_text()) if where.exists() else dict(NEW)
    try:
        read(sys.argv[1], known, where, sys.argv[3])
    except OSError as error:  # the server is gone
        print(type(error).__name__)
