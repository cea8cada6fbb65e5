"""The layout of the file, and the migrations of older files.

`user_version` counts the applied migrations. A migration is a tuple of statements. A released migration is never
changed; a change of the layout is one more migration. A new file is made as `layout` says, in a fifth of the time.

Each text is stored once, in pieces, whatever refers to it: a stream (its question), an attempt, a memory, a message. A
chunk of an answer is a range of its text. `documents` says which part of a text is in the index under which row. The
memory space comes first in every key.
"""

from __future__ import annotations

__all__ = ["APPLICATION_ID", "MIGRATIONS"]

APPLICATION_ID = 0x43727831
"""Marks a database as one of this package ("Crx1")."""

# The number is raised in one statement: without the row, the highest number would be free again.
_LOG_CHANGE = """CREATE TRIGGER {name} AFTER {event} BEGIN
    UPDATE vector_changes SET number = (SELECT max(number) + 1 FROM vector_changes WHERE space = {space})
        WHERE memory = {memory};
    INSERT INTO vector_changes (space, number, memory)
        SELECT {space}, coalesce((SELECT max(number) FROM vector_changes WHERE space = {space}), 0) + 1, {memory}
        WHERE NOT EXISTS (SELECT 1 FROM vector_changes WHERE memory = {memory});
END"""

# --- conversations ---

_COUNT_IN = """INSERT INTO conversation_counts (space, user_id, type, number)
        SELECT NEW.space, counted, NEW.type, 1
        FROM (SELECT '' AS counted UNION ALL SELECT NEW.user_id WHERE NEW.user_id IS NOT NULL) WHERE true
        ON CONFLICT DO UPDATE SET number = number + 1;"""
_COUNT_OUT = """UPDATE conversation_counts SET number = number - 1
        WHERE space = OLD.space AND user_id IN ('', OLD.user_id) AND type = OLD.type;
    DELETE FROM conversation_counts
        WHERE space = OLD.space AND user_id IN ('', OLD.user_id) AND type = OLD.type AND number = 0;"""

_CONVERSATIONS: tuple[str, ...] = (
    # given (JSON): the participants that a call gave to the conversation that it made; NULL if a stream made it.
    # parties: the memory spaces or agents of one between agents, by which it is found. made_by: who made it.
    "ALTER TABLE conversations ADD COLUMN given TEXT",
    "ALTER TABLE conversations ADD COLUMN parties TEXT",
    "ALTER TABLE conversations ADD COLUMN made_by TEXT",
    "ALTER TABLE conversations ADD COLUMN metadata TEXT",
    # A list of all has the two types merged.
    "DROP INDEX conversations_by_space",
    "CREATE INDEX conversations_by_type ON conversations (space, type, seq)",
    "CREATE INDEX conversations_by_user ON conversations (space, user_id, type, seq) WHERE user_id IS NOT NULL",
    "CREATE INDEX conversations_by_parties ON conversations (space, parties, seq) WHERE parties IS NOT NULL",
    "CREATE INDEX messages_by_id ON messages (conversation, id)",
    # user_id: '' is all of the memory space.
    """CREATE TABLE conversation_counts (
        space TEXT NOT NULL,
        user_id TEXT NOT NULL,
        type TEXT NOT NULL,
        number INTEGER NOT NULL,
        PRIMARY KEY (space, user_id, type)
    ) WITHOUT ROWID""",
    """INSERT INTO conversation_counts
        SELECT space, '', type, count(*) FROM conversations GROUP BY space, type UNION ALL
        SELECT space, user_id, type, count(*) FROM conversations WHERE user_id IS NOT NULL
        GROUP BY space, user_id, type""",
    f"""CREATE TRIGGER conversation_made AFTER INSERT ON conversations BEGIN
    {_COUNT_IN}
END""",
    f"""CREATE TRIGGER conversation_deleted AFTER DELETE ON conversations BEGIN
    {_COUNT_OUT}
END""",
    f"""CREATE TRIGGER conversation_changed AFTER UPDATE OF user_id, type ON conversations
WHEN OLD.user_id IS NOT NEW.user_id OR OLD.type IS NOT NEW.type BEGIN
    {_COUNT_OUT}
    {_COUNT_IN}
END""",
)

# --- memories ---

# Each memory counts for all users and for its own, and so for participants: '' is all of them. Partial ones count for
# nothing: they are few, and found by their streams.
_COUNT_MEMORY = """INSERT INTO memory_counts (space, user, participant, source, archived, memories, chunks)
        SELECT spaces.id, users.id, participants.id, {row}.source_type, {row}.archived, {by}, {by} * {row}.chunks
        FROM spaces CROSS JOIN (SELECT '' AS id UNION ALL SELECT {row}.user_id) AS users
            CROSS JOIN (SELECT '' AS id UNION ALL SELECT {row}.participant_id) AS participants
        WHERE spaces.name = {row}.space AND NOT {row}.partial
            AND users.id IS NOT NULL AND participants.id IS NOT NULL
        ON CONFLICT DO UPDATE SET memories = memories + excluded.memories, chunks = chunks + excluded.chunks;"""
_COUNT_ON = _COUNT_MEMORY.format(row="NEW", by=1)
# A count of nothing is deleted: it would keep the id of a user.
_UNCOUNTED = """
    DELETE FROM memory_counts WHERE space = (SELECT id FROM spaces WHERE name = OLD.space)
        AND user IN ('', OLD.user_id) AND participant IN ('', OLD.participant_id) AND memories = 0;"""
_COUNT_OFF = _COUNT_MEMORY.format(row="OLD", by=-1) + _UNCOUNTED

_COUNT_FACT = """INSERT INTO fact_counts (space, user, kind, state, facts)
        SELECT {row}.space, users.id, {row}.fact_type,
            iif({row}.closed IS NULL, 0, iif({row}.superseded_by IS NULL, 2, 1)), {by}
        FROM (SELECT '' AS id UNION ALL SELECT {row}.user_id) AS users WHERE users.id IS NOT NULL
        ON CONFLICT DO UPDATE SET facts = facts + excluded.facts;"""
_FACT_ON = _COUNT_FACT.format(row="NEW", by=1)
_NO_FACTS = " DELETE FROM fact_counts WHERE space = OLD.space AND user IN ('', OLD.user_id) AND facts = 0;"
_FACT_OFF = _COUNT_FACT.format(row="OLD", by=-1) + _NO_FACTS

_MEMORIES: tuple[str, ...] = (
    # archived: 1: it is in no list, count, search or neighbourhood, unless it is asked for.
    "ALTER TABLE memories ADD COLUMN archived INTEGER NOT NULL DEFAULT 0",
    # The orders of lists. A list that may have several values of `archived` or `source_type` merges them.
    "DROP INDEX memories_by_space",
    "CREATE INDEX memories_listed_by_source ON memories (space, archived, source_type, seq) WHERE partial = 0",
    """CREATE INDEX memories_listed_by_user ON memories (space, user_id, archived, seq)
        WHERE partial = 0 AND user_id IS NOT NULL""",
    """CREATE INDEX memories_listed_by_participant ON memories (space, participant_id, archived, seq)
        WHERE partial = 0 AND participant_id IS NOT NULL""",
    # How many memories there are, and chunks of them; kept by triggers.
    """CREATE TABLE memory_counts (
        space INTEGER NOT NULL,
        user TEXT NOT NULL,
        participant TEXT NOT NULL,
        source TEXT NOT NULL,
        archived INTEGER NOT NULL,
        memories INTEGER NOT NULL,
        chunks INTEGER NOT NULL,
        PRIMARY KEY (space, user, participant, source, archived)
    ) WITHOUT ROWID""",
    """INSERT INTO memory_counts
        SELECT spaces.id, iif(each_user.own, user_id, ''), iif(each_participant.own, participant_id, ''), source_type,
            archived, count(*), sum(chunks)
        FROM memories CROSS JOIN spaces ON spaces.name = memories.space
            CROSS JOIN (SELECT 0 AS own UNION ALL SELECT 1) AS each_user
            CROSS JOIN (SELECT 0 AS own UNION ALL SELECT 1) AS each_participant
        WHERE partial = 0 AND (user_id IS NOT NULL OR NOT each_user.own)
            AND (participant_id IS NOT NULL OR NOT each_participant.own)
        GROUP BY 1, 2, 3, 4, 5""",
    f"""CREATE TRIGGER memory_made AFTER INSERT ON memories WHEN NOT NEW.partial BEGIN
    {_COUNT_ON}
END""",
    f"""CREATE TRIGGER memory_completed AFTER UPDATE OF partial ON memories WHEN OLD.partial BEGIN
    {_COUNT_ON}
END""",
    f"""CREATE TRIGGER memory_changed AFTER UPDATE OF user_id, participant_id, source_type, archived, chunks
        ON memories WHEN NOT OLD.partial BEGIN
    {_COUNT_ON}
    {_COUNT_OFF}
END""",
    f"""CREATE TRIGGER memory_deleted AFTER DELETE ON memories WHEN NOT OLD.partial BEGIN
    {_COUNT_OFF}
END""",
    # What a memory was before its version. until: when it was replaced; the first version began when the memory was
    # made, each other one when the one before was replaced. text: may be that of other versions, and of a message.
    # operation: the client's name for the call that replaced it.
    """CREATE TABLE memory_versions (
        memory INTEGER NOT NULL,
        version INTEGER NOT NULL,
        text INTEGER NOT NULL REFERENCES texts (id),
        embedding BLOB,
        importance NUMERIC NOT NULL,
        tags TEXT NOT NULL,
        metadata TEXT,
        until INTEGER NOT NULL,
        operation TEXT,
        UNIQUE (memory, version)
    )""",
    "CREATE INDEX memory_versions_by_operation ON memory_versions (memory, operation) WHERE operation IS NOT NULL",
    "CREATE INDEX memory_versions_by_text ON memory_versions (text)",
    """CREATE TRIGGER versions_of_deleted AFTER DELETE ON memories BEGIN
        DELETE FROM memory_versions WHERE memory = OLD.seq;
    END""",
    # The same of facts. state: 0: it holds; 1: another one holds instead; 2: it was retracted.
    """CREATE TABLE fact_counts (
        space INTEGER NOT NULL,
        user TEXT NOT NULL,
        kind TEXT NOT NULL,
        state INTEGER NOT NULL,
        facts INTEGER NOT NULL,
        PRIMARY KEY (space, user, kind, state)
    ) WITHOUT ROWID""",
    """INSERT INTO fact_counts
        SELECT space, iif(each_user.own, user_id, ''), fact_type,
            iif(closed IS NULL, 0, iif(superseded_by IS NULL, 2, 1)), count(*)
        FROM facts CROSS JOIN (SELECT 0 AS own UNION ALL SELECT 1) AS each_user
        WHERE user_id IS NOT NULL OR NOT each_user.own GROUP BY 1, 2, 3, 4""",
    f"CREATE TRIGGER fact_made AFTER INSERT ON facts BEGIN {_FACT_ON} END",
    f"""CREATE TRIGGER fact_changed AFTER UPDATE OF user_id, fact_type, closed, superseded_by ON facts
        WHEN (OLD.user_id, OLD.fact_type, OLD.closed, OLD.superseded_by)
            IS NOT (NEW.user_id, NEW.fact_type, NEW.closed, NEW.superseded_by)
        BEGIN {_FACT_ON} {_FACT_OFF} END""",
    f"CREATE TRIGGER fact_deleted AFTER DELETE ON facts BEGIN {_FACT_OFF} END",
    "CREATE INDEX facts_by_type ON facts (space, fact_type, seq)",
    "CREATE INDEX facts_listed_by_participant ON facts (space, participant_id, seq) WHERE participant_id IS NOT NULL",
    "DROP TRIGGER vector_narrowed",
    _LOG_CHANGE.format(
        name="vector_narrowed",
        event="UPDATE OF user_id, source_type, content_type, source_timestamp, conversation, importance, tags,"
        " created, updated, chunks, archived ON memories"
        " WHEN EXISTS (SELECT 1 FROM vectors WHERE memory = NEW.seq)",
        space="(SELECT space FROM vectors WHERE memory = NEW.seq LIMIT 1)",
        memory="NEW.seq",
    ),
)

# --- immutable ---

_IMMUTABLE: tuple[str, ...] = (
    # An entry of the whole store; a user's profile is the entry of type "user" with the user's id. version, user_id,
    # updated: of the current version.
    """CREATE TABLE immutable (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        type TEXT NOT NULL,
        id TEXT NOT NULL,
        version INTEGER NOT NULL,
        user_id TEXT,
        created INTEGER NOT NULL,
        updated INTEGER NOT NULL,
        UNIQUE (type, id)
    )""",
    "CREATE INDEX immutable_by_type ON immutable (type, seq)",
    "CREATE INDEX immutable_by_user ON immutable (user_id, type, seq) WHERE user_id IS NOT NULL",
    "CREATE INDEX immutable_by_created ON immutable (created)",
    "CREATE INDEX immutable_by_type_created ON immutable (type, created)",
    "CREATE INDEX immutable_by_type_updated ON immutable (type, updated)",
    # What each version says, the current one too. place: entry << 32 | version, so the versions of an entry are next to
    # each other, in order. It was current from `written` to `until` (excluded). operation: the
    # client's name for the call.
    """CREATE TABLE immutable_versions (
        place INTEGER PRIMARY KEY,
        written INTEGER NOT NULL,
        until INTEGER,
        operation TEXT,
        user_id TEXT,
        metadata TEXT,
        data TEXT NOT NULL
    )""",
    "CREATE INDEX immutable_operations ON immutable_versions (operation, place) WHERE operation IS NOT NULL",
    # How many entries of a type there are, so that none is counted by a call.
    "CREATE TABLE immutable_counts (type TEXT PRIMARY KEY, entries INTEGER NOT NULL) WITHOUT ROWID",
    """CREATE TRIGGER immutable_stored AFTER INSERT ON immutable BEGIN
        INSERT INTO immutable_counts (type, entries) VALUES (NEW.type, 1)
            ON CONFLICT (type) DO UPDATE SET entries = entries + 1;
    END""",
    """CREATE TRIGGER immutable_purged AFTER DELETE ON immutable BEGIN
        DELETE FROM immutable_versions WHERE place BETWEEN OLD.seq << 32 AND (OLD.seq + 1 << 32) - 1;
        UPDATE immutable_counts SET entries = entries - 1 WHERE type = OLD.type;
        DELETE FROM immutable_counts WHERE type = OLD.type AND entries = 0;
    END""",
)

# --- mutable ---

_MUTABLE: tuple[str, ...] = (
    # value, metadata: JSON.
    """CREATE TABLE mutable (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        namespace TEXT NOT NULL,
        key TEXT NOT NULL,
        value TEXT NOT NULL,
        user_id TEXT,
        metadata TEXT,
        version INTEGER NOT NULL,
        created INTEGER NOT NULL,
        updated INTEGER NOT NULL,
        UNIQUE (namespace, key)
    )""",
    "CREATE INDEX mutable_by_namespace ON mutable (namespace, seq)",
    "CREATE INDEX mutable_by_user ON mutable (namespace, user_id, seq) WHERE user_id IS NOT NULL",
    "CREATE INDEX mutable_by_updated ON mutable (namespace, updated)",
    # The highest version of the keys that were deleted from a namespace: a key that is made again goes on from there,
    # so that what was read of the one before is out of date.
    "CREATE TABLE mutable_deleted (namespace TEXT PRIMARY KEY, version INTEGER NOT NULL) WITHOUT ROWID",
    """CREATE TRIGGER mutable_key_deleted AFTER DELETE ON mutable BEGIN
        INSERT INTO mutable_deleted (namespace, version) VALUES (OLD.namespace, OLD.version)
            ON CONFLICT (namespace) DO UPDATE SET version = max(version, excluded.version);
    END""",
    # The changes of a day that had an id of the client's. call: a hash of the arguments. result: JSON, without the
    # values that stand in the arguments.
    """CREATE TABLE mutable_operations (
        seq INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        call TEXT NOT NULL,
        result TEXT NOT NULL,
        done INTEGER NOT NULL
    )""",
)

# --- contexts ---

_CONTEXTS: tuple[str, ...] = (
    # Which contexts there are and what they are for. parent: its row, also after that is gone; parent_id: the id by
    # which it was named. conversation, messages (JSON): where it comes from. status, description, data (JSON),
    # completed: of the current version, which was written then, by that memory space, in the call with that operation.
    # Depth, root and children are not stored: each space sees other ones.
    """CREATE TABLE contexts (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        space TEXT NOT NULL,
        id TEXT NOT NULL,
        purpose TEXT NOT NULL,
        parent INTEGER,
        parent_id TEXT,
        user_id TEXT,
        conversation TEXT,
        messages TEXT,
        status TEXT NOT NULL,
        description TEXT,
        data TEXT,
        completed INTEGER,
        version INTEGER NOT NULL DEFAULT 1,
        written INTEGER NOT NULL,
        written_by TEXT NOT NULL,
        operation TEXT,
        created INTEGER NOT NULL,
        updated INTEGER NOT NULL,
        UNIQUE (id, space)
    )""",
    "CREATE INDEX contexts_by_space ON contexts (space, seq)",
    "CREATE INDEX contexts_by_status ON contexts (space, status, seq)",
    "CREATE INDEX contexts_by_user ON contexts (space, user_id, seq) WHERE user_id IS NOT NULL",
    "CREATE INDEX contexts_by_parent_id ON contexts (space, parent_id, seq) WHERE parent_id IS NOT NULL",
    "CREATE INDEX contexts_by_conversation ON contexts (space, conversation, seq) WHERE conversation IS NOT NULL",
    "CREATE INDEX contexts_by_completion ON contexts (space, completed, seq) WHERE completed IS NOT NULL",
    "CREATE INDEX contexts_by_parent ON contexts (parent, space, seq) WHERE parent IS NOT NULL",
    # The versions before the current one.
    """CREATE TABLE context_versions (
        context INTEGER NOT NULL,
        version INTEGER NOT NULL,
        status TEXT NOT NULL,
        description TEXT,
        data TEXT,
        completed INTEGER,
        written INTEGER NOT NULL,
        written_by TEXT NOT NULL,
        operation TEXT,
        PRIMARY KEY (context, version)
    )""",
    "CREATE INDEX context_versions_by_operation ON context_versions (context, operation) WHERE operation IS NOT NULL",
    # number: the order in which they were granted.
    """CREATE TABLE context_grants (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        context INTEGER NOT NULL,
        target TEXT NOT NULL,
        scope TEXT NOT NULL,
        granted INTEGER NOT NULL,
        UNIQUE (context, target)
    )""",
    "CREATE INDEX context_grants_by_target ON context_grants (target, number)",
    # number: the order in which they were added.
    """CREATE TABLE context_participants (
        number INTEGER PRIMARY KEY,
        context INTEGER NOT NULL,
        participant TEXT NOT NULL,
        UNIQUE (context, participant)
    )""",
    """CREATE TRIGGER context_deleted AFTER DELETE ON contexts BEGIN
        DELETE FROM context_versions WHERE context = OLD.seq;
        DELETE FROM context_grants WHERE context = OLD.seq;
        DELETE FROM context_participants WHERE context = OLD.seq;
    END""",
)

# --- agents ---

_AGENTS: tuple[str, ...] = (
    # metadata, config: JSON.
    """CREATE TABLE agents (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE,
        name TEXT NOT NULL,
        description TEXT,
        metadata TEXT,
        config TEXT,
        status TEXT NOT NULL CHECK (status IN ('active', 'inactive', 'archived')),
        registered INTEGER NOT NULL,
        updated INTEGER NOT NULL
    )""",
    "CREATE INDEX agents_by_status ON agents (status, seq)",
    "CREATE INDEX agents_by_name ON agents (name, seq)",
    "CREATE INDEX agents_by_registered ON agents (registered, seq)",
    "CREATE INDEX agents_by_updated ON agents (updated, seq)",
    # What an agent has, for its statistics.
    "CREATE INDEX memories_by_agent ON memories (agent_id, space, updated) WHERE agent_id IS NOT NULL AND partial = 0",
    """CREATE INDEX memories_by_participant ON memories (participant_id, space, updated)
        WHERE participant_id IS NOT NULL AND partial = 0""",
    "CREATE INDEX conversations_by_agent ON conversations (agent_id) WHERE agent_id IS NOT NULL",
    "CREATE INDEX conversations_by_participant ON conversations (participant_id) WHERE participant_id IS NOT NULL",
    """CREATE INDEX facts_by_participant ON facts (participant_id, space, updated)
        WHERE participant_id IS NOT NULL AND closed IS NULL""",
)

# --- memory_spaces ---

_MEMORY_SPACES: tuple[str, ...] = (
    # The registered ones. A space is used without it. metadata: JSON.
    """CREATE TABLE memory_spaces (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE,
        name TEXT,
        type TEXT NOT NULL,
        metadata TEXT NOT NULL,
        status TEXT NOT NULL CHECK (status IN ('active', 'archived')),
        created INTEGER NOT NULL,
        updated INTEGER NOT NULL
    )""",
    "CREATE INDEX memory_spaces_by_type ON memory_spaces (type, status, seq)",
    "CREATE INDEX memory_spaces_by_status ON memory_spaces (status, seq)",
    """CREATE TABLE memory_space_participants (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        space INTEGER NOT NULL REFERENCES memory_spaces (seq),
        id TEXT NOT NULL,
        type TEXT NOT NULL,
        joined INTEGER NOT NULL,
        UNIQUE (space, id)
    )""",
    "CREATE INDEX memory_space_participants_by_id ON memory_space_participants (id, space)",
)

# --- outbox ---

_OUTBOX: tuple[str, ...] = (
    # The records that have changed since a graph was told of them (outbox.py). revision: never used twice. scope: the
    # memory space; the type of an immutable entry; '' where the key is that of the whole store.
    """CREATE TABLE outbox (
        revision INTEGER PRIMARY KEY AUTOINCREMENT,
        record_table TEXT NOT NULL,
        scope TEXT NOT NULL,
        key TEXT NOT NULL,
        UNIQUE (record_table, scope, key)
    )""",
)
_OUTBOX_LEASE: tuple[str, ...] = (
    # due: from which time on the row is given (epoch ms); NULL: it is a dead letter. attempts, error, failed: how often
    # it could not be written, why, and when that was said last.
    "ALTER TABLE outbox ADD COLUMN attempts INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE outbox ADD COLUMN due INTEGER DEFAULT 0",
    "ALTER TABLE outbox ADD COLUMN error TEXT",
    "ALTER TABLE outbox ADD COLUMN failed INTEGER",
    "CREATE INDEX outbox_failed ON outbox (revision) WHERE attempts > 0",
    # Who drains the outbox; at most one row. store: the id of the store. holder: NULL if it was released. term: how
    # often it has changed hands. length: of the lease, in ms, as texts.term.
    """CREATE TABLE outbox_lease (
        one INTEGER PRIMARY KEY CHECK (one = 1),
        store TEXT NOT NULL,
        term INTEGER NOT NULL DEFAULT 0,
        holder TEXT,
        until INTEGER NOT NULL DEFAULT 0,
        length INTEGER NOT NULL DEFAULT 0
    )""",
    # What had no rows before.
    """INSERT INTO outbox (record_table, scope, key) SELECT 'mutable', namespace, key FROM mutable
        WHERE EXISTS (SELECT 1 FROM settings WHERE name = 'graph') ORDER BY seq""",
    """INSERT OR REPLACE INTO outbox (record_table, scope, key) SELECT 'memories', space, id FROM memories
        WHERE partial AND EXISTS (SELECT 1 FROM settings WHERE name = 'graph') ORDER BY seq""",
)

# ----

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        # The memory spaces by number: each word of the index begins with it. docs, size: the rows and words of the
        # space in the index, from which ranks are computed. Row 0 has the sums of all spaces.
        """CREATE TABLE spaces (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            name TEXT NOT NULL UNIQUE,
            docs INTEGER NOT NULL DEFAULT 0,
            size INTEGER NOT NULL DEFAULT 0
        )""",
        "INSERT INTO spaces (id, name) VALUES (0, '')",
        # length, indexed, lead: code points. The text from `indexed` to `length` is not in the index yet; its first
        # document will repeat `lead` characters. writes: the number of appends. For an answer that is being written,
        # updated by the same statement as its length: lease, the time until which its writer owns the stream (0: no
        # owner); mark and resume_state (JSON), with which a writer goes on from the end.
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
        # docs.id is the row of the index; it is never used twice. size: its number of words.
        """CREATE TABLE docs (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            text INTEGER NOT NULL REFERENCES texts (id),
            start INTEGER NOT NULL,
            stop INTEGER NOT NULL,
            size INTEGER NOT NULL
        )""",
        "CREATE INDEX docs_by_text ON docs (text)",
        # The index holds no text, only words that were folded and separated before (tokenizer.py), hence the plain
        # tokenizer.
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
        # memory, question_memory, question_message, answer_message: the ids under which they are or will be stored.
        # question is NULL after the stream's memory was deleted. answer is the text of the current attempt. claim: the
        # client's name for the begin or take-over that made the epoch; claim_token: the token of that take-over.
        # presented: the newest token that was used. breaks: the take-overs, [epoch, attempt, offset]. Text that a
        # reader saw under an older epoch beyond the offset, or in a later attempt, was lost with its process. A row
        # that was rolled back only keeps its epoch.
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
        # Resume tokens, as hashes. serial: the order in which they were made. stream is NULL after the stream was
        # deleted or rolled back; the token says so until it expires.
        """CREATE TABLE tokens (
            serial INTEGER PRIMARY KEY AUTOINCREMENT,
            hash TEXT NOT NULL UNIQUE,
            space TEXT NOT NULL,
            stream INTEGER REFERENCES streams (seq),
            expires INTEGER NOT NULL
        )""",
        "CREATE INDEX tokens_by_stream ON tokens (stream)",
        # seq: the order; the question of an exchange has the number before its answer. stream: the stream that is
        # deleted with this memory: the answer's, or the question's if there is no answer.
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
        # The row of the answer holds what its chunks have in common; its column `chunks` counts them. start, stop: code
        # points of the answer's text. overlap: the chunk begins before the end of the one before.
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
        # The chunk of these words; NULL if they are found as words of the whole text.
        "ALTER TABLE docs ADD COLUMN part INTEGER",
    ),
    (
        # Each index is one more page that a write changes. The partial memories are the answers of the open streams. No
        # query looks for memories without a stream. `attempts` has the former attempts; `streams` has the current one.
        "DROP INDEX memories_partial",
        "DROP INDEX memories_by_stream",
        "CREATE INDEX memories_by_stream ON memories (stream) WHERE stream IS NOT NULL",
        "DELETE FROM attempts WHERE EXISTS (SELECT 1 FROM streams WHERE seq = stream AND answer = text)",
        # No text is deleted because of its stream alone. So no query looks for a text's stream, and no key is needed.
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
        # A row with a key of two columns lies in an index, where only short rows stay in their page: a quarter of a row
        # here.
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
    (
        # term: the length of the lease in ms. A lease that ends later than that from now was given before the clock was
        # set back, and is none. Writers have asked for 10 s so far.
        "ALTER TABLE texts ADD COLUMN term INTEGER NOT NULL DEFAULT 0",
        "UPDATE texts SET term = 10000 WHERE lease",
    ),
    (
        # The epoch whose writer was asked to stop; 0: none. A take-over or a new beginning has another epoch.
        "ALTER TABLE streams ADD COLUMN stopping INTEGER NOT NULL DEFAULT 0",
    ),
    (
        # An exchange is in its conversation from its beginning on, and the ids of its messages and memories are given.
        # conversation_seq: the number of the conversation; NULL if nothing of the stream is in one. question_kept: the
        # question is a message and a memory already, since the stream has ended, or had ended without an answer.
        # exchange: the order of the exchanges in a conversation, the number of the stream. It never falls from message
        # to message. (In a file from before, where messages were in the order in which their streams ended, it is the
        # highest number of a stream so far.)
        "ALTER TABLE streams ADD COLUMN conversation_seq INTEGER",
        "ALTER TABLE streams ADD COLUMN question_kept INTEGER NOT NULL DEFAULT 0",
        # failure: what the writer failed with that released the lease; NULL if it did not say.
        "ALTER TABLE texts ADD COLUMN failure TEXT",
        """INSERT INTO conversations (space, id, type, user_id, agent_id, participant_id, created, updated)
            SELECT space, conversation, CASE WHEN user_id IS NULL THEN 'agent-agent' ELSE 'user-agent' END, user_id,
                agent_id, participant_id, created, created
            FROM streams WHERE state = 'open' ORDER BY seq
            ON CONFLICT (space, id) DO UPDATE SET user_id = coalesce(user_id, excluded.user_id),
                agent_id = coalesce(agent_id, excluded.agent_id),
                participant_id = coalesce(participant_id, excluded.participant_id)""",
        """UPDATE streams SET conversation_seq = (SELECT seq FROM conversations
                WHERE space = streams.space AND id = streams.conversation),
            question_kept = state IN ('open', 'finished', 'empty') AND question_message IS NOT NULL
            WHERE state IN ('open', 'finished', 'empty') OR (state = 'deleted' AND question_message IS NOT NULL)""",
        """UPDATE streams SET question_memory = coalesce(question_memory, 'mem-' || lower(hex(randomblob(16)))),
            question_message = coalesce(question_message, 'msg-' || lower(hex(randomblob(16)))),
            answer_message = coalesce(answer_message, 'msg-' || lower(hex(randomblob(16))))
            WHERE state IN ('open', 'empty')""",
        "ALTER TABLE messages RENAME TO messages_before",
        """CREATE TABLE messages (
            conversation INTEGER NOT NULL REFERENCES conversations (seq),
            position INTEGER NOT NULL,
            exchange INTEGER NOT NULL,
            id TEXT NOT NULL,
            role TEXT NOT NULL,
            text INTEGER NOT NULL REFERENCES texts (id),
            timestamp INTEGER NOT NULL,
            participant_id TEXT,
            metadata TEXT,
            PRIMARY KEY (conversation, position)
        ) WITHOUT ROWID""",
        """INSERT INTO messages
            SELECT conversation, position,
                coalesce(max(stream) OVER (PARTITION BY conversation ORDER BY position), 0),
                id, role, text, timestamp, participant_id, metadata
            FROM messages_before LEFT JOIN (
                SELECT conversation_seq, question_message AS message, seq AS stream FROM streams UNION ALL
                SELECT conversation_seq, answer_message, seq FROM streams
            ) ON conversation_seq = conversation AND message = id""",
        "DROP TABLE messages_before",
        "CREATE INDEX messages_by_text ON messages (text)",
        "DROP INDEX streams_open",
        "CREATE INDEX streams_open ON streams (space, conversation_seq) WHERE state = 'open'",
        "CREATE INDEX streams_by_conversation ON streams (conversation_seq) WHERE conversation_seq IS NOT NULL",
    ),
    (
        # A memory may be stored alone, without a conversation and said by nobody. refs (JSON): what it refers to beyond
        # its conversation and message. The last number is kept, so that none is used twice.
        "PRAGMA defer_foreign_keys = ON",  # until the memories of the chunks are there again
        "CREATE TABLE memories_before AS SELECT * FROM memories",
        "UPDATE sqlite_sequence SET name = 'memories_before' WHERE name = 'memories'",
        "DROP TABLE memories",
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
            role TEXT,
            conversation TEXT,
            message TEXT,
            refs TEXT,
            importance NUMERIC NOT NULL,
            tags TEXT NOT NULL,
            version INTEGER NOT NULL DEFAULT 1,
            embedding BLOB,
            created INTEGER NOT NULL,
            updated INTEGER NOT NULL,
            access_count INTEGER NOT NULL DEFAULT 0,
            metadata TEXT,
            chunks INTEGER NOT NULL DEFAULT 0,
            UNIQUE (space, id)
        )""",
        "UPDATE sqlite_sequence SET name = 'memories' WHERE name = 'memories_before'",
        """INSERT INTO memories
            SELECT seq, space, id, text, stream, partial, content_type, source_type, source_user_id, source_user_name,
                source_timestamp, user_id, agent_id, participant_id, role, conversation, message, NULL, importance,
                tags, version, embedding, created, updated, access_count, metadata, chunks
            FROM memories_before""",
        "DROP TABLE memories_before",
        "CREATE INDEX memories_by_space ON memories (space, seq)",
        "CREATE INDEX memories_by_stream ON memories (stream) WHERE stream IS NOT NULL",
        # The memories around one, in the order in which they were said.
        "CREATE INDEX memories_by_conversation ON memories (space, conversation, seq) WHERE conversation IS NOT NULL",
    ),
    (
        # The models whose vectors are here, one for the whole file. name: '' if it is not known. state: `current` is
        # searched; the file is being moved to `next`. `kept`: of a file from before, where a memory might have a vector
        # of any length. `dropped`: the file was moved away from it, and its vectors are being removed.
        """CREATE TABLE embedders (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            name TEXT NOT NULL,
            dimension INTEGER NOT NULL,
            state TEXT NOT NULL CHECK (state IN ('current', 'next', 'kept', 'dropped')),
            UNIQUE (name, dimension)
        )""",
        "CREATE UNIQUE INDEX embedders_in_use ON embedders (state) WHERE state IN ('current', 'next')",
        # part: the chunk; -1 is the whole memory. vector: 64-bit floats, as they were given.
        """CREATE TABLE vectors (
            memory INTEGER NOT NULL,
            part INTEGER NOT NULL,
            embedder INTEGER NOT NULL REFERENCES embedders (id),
            space INTEGER NOT NULL REFERENCES spaces (id),
            vector BLOB NOT NULL,
            UNIQUE (memory, part, embedder)
        )""",
        """INSERT INTO embedders (name, dimension, state)
            SELECT '', size / 8,
                CASE row_number() OVER (ORDER BY count(*) DESC, max(memory) DESC) WHEN 1 THEN 'current' ELSE 'kept' END
            FROM (
                SELECT seq AS memory, length(embedding) AS size FROM memories WHERE embedding IS NOT NULL UNION ALL
                SELECT memory, length(embedding) FROM chunks WHERE embedding IS NOT NULL
            ) GROUP BY size""",
        """INSERT INTO vectors
            SELECT memories.seq, part, embedders.id, texts.space, vector FROM (
                SELECT seq AS memory, -1 AS part, embedding AS vector FROM memories UNION ALL
                SELECT memory, part, embedding FROM chunks
            ) CROSS JOIN memories ON memories.seq = memory JOIN texts ON texts.id = memories.text
            JOIN embedders ON embedders.dimension = length(vector) / 8
            WHERE vector IS NOT NULL ORDER BY memories.seq, part""",
        "ALTER TABLE memories DROP COLUMN embedding",
        "ALTER TABLE chunks DROP COLUMN embedding",
        # Which memory's vectors, or what searches narrow them by, changed last. A number rises in its space and is
        # never used twice, and a memory has one row, also after its deletion.
        """CREATE TABLE vector_changes (
            space INTEGER NOT NULL REFERENCES spaces (id),
            number INTEGER NOT NULL,
            memory INTEGER NOT NULL UNIQUE,
            PRIMARY KEY (space, number)
        ) WITHOUT ROWID""",
        """INSERT INTO vector_changes
            SELECT space, row_number() OVER (PARTITION BY space ORDER BY memory), memory
            FROM (SELECT DISTINCT space, memory FROM vectors)""",
        *(
            _LOG_CHANGE.format(name=name, event=event, space=f"{row}.space", memory=f"{row}.memory")
            for name, event, row in (
                ("vector_made", "INSERT ON vectors", "NEW"),
                ("vector_changed", "UPDATE ON vectors", "NEW"),
                ("vector_deleted", "DELETE ON vectors", "OLD"),
            )
        ),
        _LOG_CHANGE.format(
            name="vector_narrowed",
            event="UPDATE OF user_id, source_type, content_type, source_timestamp, conversation, importance, tags,"
            " created, updated, chunks ON memories WHEN EXISTS (SELECT 1 FROM vectors WHERE memory = NEW.seq)",
            space="(SELECT space FROM vectors WHERE memory = NEW.seq LIMIT 1)",
            memory="NEW.seq",
        ),
        """CREATE TRIGGER vectors_of_deleted AFTER DELETE ON memories BEGIN
            DELETE FROM vectors WHERE memory = OLD.seq;
        END""",
    ),
    (
        # The streams that may get the memory of their answer again: its id is not free for another one.
        """CREATE INDEX streams_unanswered ON streams (space, memory)
            WHERE state = 'empty' OR (state = 'finished' AND reason = 'incomplete')""",
    ),
    (
        # What the file knows of itself.
        "CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
        # The index with stems (index.py). documents: as docs; words: what is in the row of `terms`, a text, or
        # compressed if it is long.
        """CREATE TABLE documents (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            text INTEGER NOT NULL REFERENCES texts (id),
            start INTEGER NOT NULL,
            stop INTEGER NOT NULL,
            part INTEGER,
            size INTEGER NOT NULL,
            words BLOB NOT NULL
        )""",
        "CREATE INDEX documents_by_text ON documents (text)",
        "CREATE VIRTUAL TABLE terms USING fts5 (body, content = '', columnsize = 0, tokenize = 'ascii')",
        # Each place of a word, in each of the two.
        "CREATE VIRTUAL TABLE terms_places USING fts5vocab (terms, instance)",
        "CREATE VIRTUAL TABLE words_places USING fts5vocab (words, instance)",
        # The index from before stays until all its documents are in the new one (index_move.py). Then `words`, `docs`
        # and this are dropped, at once if there are no documents. Until then, spaces.docs and spaces.size count the old
        # index, and this counts the new one.
        """CREATE TABLE moved (
            space INTEGER PRIMARY KEY REFERENCES spaces (id),
            docs INTEGER NOT NULL,
            size INTEGER NOT NULL
        )""",
        "INSERT INTO settings (name, value) VALUES ('old_index', 'searched')",
    ),
    (
        # Facts (facts/). A statement is what one text said, and never changes; a fact is folded from the statements of
        # one slot. spaces.known: the time of the last transaction that made a statement known or closed one; it never
        # falls. facts, fact_size: the documents and words of the index of facts, as docs and size.
        "ALTER TABLE spaces ADD COLUMN known INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE spaces ADD COLUMN facts INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE spaces ADD COLUMN fact_size INTEGER NOT NULL DEFAULT 0",
        # own: the id of the fact that it makes if it is alone; fact: the id of the one that it supports, since it is
        # known; belief: that one's row, also when the statement is closed. stream, side, start, stop: the range of a
        # text from which it was read; signature: by it a stream has a statement once. messages (JSON), memory: the
        # sources. valid_from: NULL if it was not given, until the statement is known. said: when. known: NULL while it
        # is provisional. until: when it was found to be wrong, and replaced by that fact. slot, value, merge: how it is
        # folded. rewrites: 1: its text and its confidence are those of the fact; 2: its confidence alone. action,
        # about: what it did when it became known.
        """CREATE TABLE statements (
            seq INTEGER PRIMARY KEY AUTOINCREMENT,
            space INTEGER NOT NULL REFERENCES spaces (id),
            own TEXT NOT NULL,
            fact TEXT,
            belief INTEGER,
            stream INTEGER,
            side TEXT CHECK (side IN ('question', 'answer')),
            start INTEGER,
            stop INTEGER,
            signature TEXT,
            conversation TEXT,
            messages TEXT NOT NULL,
            memory TEXT,
            source_type TEXT NOT NULL,
            user_id TEXT,
            participant_id TEXT,
            body TEXT NOT NULL,
            fact_type TEXT NOT NULL,
            confidence NUMERIC NOT NULL,
            subject TEXT,
            predicate TEXT,
            qualifier TEXT,
            object TEXT,
            polarity TEXT NOT NULL,
            tense TEXT NOT NULL,
            tags TEXT NOT NULL,
            metadata TEXT,
            valid_from INTEGER,
            valid_until INTEGER,
            said INTEGER,
            known INTEGER,
            until INTEGER,
            replaced TEXT,
            replaces TEXT,
            slot TEXT NOT NULL,
            value TEXT NOT NULL,
            merge TEXT NOT NULL,
            rewrites INTEGER NOT NULL DEFAULT 0,
            action TEXT,
            about TEXT,
            version INTEGER NOT NULL DEFAULT 1,
            created INTEGER NOT NULL,
            UNIQUE (space, own)
        )""",
        "CREATE INDEX statements_by_slot ON statements (space, slot)",
        "CREATE INDEX statements_by_belief ON statements (belief) WHERE belief IS NOT NULL",
        "CREATE INDEX statements_by_memory ON statements (space, memory) WHERE memory IS NOT NULL",
        """CREATE INDEX statements_by_conversation ON statements (space, conversation)
            WHERE conversation IS NOT NULL""",
        "CREATE INDEX statements_by_stream ON statements (stream, side, signature) WHERE stream IS NOT NULL",
        """CREATE TABLE statement_messages (
            space INTEGER NOT NULL REFERENCES spaces (id),
            message TEXT NOT NULL,
            statement INTEGER NOT NULL,
            PRIMARY KEY (space, message, statement)
        ) WITHOUT ROWID""",
        # known_until: when it was found to be wrong. closed: NULL while it holds.
        """CREATE TABLE facts (
            seq INTEGER PRIMARY KEY AUTOINCREMENT,
            space INTEGER NOT NULL REFERENCES spaces (id),
            id TEXT NOT NULL,
            slot TEXT NOT NULL,
            body TEXT NOT NULL,
            fact_type TEXT NOT NULL,
            confidence NUMERIC NOT NULL,
            subject TEXT,
            predicate TEXT,
            qualifier TEXT,
            object TEXT,
            polarity TEXT NOT NULL,
            tense TEXT NOT NULL,
            source_type TEXT NOT NULL,
            user_id TEXT,
            participant_id TEXT,
            tags TEXT NOT NULL,
            metadata TEXT,
            valid_from INTEGER,
            valid_until INTEGER,
            known_from INTEGER NOT NULL,
            known_until INTEGER,
            closed TEXT CHECK (closed IN ('changed', 'wrong')),
            supersedes TEXT,
            superseded_by TEXT,
            version INTEGER NOT NULL,
            created INTEGER NOT NULL,
            updated INTEGER NOT NULL,
            UNIQUE (space, id)
        )""",
        "CREATE INDEX facts_by_space ON facts (space, seq)",
        "CREATE INDEX facts_by_slot ON facts (space, slot)",
        "CREATE INDEX facts_by_subject ON facts (space, subject, predicate) WHERE subject IS NOT NULL",
        "CREATE INDEX facts_by_user ON facts (space, user_id) WHERE user_id IS NOT NULL",
        "CREATE INDEX facts_by_successor ON facts (space, superseded_by) WHERE superseded_by IS NOT NULL",
        # What may be alike: hashes of a fact's subject and predicate, and those of its MinHash.
        """CREATE TABLE fact_bands (
            space INTEGER NOT NULL REFERENCES spaces (id),
            band INTEGER NOT NULL,
            fact INTEGER NOT NULL,
            PRIMARY KEY (space, band, fact)
        ) WITHOUT ROWID""",
        "CREATE INDEX fact_bands_by_fact ON fact_bands (fact)",
        # The index of facts: as documents, terms and terms_places; text: the row of the fact.
        """CREATE TABLE fact_documents (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            text INTEGER NOT NULL REFERENCES facts (seq),
            part INTEGER,
            size INTEGER NOT NULL,
            words BLOB NOT NULL
        )""",
        "CREATE INDEX fact_documents_by_text ON fact_documents (text)",
        "CREATE VIRTUAL TABLE fact_terms USING fts5 (body, content = '', columnsize = 0, tokenize = 'ascii')",
        "CREATE VIRTUAL TABLE fact_places USING fts5vocab (fact_terms, instance)",
        # model: its name, '' if it is not known. vector: 64-bit floats, as they were given.
        """CREATE TABLE statement_vectors (
            statement INTEGER PRIMARY KEY,
            model TEXT NOT NULL,
            vector BLOB NOT NULL
        )""",
        # facts: the stream is read for them. extractions: how far its texts were read. What could not be read is in the
        # queue; memory: its own.
        "ALTER TABLE streams ADD COLUMN facts INTEGER NOT NULL DEFAULT 0",
        """CREATE TABLE extractions (
            stream INTEGER NOT NULL,
            side TEXT NOT NULL CHECK (side IN ('question', 'answer')),
            stop INTEGER NOT NULL,
            PRIMARY KEY (stream, side)
        ) WITHOUT ROWID""",
        """CREATE TABLE extraction_queue (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            space INTEGER NOT NULL REFERENCES spaces (id),
            stream INTEGER NOT NULL,
            side TEXT NOT NULL CHECK (side IN ('question', 'answer')),
            start INTEGER NOT NULL,
            stop INTEGER NOT NULL,
            memory TEXT NOT NULL,
            state TEXT NOT NULL CHECK (state IN ('queued', 'dead')),
            tries INTEGER NOT NULL,
            error TEXT,
            created INTEGER NOT NULL,
            UNIQUE (stream, side, start)
        )""",
        "CREATE INDEX extraction_queue_by_memory ON extraction_queue (space, memory)",
        "CREATE INDEX extraction_queue_by_space ON extraction_queue (space, state, id)",
        "CREATE INDEX extraction_queue_by_state ON extraction_queue (state, id)",
    ),
    # The tables of the nine core APIs.
    (
        *_CONVERSATIONS,
        *_MEMORIES,
        *_IMMUTABLE,
        *_MUTABLE,
        *_CONTEXTS,
        *_AGENTS,
        *_MEMORY_SPACES,
        *_OUTBOX,
    ),
    (
        *_OUTBOX_LEASE,
        # The entries of a user of any type, in the order in which they were made.
        "CREATE INDEX immutable_of_user ON immutable (user_id, seq) WHERE user_id IS NOT NULL",
    ),
)
