"""The functions `agents:*`."""

from __future__ import annotations

from cortex_rx.backends.contract.pages import LISTED, PAGED, page_of
from cortex_rx.backends.contract.types import (
    COUNT,
    ID,
    TEXT,
    TIME,
    AtLeastOne,
    Flag,
    Function,
    JsonObject,
    ListOf,
    Nullable,
    Object,
    OneOf,
    Optional,
    Table,
    fields,
)

__all__ = ["AGENT_FIELDS", "TABLE"]

_AGENT_ID = fields(agentId=ID)
_STATUS = OneOf(("active", "inactive", "archived"))
AGENT_FIELDS = (
    *_AGENT_ID,
    *fields(
        name=ID, description=Optional(TEXT), metadata=Optional(JsonObject()), config=Optional(JsonObject()),
        status=_STATUS, registeredAt=TIME, updatedAt=TIME,
    ),
)  # fmt: skip
_AGENT = Object(AGENT_FIELDS, name="Agent", meaning="A registered agent.")
_FILTERS = fields(
    name=Optional(TEXT),
    status=Optional(_STATUS),
    metadata=Optional(JsonObject()),
    capabilities=Optional(ListOf(TEXT)),
    capabilitiesMatch=Optional(OneOf(("any", "all")), "any"),
    registeredAfter=Optional(TIME),
    registeredBefore=Optional(TIME),
)

TABLE = Table(
    "agents",
    """The agents that somebody has registered. An agent that is not registered may write memories all the same. The
table is the whole store's: it has no memory spaces, and the statistics of an agent are of all of them.

Filters act before the page; all must fit. `name`: it has this text in it, in capitals or small letters. `metadata`: it
has these values under these keys. `capabilities`: the list `capabilities` in its metadata has any of these, or all with
`capabilitiesMatch` "all". "after" is at this time or later, "before" is earlier. Unless said otherwise, the one that
was registered last comes first.""",
    (
        Function(
            "agents:register",
            "mutation",
            Object(
                (
                    *_AGENT_ID,
                    *fields(
                        name=ID, description=Optional(TEXT), metadata=Optional(JsonObject()),
                        config=Optional(JsonObject()),
                    ),
                )
            ),
            _AGENT,
            """Registers an agent; it is active. Another one under this id is an `AgentAlreadyRegistered`.""",
            errors=("AgentAlreadyRegistered",),
            repeated="The same: nothing is stored.",
        ),
        Function(
            "agents:update",
            "mutation",
            Object(
                (
                    *_AGENT_ID,
                    *fields(
                        name=Optional(ID), description=Optional(TEXT), metadata=Optional(JsonObject()),
                        config=Optional(JsonObject()), status=Optional(_STATUS),
                    ),
                )
            ),
            _AGENT,
            """Replaces what is given; the rest stays. `metadata` and `config` are replaced whole.""",
            errors=("AgentNotRegistered",),
            repeated="The same.",
        ),
        Function(
            "agents:configure",
            "mutation",
            Object((*_AGENT_ID, *fields(config=JsonObject()))),
            _AGENT,
            """Replaces the configuration.""",
            errors=("AgentNotRegistered",),
            repeated="The same.",
            ours=True,
        ),
        Function(
            "agents:unregister",
            "mutation",
            Object((*_AGENT_ID, *fields(dryRun=Optional(Flag(), False)))),
            Object(fields(deleted=Flag(), agentId=ID, unregisteredAt=TIME), name="UnregisteredAgent"),
            """Removes the registration; what the agent has written stays. With `dryRun` nothing is removed, and
`deleted` is False.""",
            errors=("AgentNotRegistered",),
            repeated="`AgentNotRegistered`, which then means success.",
        ),
        Function(
            "agents:unregisterMany",
            "mutation",
            Object(
                (
                    *fields(agentIds=Optional(ListOf(ID)), dryRun=Optional(Flag(), False)),
                    *_FILTERS,
                ),
                rules=(
                    AtLeastOne(("agentIds", *(field.name for field in _FILTERS if field.name != "capabilitiesMatch"))),
                ),
            ),
            Object(fields(deleted=COUNT, agentIds=ListOf(ID)), name="UnregisteredAgents"),
            """Removes the registrations that pass all filters, the oldest first. Ids that are not registered are passed
over. With `dryRun` it says which they are, and removes none: `deleted` is 0.""",
            repeated="It removes those that pass by then.",
        ),
        Function(
            "agents:get", "query", Object(_AGENT_ID), Nullable(_AGENT), """The agent; None if it is not registered."""
        ),
        Function("agents:exists", "query", Object(_AGENT_ID), Flag(), """Whether the agent is registered."""),
        Function(
            "agents:list",
            "query",
            Object(
                (
                    *fields(
                        status=Optional(_STATUS), sortBy=Optional(OneOf(("name", "registeredAt", "updatedAt"))),
                        sortOrder=Optional(OneOf(("asc", "desc"))),
                    ),
                    *LISTED,
                )
            ),
            ListOf(_AGENT),
            """Agents. Names are sorted by their code points, in ascending order unless `sortOrder` says otherwise; by
their times the newest comes first. Equal ones are in the order in which they were registered.""",
        ),
        Function(
            "agents:search",
            "query",
            Object((*_FILTERS, *LISTED)),
            ListOf(_AGENT),
            """Agents that pass the filters.""",
            ours=True,
        ),
        Function(
            "agents:page",
            "query",
            Object((*_FILTERS, *PAGED)),
            page_of(_AGENT, "AgentPage"),
            """A page of what `agents:search` gives, the oldest first.""",
            ours=True,
        ),
        Function(
            "agents:count",
            "query",
            Object(_FILTERS),
            COUNT,
            """How many agents `agents:search` gives without a limit.""",
        ),
        Function(
            "agents:computeStats",
            "query",
            Object(_AGENT_ID),
            Object(
                fields(
                    totalMemories=COUNT, totalConversations=COUNT, totalFacts=COUNT, memorySpacesActive=COUNT,
                    lastActive=Optional(TIME),
                ),
                name="AgentStatistics",
            ),
            """What the agent has in all memory spaces, registered or not: the memories, the facts that nothing has
closed, and the conversations whose agent or participant it is, and in how many spaces they are. `lastActive` is the
newest time at which one of them changed.""",
        ),
    ),
)  # fmt: skip
"""The functions `agents:*`."""
