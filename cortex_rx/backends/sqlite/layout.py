"""The layout of a new file, and its first rows.

Written by docs/file_layout.py (make docs) from the migrations in `schema`: edit those.
"""
# ruff: noqa: E501

from __future__ import annotations

__all__ = ["LAYOUT"]

LAYOUT: tuple[str, ...] = (
    """CREATE TABLE spaces (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            name TEXT NOT NULL UNIQUE,
            docs INTEGER NOT NULL DEFAULT 0,
            size INTEGER NOT NULL DEFAULT 0
        , known INTEGER NOT NULL DEFAULT 0, facts INTEGER NOT NULL DEFAULT 0, fact_size INTEGER NOT NULL DEFAULT 0)""",
    "INSERT INTO spaces (id, name, docs, size, known, facts, fact_size) VALUES (0, '', 0, 0, 0, 0, 0)",
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
        , term INTEGER NOT NULL DEFAULT 0, failure TEXT)""",
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
            updated INTEGER NOT NULL, given TEXT, parties TEXT, made_by TEXT, metadata TEXT,
            UNIQUE (space, id)
        )""",
    """CREATE TABLE attempts (
            stream INTEGER NOT NULL REFERENCES streams (seq),
            attempt INTEGER NOT NULL,
            text INTEGER NOT NULL REFERENCES texts (id),
            PRIMARY KEY (stream, attempt)
        ) WITHOUT ROWID""",
    "CREATE INDEX attempts_by_text ON attempts (text)",
    """CREATE TABLE tokens (
            serial INTEGER PRIMARY KEY AUTOINCREMENT,
            hash TEXT NOT NULL UNIQUE,
            space TEXT NOT NULL,
            stream INTEGER REFERENCES streams (seq),
            expires INTEGER NOT NULL
        )""",
    "CREATE INDEX tokens_by_stream ON tokens (stream)",
    """CREATE TABLE chunks (
            memory INTEGER NOT NULL REFERENCES memories (seq),
            part INTEGER NOT NULL,
            space TEXT NOT NULL,
            id TEXT NOT NULL,
            start INTEGER NOT NULL,
            stop INTEGER NOT NULL,
            overlap INTEGER NOT NULL,
            UNIQUE (memory, part),
            UNIQUE (space, id)
        )""",
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
            breaks TEXT NOT NULL DEFAULT '[]', stopping INTEGER NOT NULL DEFAULT 0, conversation_seq INTEGER, question_kept INTEGER NOT NULL DEFAULT 0, facts INTEGER NOT NULL DEFAULT 0,
            UNIQUE (space, id)
        )""",
    """CREATE TABLE pieces (
            place INTEGER PRIMARY KEY,
            body TEXT NOT NULL,
            text INTEGER GENERATED ALWAYS AS (place >> 32) VIRTUAL,
            start INTEGER GENERATED ALWAYS AS (place & 0xffffffff) VIRTUAL
        )""",
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
    "CREATE INDEX messages_by_text ON messages (text)",
    "CREATE INDEX streams_open ON streams (space, conversation_seq) WHERE state = 'open'",
    "CREATE INDEX streams_by_conversation ON streams (conversation_seq) WHERE conversation_seq IS NOT NULL",
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
            created INTEGER NOT NULL,
            updated INTEGER NOT NULL,
            access_count INTEGER NOT NULL DEFAULT 0,
            metadata TEXT,
            chunks INTEGER NOT NULL DEFAULT 0, archived INTEGER NOT NULL DEFAULT 0,
            UNIQUE (space, id)
        )""",
    "CREATE INDEX memories_by_stream ON memories (stream) WHERE stream IS NOT NULL",
    "CREATE INDEX memories_by_conversation ON memories (space, conversation, seq) WHERE conversation IS NOT NULL",
    """CREATE TABLE embedders (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            name TEXT NOT NULL,
            dimension INTEGER NOT NULL,
            state TEXT NOT NULL CHECK (state IN ('current', 'next', 'kept', 'dropped')),
            UNIQUE (name, dimension)
        )""",
    "CREATE UNIQUE INDEX embedders_in_use ON embedders (state) WHERE state IN ('current', 'next')",
    """CREATE TABLE vectors (
            memory INTEGER NOT NULL,
            part INTEGER NOT NULL,
            embedder INTEGER NOT NULL REFERENCES embedders (id),
            space INTEGER NOT NULL REFERENCES spaces (id),
            vector BLOB NOT NULL,
            UNIQUE (memory, part, embedder)
        )""",
    """CREATE TABLE vector_changes (
            space INTEGER NOT NULL REFERENCES spaces (id),
            number INTEGER NOT NULL,
            memory INTEGER NOT NULL UNIQUE,
            PRIMARY KEY (space, number)
        ) WITHOUT ROWID""",
    """CREATE TRIGGER vector_made AFTER INSERT ON vectors BEGIN
    UPDATE vector_changes SET number = (SELECT max(number) + 1 FROM vector_changes WHERE space = NEW.space)
        WHERE memory = NEW.memory;
    INSERT INTO vector_changes (space, number, memory)
        SELECT NEW.space, coalesce((SELECT max(number) FROM vector_changes WHERE space = NEW.space), 0) + 1, NEW.memory
        WHERE NOT EXISTS (SELECT 1 FROM vector_changes WHERE memory = NEW.memory);
END""",
    """CREATE TRIGGER vector_changed AFTER UPDATE ON vectors BEGIN
    UPDATE vector_changes SET number = (SELECT max(number) + 1 FROM vector_changes WHERE space = NEW.space)
        WHERE memory = NEW.memory;
    INSERT INTO vector_changes (space, number, memory)
        SELECT NEW.space, coalesce((SELECT max(number) FROM vector_changes WHERE space = NEW.space), 0) + 1, NEW.memory
        WHERE NOT EXISTS (SELECT 1 FROM vector_changes WHERE memory = NEW.memory);
END""",
    """CREATE TRIGGER vector_deleted AFTER DELETE ON vectors BEGIN
    UPDATE vector_changes SET number = (SELECT max(number) + 1 FROM vector_changes WHERE space = OLD.space)
        WHERE memory = OLD.memory;
    INSERT INTO vector_changes (space, number, memory)
        SELECT OLD.space, coalesce((SELECT max(number) FROM vector_changes WHERE space = OLD.space), 0) + 1, OLD.memory
        WHERE NOT EXISTS (SELECT 1 FROM vector_changes WHERE memory = OLD.memory);
END""",
    """CREATE TRIGGER vectors_of_deleted AFTER DELETE ON memories BEGIN
            DELETE FROM vectors WHERE memory = OLD.seq;
        END""",
    """CREATE INDEX streams_unanswered ON streams (space, memory)
            WHERE state = 'empty' OR (state = 'finished' AND reason = 'incomplete')""",
    "CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
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
    "CREATE VIRTUAL TABLE terms_places USING fts5vocab (terms, instance)",
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
    """CREATE TABLE fact_bands (
            space INTEGER NOT NULL REFERENCES spaces (id),
            band INTEGER NOT NULL,
            fact INTEGER NOT NULL,
            PRIMARY KEY (space, band, fact)
        ) WITHOUT ROWID""",
    "CREATE INDEX fact_bands_by_fact ON fact_bands (fact)",
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
    """CREATE TABLE statement_vectors (
            statement INTEGER PRIMARY KEY,
            model TEXT NOT NULL,
            vector BLOB NOT NULL
        )""",
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
    "CREATE INDEX conversations_by_type ON conversations (space, type, seq)",
    "CREATE INDEX conversations_by_user ON conversations (space, user_id, type, seq) WHERE user_id IS NOT NULL",
    "CREATE INDEX conversations_by_parties ON conversations (space, parties, seq) WHERE parties IS NOT NULL",
    "CREATE INDEX messages_by_id ON messages (conversation, id)",
    """CREATE TABLE conversation_counts (
        space TEXT NOT NULL,
        user_id TEXT NOT NULL,
        type TEXT NOT NULL,
        number INTEGER NOT NULL,
        PRIMARY KEY (space, user_id, type)
    ) WITHOUT ROWID""",
    """CREATE TRIGGER conversation_made AFTER INSERT ON conversations BEGIN
    INSERT INTO conversation_counts (space, user_id, type, number)
        SELECT NEW.space, counted, NEW.type, 1
        FROM (SELECT '' AS counted UNION ALL SELECT NEW.user_id WHERE NEW.user_id IS NOT NULL) WHERE true
        ON CONFLICT DO UPDATE SET number = number + 1;
END""",
    """CREATE TRIGGER conversation_deleted AFTER DELETE ON conversations BEGIN
    UPDATE conversation_counts SET number = number - 1
        WHERE space = OLD.space AND user_id IN ('', OLD.user_id) AND type = OLD.type;
    DELETE FROM conversation_counts
        WHERE space = OLD.space AND user_id IN ('', OLD.user_id) AND type = OLD.type AND number = 0;
END""",
    """CREATE TRIGGER conversation_changed AFTER UPDATE OF user_id, type ON conversations
WHEN OLD.user_id IS NOT NEW.user_id OR OLD.type IS NOT NEW.type BEGIN
    UPDATE conversation_counts SET number = number - 1
        WHERE space = OLD.space AND user_id IN ('', OLD.user_id) AND type = OLD.type;
    DELETE FROM conversation_counts
        WHERE space = OLD.space AND user_id IN ('', OLD.user_id) AND type = OLD.type AND number = 0;
    INSERT INTO conversation_counts (space, user_id, type, number)
        SELECT NEW.space, counted, NEW.type, 1
        FROM (SELECT '' AS counted UNION ALL SELECT NEW.user_id WHERE NEW.user_id IS NOT NULL) WHERE true
        ON CONFLICT DO UPDATE SET number = number + 1;
END""",
    "CREATE INDEX memories_listed_by_source ON memories (space, archived, source_type, seq) WHERE partial = 0",
    """CREATE INDEX memories_listed_by_user ON memories (space, user_id, archived, seq)
        WHERE partial = 0 AND user_id IS NOT NULL""",
    """CREATE INDEX memories_listed_by_participant ON memories (space, participant_id, archived, seq)
        WHERE partial = 0 AND participant_id IS NOT NULL""",
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
    """CREATE TRIGGER memory_made AFTER INSERT ON memories WHEN NOT NEW.partial BEGIN
    INSERT INTO memory_counts (space, user, participant, source, archived, memories, chunks)
        SELECT spaces.id, users.id, participants.id, NEW.source_type, NEW.archived, 1, 1 * NEW.chunks
        FROM spaces CROSS JOIN (SELECT '' AS id UNION ALL SELECT NEW.user_id) AS users
            CROSS JOIN (SELECT '' AS id UNION ALL SELECT NEW.participant_id) AS participants
        WHERE spaces.name = NEW.space AND NOT NEW.partial
            AND users.id IS NOT NULL AND participants.id IS NOT NULL
        ON CONFLICT DO UPDATE SET memories = memories + excluded.memories, chunks = chunks + excluded.chunks;
END""",
    """CREATE TRIGGER memory_completed AFTER UPDATE OF partial ON memories WHEN OLD.partial BEGIN
    INSERT INTO memory_counts (space, user, participant, source, archived, memories, chunks)
        SELECT spaces.id, users.id, participants.id, NEW.source_type, NEW.archived, 1, 1 * NEW.chunks
        FROM spaces CROSS JOIN (SELECT '' AS id UNION ALL SELECT NEW.user_id) AS users
            CROSS JOIN (SELECT '' AS id UNION ALL SELECT NEW.participant_id) AS participants
        WHERE spaces.name = NEW.space AND NOT NEW.partial
            AND users.id IS NOT NULL AND participants.id IS NOT NULL
        ON CONFLICT DO UPDATE SET memories = memories + excluded.memories, chunks = chunks + excluded.chunks;
END""",
    """CREATE TRIGGER memory_changed AFTER UPDATE OF user_id, participant_id, source_type, archived, chunks
        ON memories WHEN NOT OLD.partial BEGIN
    INSERT INTO memory_counts (space, user, participant, source, archived, memories, chunks)
        SELECT spaces.id, users.id, participants.id, NEW.source_type, NEW.archived, 1, 1 * NEW.chunks
        FROM spaces CROSS JOIN (SELECT '' AS id UNION ALL SELECT NEW.user_id) AS users
            CROSS JOIN (SELECT '' AS id UNION ALL SELECT NEW.participant_id) AS participants
        WHERE spaces.name = NEW.space AND NOT NEW.partial
            AND users.id IS NOT NULL AND participants.id IS NOT NULL
        ON CONFLICT DO UPDATE SET memories = memories + excluded.memories, chunks = chunks + excluded.chunks;
    INSERT INTO memory_counts (space, user, participant, source, archived, memories, chunks)
        SELECT spaces.id, users.id, participants.id, OLD.source_type, OLD.archived, -1, -1 * OLD.chunks
        FROM spaces CROSS JOIN (SELECT '' AS id UNION ALL SELECT OLD.user_id) AS users
            CROSS JOIN (SELECT '' AS id UNION ALL SELECT OLD.participant_id) AS participants
        WHERE spaces.name = OLD.space AND NOT OLD.partial
            AND users.id IS NOT NULL AND participants.id IS NOT NULL
        ON CONFLICT DO UPDATE SET memories = memories + excluded.memories, chunks = chunks + excluded.chunks;
    DELETE FROM memory_counts WHERE space = (SELECT id FROM spaces WHERE name = OLD.space)
        AND user IN ('', OLD.user_id) AND participant IN ('', OLD.participant_id) AND memories = 0;
END""",
    """CREATE TRIGGER memory_deleted AFTER DELETE ON memories WHEN NOT OLD.partial BEGIN
    INSERT INTO memory_counts (space, user, participant, source, archived, memories, chunks)
        SELECT spaces.id, users.id, participants.id, OLD.source_type, OLD.archived, -1, -1 * OLD.chunks
        FROM spaces CROSS JOIN (SELECT '' AS id UNION ALL SELECT OLD.user_id) AS users
            CROSS JOIN (SELECT '' AS id UNION ALL SELECT OLD.participant_id) AS participants
        WHERE spaces.name = OLD.space AND NOT OLD.partial
            AND users.id IS NOT NULL AND participants.id IS NOT NULL
        ON CONFLICT DO UPDATE SET memories = memories + excluded.memories, chunks = chunks + excluded.chunks;
    DELETE FROM memory_counts WHERE space = (SELECT id FROM spaces WHERE name = OLD.space)
        AND user IN ('', OLD.user_id) AND participant IN ('', OLD.participant_id) AND memories = 0;
END""",
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
    """CREATE TABLE fact_counts (
        space INTEGER NOT NULL,
        user TEXT NOT NULL,
        kind TEXT NOT NULL,
        state INTEGER NOT NULL,
        facts INTEGER NOT NULL,
        PRIMARY KEY (space, user, kind, state)
    ) WITHOUT ROWID""",
    """CREATE TRIGGER fact_made AFTER INSERT ON facts BEGIN INSERT INTO fact_counts (space, user, kind, state, facts)
        SELECT NEW.space, users.id, NEW.fact_type,
            iif(NEW.closed IS NULL, 0, iif(NEW.superseded_by IS NULL, 2, 1)), 1
        FROM (SELECT '' AS id UNION ALL SELECT NEW.user_id) AS users WHERE users.id IS NOT NULL
        ON CONFLICT DO UPDATE SET facts = facts + excluded.facts; END""",
    """CREATE TRIGGER fact_changed AFTER UPDATE OF user_id, fact_type, closed, superseded_by ON facts
        WHEN (OLD.user_id, OLD.fact_type, OLD.closed, OLD.superseded_by)
            IS NOT (NEW.user_id, NEW.fact_type, NEW.closed, NEW.superseded_by)
        BEGIN INSERT INTO fact_counts (space, user, kind, state, facts)
        SELECT NEW.space, users.id, NEW.fact_type,
            iif(NEW.closed IS NULL, 0, iif(NEW.superseded_by IS NULL, 2, 1)), 1
        FROM (SELECT '' AS id UNION ALL SELECT NEW.user_id) AS users WHERE users.id IS NOT NULL
        ON CONFLICT DO UPDATE SET facts = facts + excluded.facts; INSERT INTO fact_counts (space, user, kind, state, facts)
        SELECT OLD.space, users.id, OLD.fact_type,
            iif(OLD.closed IS NULL, 0, iif(OLD.superseded_by IS NULL, 2, 1)), -1
        FROM (SELECT '' AS id UNION ALL SELECT OLD.user_id) AS users WHERE users.id IS NOT NULL
        ON CONFLICT DO UPDATE SET facts = facts + excluded.facts; DELETE FROM fact_counts WHERE space = OLD.space AND user IN ('', OLD.user_id) AND facts = 0; END""",
    """CREATE TRIGGER fact_deleted AFTER DELETE ON facts BEGIN INSERT INTO fact_counts (space, user, kind, state, facts)
        SELECT OLD.space, users.id, OLD.fact_type,
            iif(OLD.closed IS NULL, 0, iif(OLD.superseded_by IS NULL, 2, 1)), -1
        FROM (SELECT '' AS id UNION ALL SELECT OLD.user_id) AS users WHERE users.id IS NOT NULL
        ON CONFLICT DO UPDATE SET facts = facts + excluded.facts; DELETE FROM fact_counts WHERE space = OLD.space AND user IN ('', OLD.user_id) AND facts = 0; END""",
    "CREATE INDEX facts_by_type ON facts (space, fact_type, seq)",
    "CREATE INDEX facts_listed_by_participant ON facts (space, participant_id, seq) WHERE participant_id IS NOT NULL",
    """CREATE TRIGGER vector_narrowed AFTER UPDATE OF user_id, source_type, content_type, source_timestamp, conversation, importance, tags, created, updated, chunks, archived ON memories WHEN EXISTS (SELECT 1 FROM vectors WHERE memory = NEW.seq) BEGIN
    UPDATE vector_changes SET number = (SELECT max(number) + 1 FROM vector_changes WHERE space = (SELECT space FROM vectors WHERE memory = NEW.seq LIMIT 1))
        WHERE memory = NEW.seq;
    INSERT INTO vector_changes (space, number, memory)
        SELECT (SELECT space FROM vectors WHERE memory = NEW.seq LIMIT 1), coalesce((SELECT max(number) FROM vector_changes WHERE space = (SELECT space FROM vectors WHERE memory = NEW.seq LIMIT 1)), 0) + 1, NEW.seq
        WHERE NOT EXISTS (SELECT 1 FROM vector_changes WHERE memory = NEW.seq);
END""",
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
    "CREATE TABLE mutable_deleted (namespace TEXT PRIMARY KEY, version INTEGER NOT NULL) WITHOUT ROWID",
    """CREATE TRIGGER mutable_key_deleted AFTER DELETE ON mutable BEGIN
        INSERT INTO mutable_deleted (namespace, version) VALUES (OLD.namespace, OLD.version)
            ON CONFLICT (namespace) DO UPDATE SET version = max(version, excluded.version);
    END""",
    """CREATE TABLE mutable_operations (
        seq INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        call TEXT NOT NULL,
        result TEXT NOT NULL,
        done INTEGER NOT NULL
    )""",
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
    """CREATE TABLE context_grants (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        context INTEGER NOT NULL,
        target TEXT NOT NULL,
        scope TEXT NOT NULL,
        granted INTEGER NOT NULL,
        UNIQUE (context, target)
    )""",
    "CREATE INDEX context_grants_by_target ON context_grants (target, number)",
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
    "CREATE INDEX memories_by_agent ON memories (agent_id, space, updated) WHERE agent_id IS NOT NULL AND partial = 0",
    """CREATE INDEX memories_by_participant ON memories (participant_id, space, updated)
        WHERE participant_id IS NOT NULL AND partial = 0""",
    "CREATE INDEX conversations_by_agent ON conversations (agent_id) WHERE agent_id IS NOT NULL",
    "CREATE INDEX conversations_by_participant ON conversations (participant_id) WHERE participant_id IS NOT NULL",
    """CREATE INDEX facts_by_participant ON facts (participant_id, space, updated)
        WHERE participant_id IS NOT NULL AND closed IS NULL""",
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
    """CREATE TABLE outbox (
        revision INTEGER PRIMARY KEY AUTOINCREMENT,
        record_table TEXT NOT NULL,
        scope TEXT NOT NULL,
        key TEXT NOT NULL, attempts INTEGER NOT NULL DEFAULT 0, due INTEGER DEFAULT 0, error TEXT, failed INTEGER,
        UNIQUE (record_table, scope, key)
    )""",
    "CREATE INDEX outbox_failed ON outbox (revision) WHERE attempts > 0",
    """CREATE TABLE outbox_lease (
        one INTEGER PRIMARY KEY CHECK (one = 1),
        store TEXT NOT NULL,
        term INTEGER NOT NULL DEFAULT 0,
        holder TEXT,
        until INTEGER NOT NULL DEFAULT 0,
        length INTEGER NOT NULL DEFAULT 0
    )""",
    "CREATE INDEX immutable_of_user ON immutable (user_id, seq) WHERE user_id IS NOT NULL",
)
