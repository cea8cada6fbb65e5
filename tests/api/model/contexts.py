"""Contexts of two memory spaces: trees as each space sees them, grants that open and close, and versions."""

from __future__ import annotations

from typing import Any

from api.model.machine import SPACES, USERS, Machine, Refused, fields, one_of, page
from hypothesis import strategies as st
from hypothesis.stateful import rule

from cortex_rx.errors import (
    ContextNotFound,
    ContextReadOnly,
    HasChildren,
    IdempotencyConflict,
    ParentNotFound,
    VersionConflict,
)

__all__ = ["Contexts"]

IDS = tuple(f"ctx-{number}" for number in range(5))
SCOPES = ("read-only", "context-only", "full")
STATUSES = ("active", "completed", "blocked")
DATA = st.sampled_from([None, {"step": 1}, {"step": 2, "note": "x"}])
CONTEXT = one_of(lambda machine: [one["id"] for one in machine.contexts] or IDS)
VERSIONED = ("status", "description", "data", "completed_at")

Context = dict[str, Any]


def shown(context: Any) -> dict[str, Any]:
    """What is compared of a context: all but its versions."""
    found = fields(context, "previous_versions")
    found.pop("context_id", None)
    grants = {one["memory_space_id"]: one["scope"] for one in found.pop("granted_access", ())}
    return {"data": {}, **found, "grants": grants}


class Contexts(Machine):
    def __init__(self) -> None:
        super().__init__()
        self.contexts: list[Context] = []
        """In the order in which they were made. `parent` is the context itself, which may be gone."""

    # --- what a memory space sees

    def sees(self, space: str, context: Context | None) -> bool:
        there = context is not None and any(one is context for one in self.contexts)
        return there and (context["space"] == space or space in context["grants"])

    def context(self, space: str, context_id: str) -> Context | None:
        """An own context, else a granted one."""
        found = [one for one in self.contexts if one["id"] == context_id and self.sees(space, one)]
        return min(found, key=lambda one: one["space"] != space, default=None)

    def parent(self, space: str, context: Context) -> Context | None:
        return context["parent"] if self.sees(space, context["parent"]) else None

    def children(self, space: str, context: Context) -> list[Context]:
        return [one for one in self.contexts if one["parent"] is context and self.sees(space, one)]

    def ancestors(self, space: str, context: Context) -> list[Context]:
        """From the root to the parent."""
        parent = self.parent(space, context)
        return [] if parent is None else [*self.ancestors(space, parent), parent]

    def descendants(self, space: str, context: Context) -> list[Context]:
        children = self.children(space, context)
        return [*children, *(one for child in children for one in self.descendants(space, child))]

    def view(self, space: str, context: Context) -> dict[str, Any]:
        ancestors, own = self.ancestors(space, context), context["space"] == space
        names = ("id", "purpose", "user_id", "participants", "version", "created_at", "updated_at", *VERSIONED)
        seen = {"data": {}, **{name: context[name] for name in names if context[name] is not None}}
        if (parent := context["parent"] if own else self.parent(space, context)) is not None:
            seen["parent_id"] = parent["id"]
        if context["conversation_id"] is not None:
            seen["conversation_ref"] = {"conversation_id": context["conversation_id"], "message_ids": []}
        return seen | {
            "memory_space_id": context["space"],
            "root_id": ancestors[0]["id"] if ancestors else context["id"],
            "depth": len(ancestors),
            "child_ids": [one["id"] for one in self.children(space, context)],
            "grants": {to: scope for to, scope in context["grants"].items() if own or to == space},
        }

    def contexts_of(self, space: str, **wanted: Any) -> list[Context]:
        """The own contexts of a space that show these values."""
        own = [one for one in self.contexts if one["space"] == space]
        chosen = {name: value for name, value in wanted.items() if value is not None}
        return [one for one in own if all(self.view(space, one).get(name) == value for name, value in chosen.items())]

    # --- what changes them

    def version(self, context: Context, by: str) -> None:
        context["updated_at"] = self.now
        kept = {name: context[name] for name in VERSIONED if context[name] is not None}
        context["versions"].append({"version": context["version"], **kept, "timestamp": self.now, "updated_by": by})

    def change(self, context: Context, by: str, updates: dict[str, Any]) -> None:
        before = {name: context[name] for name in VERSIONED}
        after = {**before, **{name: value for name, value in updates.items() if value is not None}}
        if updates.get("data") is not None:
            after["data"] = {**(before["data"] or {}), **updates["data"]}
        if after["status"] != before["status"] and updates.get("completed_at") is None:
            after["completed_at"] = self.now if after["status"] == "completed" else None
        if after != before:
            context.update(after, version=context["version"] + 1)
            self.version(context, by)

    def refuses(self, space: str, context: Context | None, needs: str) -> Refused | None:
        """Why a space may not change a context: it needs this scope, or to be its owner."""
        if context is None:
            return Refused(ContextNotFound)
        if context["space"] == space:
            return None
        scopes = (*SCOPES, "owner")
        if scopes.index(context["grants"][space]) < scopes.index(needs):
            return Refused(ContextReadOnly)
        return self.writes(context["space"]) if needs == "context-only" else None

    def remove(self, contexts: list[Context]) -> None:
        self.contexts[:] = [one for one in self.contexts if not any(one is gone for gone in contexts)]

    @rule(
        space=st.sampled_from(SPACES),
        context_id=st.sampled_from(IDS),
        parent_id=st.one_of(st.none(), CONTEXT),
        purpose=st.sampled_from(["Refund", "Ship"]),
        user_id=st.sampled_from([None, *USERS]),
        data=DATA,
        status=st.sampled_from([None, *STATUSES]),
        conversation_id=st.sampled_from([None, "c-1"]),
    )
    def create_context(
        self,
        space: str,
        context_id: str,
        parent_id: str | None,
        purpose: str,
        user_id: str | None,
        data: dict[str, Any] | None,
        status: str | None,
        conversation_id: str | None,
    ) -> None:
        given = {"purpose": purpose, "user_id": user_id, "data": data, "status": status or "active"}
        given |= {"conversation_id": conversation_id}
        there = next((one for one in self.contexts if (one["space"], one["id"]) == (space, context_id)), None)
        parent = None if parent_id is None else self.context(space, parent_id)
        expected: object = self.writes(space)
        new: Context | None = None
        if expected is None and there is not None:
            same = there["made"] == {**given, "parent_id": parent_id}
            expected = self.view(space, there) if same else Refused(IdempotencyConflict)
        elif expected is None and parent_id is not None and parent is None:
            expected = Refused(ParentNotFound)
        elif expected is None and not (parent and (expected := self.refuses(space, parent, "full"))):
            new = {
                **given,
                "id": context_id,
                "space": space,
                "parent": parent,
                "made": {**given, "parent_id": parent_id},
            }
            new |= {"participants": [space], "grants": {}, "version": 1, "versions": [], "description": None}
            new |= {"created_at": self.now, "completed_at": self.now if status == "completed" else None}
            self.version(new, space)
            self.contexts.append(new)
            self.used.add(space)
            expected = self.view(space, new)
        call = self.cortex.contexts.create(
            {
                "context_id": context_id,
                "memory_space_id": space,
                "parent_id": parent_id,
                "purpose": purpose,
                "user_id": user_id,
                "data": data,
                "status": status,
                "conversation_ref": conversation_id and {"conversation_id": conversation_id},
            }
        )
        self.agree("contexts.create", call, expected, shown)

    @rule(
        space=st.sampled_from(SPACES),
        context_id=CONTEXT,
        updates=st.fixed_dictionaries(
            {},
            optional={
                "status": st.sampled_from(STATUSES),
                "data": st.sampled_from([{"step": 2}, {"more": None}, {}]),
                "description": st.just("Handed over"),
                "completed_at": st.just(1_700_000_000_000),
            },
        ),
        expected_version=st.sampled_from([None, None, 1, 2]),
    )
    def update_context(
        self, space: str, context_id: str, updates: dict[str, Any], expected_version: int | None
    ) -> None:
        there = self.context(space, context_id)
        expected: object = self.writes(space) or self.refuses(space, there, "context-only")
        if not expected:
            if expected_version not in (None, there["version"]):
                expected = Refused(VersionConflict)
            else:
                self.change(there, space, updates)
                expected = self.view(space, there)
        call = self.cortex.contexts.update(
            context_id, updates, expected_version=expected_version, memory_space_id=space
        )
        self.agree("contexts.update", call, expected, shown)

    @rule(
        space=st.sampled_from(SPACES),
        context_id=CONTEXT,
        how=st.sampled_from([{}, {"cascade_children": True}, {"orphan_children": True}]),
    )
    def delete_context(self, space: str, context_id: str, how: dict[str, bool]) -> None:
        there = self.context(space, context_id)
        expected: object = self.writes(space) or self.refuses(space, there, "owner")
        if not expected:
            children = [one for one in self.children(space, there) if one["space"] == space]
            if children and not how:
                expected = Refused(HasChildren)
            else:
                gone = self._below(there) if "cascade_children" in how else []
                orphans = [] if gone else children
                expected = {"deleted": True, "context_id": context_id, "descendants_deleted": len(gone)}
                expected |= {"orphaned_children": [one["id"] for one in orphans]}
                for one in orphans:
                    one.update(parent=None, updated_at=self.now)
                self.remove([there, *gone])
        call = self.cortex.contexts.delete(context_id, how, memory_space_id=space)
        self.agree("contexts.delete", call, expected)

    def _below(self, context: Context) -> list[Context]:
        """The descendants in the same memory space, through contexts of this space."""
        children = [one for one in self.contexts if one["parent"] is context and one["space"] == context["space"]]
        return [*children, *(one for child in children for one in self._below(child))]

    @rule(space=st.sampled_from(SPACES), context_id=CONTEXT, scope=st.sampled_from([*SCOPES, None]))
    def grant(self, space: str, context_id: str, scope: str | None) -> None:
        """Grant access to the other space; without a scope revoke it."""
        there = self.context(space, context_id)
        (other,) = {*SPACES} - {space}
        expected: object = self.writes(space) or self.refuses(space, there, "owner")
        if not expected:
            if there["grants"].get(other) != scope:
                there.update(grants={other: scope} if scope else {}, updated_at=self.now)
            expected = self.view(space, there)
        contexts = self.cortex.contexts
        if scope:
            call = contexts.grant_access(context_id, other, scope, memory_space_id=space)
            self.agree("contexts.grant_access", call, expected, shown)
        else:
            call = contexts.revoke_access(context_id, other, memory_space_id=space)
            self.agree("contexts.revoke_access", call, expected, shown)

    @rule(space=st.sampled_from(SPACES), context_id=CONTEXT, who=st.sampled_from(USERS), add=st.booleans())
    def participant(self, space: str, context_id: str, who: str, add: bool) -> None:
        there = self.context(space, context_id)
        expected: object = self.writes(space) or self.refuses(space, there, "context-only")
        if not expected:
            if add != (who in there["participants"]):
                others = [one for one in there["participants"] if one != who]
                there.update(participants=[*others, who] if add else others, updated_at=self.now)
            expected = self.view(space, there)
        contexts = self.cortex.contexts
        name = "add_participant" if add else "remove_participant"
        call = getattr(contexts, name)(context_id, who, memory_space_id=space)
        self.agree(f"contexts.{name}", call, expected, shown)

    @rule(
        space=st.sampled_from(SPACES),
        wanted=st.sampled_from([{"status": "active"}, {"user_id": "ada"}, {"parent_id": IDS[0]}, {"depth": 1}]),
        status=st.sampled_from(STATUSES),
        dry_run=st.booleans(),
    )
    def update_contexts(self, space: str, wanted: dict[str, Any], status: str, dry_run: bool) -> None:
        chosen = self.contexts_of(space, **wanted)
        refused = self.writes(space)
        call = self.cortex.contexts.update_many(wanted | {"memory_space_id": space}, {"status": status}, dry_run)
        given = {"updated": len(chosen), "context_ids": [one["id"] for one in chosen]}
        self.agree("contexts.update_many", call, refused or given, _many)
        if not dry_run and not refused:
            for one in chosen:
                self.change(one, space, {"status": status})

    @rule(
        space=st.sampled_from(SPACES),
        wanted=st.sampled_from([{"status": "completed"}, {"user_id": "ada"}, {"depth": 0}]),
        cascade=st.booleans(),
        dry_run=st.booleans(),
    )
    def delete_contexts(self, space: str, wanted: dict[str, Any], cascade: bool, dry_run: bool) -> None:
        chosen = self.contexts_of(space, **wanted)
        if cascade:
            ids = {one["id"] for root in chosen for one in (root, *self._below(root))}
        else:
            ids = {one["id"] for one in chosen}
            while stay := {
                one["parent"]["id"]
                for one in self.contexts
                if one["space"] == space
                and one["id"] not in ids
                and (parent := one["parent"])
                and (parent["space"], parent["id"]) in {(space, each) for each in ids}
                and self.sees(space, parent)
            }:
                ids -= stay
        gone = [one for one in self.contexts if one["space"] == space and one["id"] in ids]
        refused = self.writes(space)
        call = self.cortex.contexts.delete_many(wanted | {"memory_space_id": space}, cascade, dry_run)
        given = {"deleted": len(gone), "context_ids": sorted(one["id"] for one in gone)}
        self.agree(
            "contexts.delete_many",
            call,
            refused or given,
            lambda found: {**_many(found), "context_ids": sorted(found["context_ids"])},
        )
        if not dry_run and not refused:
            self.remove(gone)

    # --- what reads them

    @rule(
        space=st.sampled_from(SPACES),
        wanted=st.fixed_dictionaries(
            {},
            optional={
                "status": st.sampled_from(STATUSES),
                "user_id": st.sampled_from(USERS),
                "parent_id": st.sampled_from(IDS),
                "root_id": st.sampled_from(IDS),
                "depth": st.sampled_from([0, 1]),
            },
        ),
        limit=st.sampled_from([50, 1]),
        offset=st.sampled_from([0, 1]),
    )
    def list_contexts(self, space: str, wanted: dict[str, Any], limit: int, offset: int) -> None:
        contexts = self.cortex.contexts
        listed = [self.view(space, one) for one in self.contexts_of(space, **wanted)]
        call = contexts.list(memory_space_id=space, **wanted, limit=limit, offset=offset)
        self.agree("contexts.list", call, page(listed, limit, offset), lambda given: _each(given["contexts"]))
        self.agree("contexts.count", contexts.count(memory_space_id=space, **wanted), len(listed), int)
        call = contexts.search(memory_space_id=space, **wanted, query="refunds")
        self.agree("contexts.search", call, [one for one in listed if one["purpose"] == "Refund"], _each)
        paged = self.listed_by("contexts.iterate", contexts.iterate(wanted, memory_space_id=space, page_size=1))
        assert _each(paged) == listed

    @rule(space=st.sampled_from(SPACES), context_id=CONTEXT, status=st.sampled_from([None, *STATUSES]))
    def read_context(self, space: str, context_id: str, status: str | None) -> None:
        contexts, there = self.cortex.contexts, self.context(space, context_id)
        call = contexts.get(context_id, memory_space_id=space)
        self.agree("contexts.get", call, there and self.view(space, there), lambda given: given and shown(given))
        call = contexts.get_root(context_id, memory_space_id=space)
        root = there and [*self.ancestors(space, there), there][0]
        missing = Refused(ContextNotFound)
        self.agree("contexts.get_root", call, self.view(space, root) if root else missing, shown)
        call = contexts.get_chain(context_id, memory_space_id=space)
        self.agree("contexts.get_chain", call, self.chain(space, there) if there else missing, _chain)
        for recursive in (False, True):
            below = (self.descendants if recursive else self.children)(space, there) if there else []
            wanted = sorted(one["id"] for one in below if status in (None, one["status"]))
            call = contexts.get_children(context_id, status, recursive, memory_space_id=space)
            self.agree("contexts.get_children", call, wanted, lambda found: sorted(one["id"] for one in found))

    def chain(self, space: str, context: Context) -> dict[str, Any]:
        ancestors = self.ancestors(space, context)
        siblings = self.children(space, ancestors[-1]) if ancestors else []
        parts = {
            "current": context,
            "root": ancestors[0] if ancestors else context,
            "parent": ancestors[-1] if ancestors else None,
            "children": self.children(space, context),
            "siblings": [one for one in siblings if one is not context],
            "ancestors": ancestors,
        }
        return {
            name: [self.view(space, one) for one in part] if isinstance(part, list) else part and self.view(space, part)
            for name, part in parts.items()
        }

    @rule(
        space=st.sampled_from(SPACES),
        context_id=CONTEXT,
        version=st.sampled_from([1, 2]),
        ago=st.sampled_from([0, 1, 1_000]),
    )
    def read_context_versions(self, space: str, context_id: str, version: int, ago: int) -> None:
        contexts, there = self.cortex.contexts, self.context(space, context_id)
        versions = there["versions"] if there else []
        call = contexts.get_history(context_id, memory_space_id=space)
        self.agree("contexts.get_history", call, versions, lambda found: [fields(one) for one in found])
        call = contexts.get_version(context_id, version, memory_space_id=space)
        one = next((one for one in versions if one["version"] == version), None)
        self.agree("contexts.get_version", call, one, lambda found: found and fields(found))
        call = contexts.get_at_timestamp(context_id, self.now - ago, memory_space_id=space)
        last = next((one for one in reversed(versions) if one["timestamp"] <= self.now - ago), None)
        self.agree("contexts.get_at_timestamp", call, last, lambda found: found and fields(found))

    def check(self) -> None:
        super().check()
        for space in SPACES:
            self.list_contexts(space, {}, 50, 0)
            for context_id in IDS:
                self.read_context(space, context_id, None)
            own = self.contexts_of(space)
            made = [{"context_id": one["id"]} for one in own]
            self.exported("contexts", self.cortex.contexts, made, "context_id", {"memory_space_id": space})
            granted = [one for one in self.contexts if one["space"] != space and space in one["grants"]]
            call = self.cortex.contexts.list_granted(memory_space_id=space)
            given = sorted(one["id"] for one in granted)
            self.agree("contexts.list_granted", call, given, lambda found: sorted(one["id"] for one in found))
            orphans = [one for one in own if one["parent"] is not None and not self.sees(space, one["parent"])]
            call = self.cortex.contexts.find_orphaned(memory_space_id=space)
            self.agree("contexts.find_orphaned", call, [self.view(space, one) for one in orphans], _each)
            named = [self.view(space, one) for one in own if one["conversation_id"] == "c-1"]
            call = self.cortex.contexts.get_by_conversation("c-1", memory_space_id=space)
            self.agree("contexts.get_by_conversation", call, named, _each)


def _each(contexts: Any) -> list[dict[str, Any]]:
    return [shown(one) for one in contexts]


def _many(given: Any) -> dict[str, Any]:
    return fields(given)


def _chain(given: Any) -> dict[str, Any]:
    return {
        **{name: _each(given[name]) for name in ("children", "siblings", "ancestors")},
        **{name: given[name] and shown(given[name]) for name in ("current", "root", "parent")},
    }
