"""The file's layout, and how an older file becomes a newer one.

`user_version` counts the migrations that were applied.  A migration is a tuple of statements; it is never changed once it was
released: a change of the layout is one more migration.

A text stands in the file once, in pieces, whoever refers to it: a stream (its question), an attempt (what it wrote), a memory, a
message.  A chunk of an answer is a range of its text.  `docs` says which part of a text is in the index under which row.
Everything is keyed by memory space first.
"""

from __future__ import annotations

__all__ = ["APPLICATION_ID", "MIGRATIONS"]

APPLICATION_ID = 0x43727831
"""What marks a database as ours ("Crx1")."""

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        # The memory spaces by number: each word of the index begins with it.  docs, size: how much of the space is in the index, in
        # rows and in words, from which the ranks are computed; under 0 stands the same of all spaces.
        """CREATE TABLE spaces (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            name TEXT NOT NULL UNIQUE,
            docs INTEGER NOT NULL DEFAULT 0,
            size INTEGER NOT NULL DEFAULT 0
        )""",
        "INSERT INTO spaces (id, name) VALUES (0, '')",
        # length, indexed, lead: code points.  What lies from `indexed` to `length` is not in the index yet; the next part
        # that goes there repeats `lead` characters.  writes: how many appends made the text.  Of the text of an answer that is being
        # written, renewed by the very statement that makes it longer: lease, until when its writer owns the stream (0: nobody
        # does); mark and resume_state (JSON), what a writer needs to go on from its end.
        """CREATE TABLE texts (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            space INTEGER NOT NULL REFERENCES spaces (id),
            length INTEGER NOT NULL,
            indexed INTEGER NOT NULL DEFAULT 0,
            lead INTEGER NOT NULL DEFAULT 0,
            writes INTEGER NOT NULL DEFAULT 0,
            touched INTEGER NOT NULL,
            lease INTEGER NOT NULL DEFAULT 0,
            mark TEXT,
            resume_state TEXT
        )""",
        """CREATE TABLE pieces (
            text INTEGER NOT NULL REFERENCES texts (id),
            start INTEGER NOT NULL,
            body TEXT NOT NULL,
            PRIMARY KEY (text, start)
        ) WITHOUT ROWID""",
        # The row of the index is docs.id; it is never used twice.  size: how many words it has.
        """CREATE TABLE docs (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            text INTEGER NOT NULL REFERENCES texts (id),
            start INTEGER NOT NULL,
            stop INTEGER NOT NULL,
            size INTEGER NOT NULL
        )""",
        "CREATE INDEX docs_by_text ON docs (text)",
        # The index holds no text of its own, only words that were folded and parted before (words.py), hence the plain tokenizer.
        "CREATE VIRTUAL TABLE words USING fts5 (body, content = '', tokenize = 'ascii')",
        """CREATE TABLE conversations (
            seq INTEGER PRIMARY KEY AUTOINCREMENT,
            space TEXT NOT NULL,
            id TEXT NOT NULL,
            type TEXT NOT NULL,
            user_id TEXT,
            agent_id TEXT,
            participant_id TEXT,
            message_count INTEGER NOT NULL DEFAULT 0,
            created INTEGER NOT NULL,
            updated INTEGER NOT NULL,
            UNIQUE (space, id)
        )""",
        "CREATE INDEX conversations_by_space ON conversations (space, seq)",
        """CREATE TABLE messages (
            conversation INTEGER NOT NULL REFERENCES conversations (seq),
            position INTEGER NOT NULL,
            id TEXT NOT NULL,
            role TEXT NOT NULL,
            text INTEGER NOT NULL REFERENCES texts (id),
            timestamp INTEGER NOT NULL,
            participant_id TEXT,
            metadata TEXT,
            PRIMARY KEY (conversation, position)
        ) WITHOUT ROWID""",
        "CREATE INDEX messages_by_text ON messages (text)",
        # memory, question_memory, question_message, answer_message: the ids under which they were or will be stored.
        # question is NULL once the stream's memory was deleted; answer is the text of the current attempt.  claim: what the client
        # named the begin or take-over that made the epoch; claim_token: the token of that take-over.  presented: the newest
        # token that was used.  breaks: where writers went on after another, [epoch, attempt, offset]: what a reader saw beyond the
        # offset under an older epoch was lost with its process, and all of any later attempt.
        # A row that was rolled back stays for its epoch, and holds nothing else.
        """CREATE TABLE streams (
            seq INTEGER PRIMARY KEY AUTOINCREMENT,
            space TEXT NOT NULL,
            id TEXT NOT NULL,
            conversation TEXT NOT NULL,
            question INTEGER REFERENCES texts (id),
            user_id TEXT,
            user_name TEXT,
            agent_id TEXT,
            participant_id TEXT,
            importance NUMERIC NOT NULL,
            tags TEXT NOT NULL,
            metadata TEXT,
            started INTEGER NOT NULL,
            state TEXT NOT NULL CHECK (state IN ('open', 'finished', 'empty', 'deleted', 'rolledBack')),
            epoch INTEGER NOT NULL,
            attempt INTEGER NOT NULL,
            answer INTEGER REFERENCES texts (id),
            memory TEXT NOT NULL,
            question_memory TEXT,
            question_message TEXT,
            answer_message TEXT,
            created INTEGER NOT NULL,
            updated INTEGER NOT NULL,
            claim TEXT,
            claim_token INTEGER,
            presented INTEGER NOT NULL DEFAULT 0,
            reason TEXT,
            usage TEXT,
            breaks TEXT NOT NULL DEFAULT '[]',
            UNIQUE (space, id)
        )""",
        "CREATE INDEX streams_open ON streams (space) WHERE state = 'open'",
        "CREATE INDEX streams_by_question ON streams (question)",
        "CREATE INDEX streams_by_answer ON streams (answer)",
        """CREATE TABLE attempts (
            stream INTEGER NOT NULL REFERENCES streams (seq),
            attempt INTEGER NOT NULL,
            text INTEGER NOT NULL REFERENCES texts (id),
            PRIMARY KEY (stream, attempt)
        ) WITHOUT ROWID""",
        "CREATE INDEX attempts_by_text ON attempts (text)",
        # Resume tokens, as hashes; serial: the order in which they were made.  stream is NULL once the stream was deleted or rolled
        # back: until it expires, the token says so.
        """CREATE TABLE tokens (
            serial INTEGER PRIMARY KEY AUTOINCREMENT,
            hash TEXT NOT NULL UNIQUE,
            space TEXT NOT NULL,
            stream INTEGER REFERENCES streams (seq),
            expires INTEGER NOT NULL
        )""",
        "CREATE INDEX tokens_by_stream ON tokens (stream)",
        # seq: the order; the question of an exchange has the number before its answer.  stream: with whose memory the
        # stream itself goes: the answer's, or the question's where there is no answer.
        """CREATE TABLE memories (
            seq INTEGER PRIMARY KEY AUTOINCREMENT,
            space TEXT NOT NULL,
            id TEXT NOT NULL,
            text INTEGER NOT NULL UNIQUE REFERENCES texts (id),
            stream INTEGER REFERENCES streams (seq),
            partial INTEGER NOT NULL,
            content_type TEXT NOT NULL,
            source_type TEXT NOT NULL,
            source_user_id TEXT,
            source_user_name TEXT,
            source_timestamp INTEGER NOT NULL,
            user_id TEXT,
            agent_id TEXT,
            participant_id TEXT,
            role TEXT NOT NULL,
            conversation TEXT NOT NULL,
            message TEXT,
            importance NUMERIC NOT NULL,
            tags TEXT NOT NULL,
            version INTEGER NOT NULL DEFAULT 1,
            embedding BLOB,
            created INTEGER NOT NULL,
            updated INTEGER NOT NULL,
            access_count INTEGER NOT NULL DEFAULT 0,
            metadata TEXT,
            UNIQUE (space, id)
        )""",
        "CREATE INDEX memories_by_space ON memories (space, seq)",
        "CREATE INDEX memories_partial ON memories (space, seq) WHERE partial",
        "CREATE INDEX memories_by_stream ON memories (stream)",
    ),
    (
        # What a chunk has in common with its answer stands in the answer's row, where `chunks` counts them.  start, stop: code points
        # of the answer's text.  overlap: it begins before the chunk before it ends.
        """CREATE TABLE chunks (
            memory INTEGER NOT NULL REFERENCES memories (seq),
            part INTEGER NOT NULL,
            space TEXT NOT NULL,
            id TEXT NOT NULL,
            start INTEGER NOT NULL,
            stop INTEGER NOT NULL,
            overlap INTEGER NOT NULL,
            embedding BLOB,
            UNIQUE (memory, part),
            UNIQUE (space, id)
        )""",
        "ALTER TABLE memories ADD COLUMN chunks INTEGER NOT NULL DEFAULT 0",
        # The chunk whose words these are; NULL where the words are found as those of the whole text.
        "ALTER TABLE docs ADD COLUMN part INTEGER",
    ),
    (
        # Each index is a page that a write changes.  The partial memories are the answers of the streams that are open.  Nobody
        # asks for the memories that are of no stream.  `attempts` has the former ones; the present one stands in `streams`.
        "DROP INDEX memories_partial",
        "DROP INDEX memories_by_stream",
        "CREATE INDEX memories_by_stream ON memories (stream) WHERE stream IS NOT NULL",
        "DELETE FROM attempts WHERE EXISTS (SELECT 1 FROM streams WHERE seq = stream AND answer = text)",
        # No text is deleted because of its stream alone, so nobody asks which stream has it, and no key has to be looked after.
        "PRAGMA defer_foreign_keys = ON",  # until the streams are there again
        "CREATE TABLE streams_before AS SELECT * FROM streams",
        "DROP TABLE streams",
        """CREATE TABLE streams (
            seq INTEGER PRIMARY KEY AUTOINCREMENT,
            space TEXT NOT NULL,
            id TEXT NOT NULL,
            conversation TEXT NOT NULL,
            question INTEGER,
            user_id TEXT,
            user_name TEXT,
            agent_id TEXT,
            participant_id TEXT,
            importance NUMERIC NOT NULL,
            tags TEXT NOT NULL,
            metadata TEXT,
            started INTEGER NOT NULL,
            state TEXT NOT NULL CHECK (state IN ('open', 'finished', 'empty', 'deleted', 'rolledBack')),
            epoch INTEGER NOT NULL,
            attempt INTEGER NOT NULL,
            answer INTEGER,
            memory TEXT NOT NULL,
            question_memory TEXT,
            question_message TEXT,
            answer_message TEXT,
            created INTEGER NOT NULL,
            updated INTEGER NOT NULL,
            claim TEXT,
            claim_token INTEGER,
            presented INTEGER NOT NULL DEFAULT 0,
            reason TEXT,
            usage TEXT,
            breaks TEXT NOT NULL DEFAULT '[]',
            UNIQUE (space, id)
        )""",
        "INSERT INTO streams SELECT * FROM streams_before",
        "DROP TABLE streams_before",
        "CREATE INDEX streams_open ON streams (space) WHERE state = 'open'",
        # A row with a key of two columns lies in an index, where only a short one lies in its page: a quarter of this one's.
        "ALTER TABLE pieces RENAME TO pieces_before",
        """CREATE TABLE pieces (
            place INTEGER PRIMARY KEY,
            body TEXT NOT NULL,
            text INTEGER GENERATED ALWAYS AS (place >> 32) VIRTUAL,
            start INTEGER GENERATED ALWAYS AS (place & 0xffffffff) VIRTUAL
        )""",
        "INSERT INTO pieces (place, body) SELECT text << 32 | start, body FROM pieces_before ORDER BY text, start",
        "DROP TABLE pieces_before",
    ),
)
