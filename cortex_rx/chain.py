"""Chains: operators as values.

`@operator` turns a function that makes an operator into one that makes a `Step`: the operator together with its name,
its arguments, and the events that it needs, reads and emits.  A `Chain` is a sequence of steps.  Both are operators
themselves, so they can stand wherever an operator can.  Both are values: they can be compared, printed, drawn, taken
apart and recomposed.

Whether the steps can work in their order is checked when a chain is applied to a source, before anything runs.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache, wraps
from typing import Any, Generic, NamedTuple, ParamSpec, TypeAlias, TypeVar, cast, overload

from reactivex import Observable, abc

from cortex_rx import validation as check
from cortex_rx.errors import CallbackError, ChainOrderError, InvalidArgument, UnknownStep
from cortex_rx.events import Opened, StreamEvent
from cortex_rx.guard import Origin, guarded, rewriting

__all__ = ["Chain", "Operator", "Sink", "Step", "chain", "declare", "operator", "sink", "step"]

T = TypeVar("T")
P = ParamSpec("P")
Operator: TypeAlias = Callable[[Observable[StreamEvent]], Observable[StreamEvent]]
"""The type of every step of a chain: events in, events out."""
Sink: TypeAlias = Callable[[Observable[StreamEvent]], Observable[T]]
"""The end of a pipeline, which turns events into something else."""
Kinds: TypeAlias = frozenset[type[StreamEvent]]

_EMITTERS: dict[type[StreamEvent], str] = {}  # for messages: which operator of ours emits an event


class _Declared(NamedTuple):
    """What is known of an observable: the events that it can emit, the steps that have already captured its text, and
    those that an event steers, with that event."""

    emits: Kinds
    takers: tuple[str, ...] = ()
    steered: tuple[tuple[str, type[StreamEvent]], ...] = ()


@lru_cache(256)
def _declared(
    emits: Kinds, takers: tuple[str, ...] = (), steered: tuple[tuple[str, type[StreamEvent]], ...] = ()
) -> _Declared:
    """One for all streams that are alike: each of many waiting streams would hold three objects for each step."""
    return _Declared(emits, takers, steered)


@lru_cache(256)
def _behind(known: _Declared, name: str, emits: Kinds, reads: Kinds, captures_text: bool) -> _Declared:
    """What is known behind a step."""
    takers = (*known.takers, name) if captures_text else known.takers
    return _declared(known.emits | emits, takers, (*known.steered, *_steered(name, reads)))


@lru_cache(256)
def _steered(name: str, reads: Kinds) -> tuple[tuple[str, type[StreamEvent]], ...]:
    """The step with each event that steers it. An order is checked for each stream."""
    return tuple((name, kind) for kind in sorted(reads, key=lambda kind: kind.__name__) if kind.steers)


_FROM_STREAM = Origin("from_stream", ())


@lru_cache(256)
def _from_step(before: Origin | None, step: str, captures_text: bool) -> Origin:
    """The origin of what a step emits that gets the events of `before`; one for all streams, too."""
    captured_by = before.captured_by if before else ()
    return Origin(step, (*captured_by, step) if captures_text else captured_by)


def declare(source: Observable[StreamEvent], emits: Iterable[type[StreamEvent]]) -> Observable[StreamEvent]:
    """Declare which events `source` can emit, so that the order of a chain applied to it can be checked."""
    return _tag(source, _declared(frozenset(emits)))


def source_of_events(source: Observable[StreamEvent], emits: Iterable[type[StreamEvent]]) -> Observable[StreamEvent]:
    """As `declare`, for `from_stream`: its events need not be checked again."""
    source.origin = _FROM_STREAM  # type: ignore[attr-defined]  # of a `FlowObservable`
    return declare(source, emits)


def _tag(source: Observable[StreamEvent], known: _Declared) -> Observable[StreamEvent]:
    source._cortex_declared = known  # type: ignore[attr-defined]  # a stock operator drops it: then it is not known
    return source


def _known(source: Observable[StreamEvent]) -> _Declared | None:
    return cast("_Declared | None", getattr(source, "_cortex_declared", None))


@dataclass(frozen=True)
class Step:
    """One operator of a chain, as a value.  Two steps are equal if their names, operators and arguments are equal."""

    name: str
    kind: str
    """The name of the function that made it."""
    args: tuple[tuple[str, Any], ...]
    """The arguments, with their names, defaults included."""
    needs: Kinds
    reads: Kinds
    emits: Kinds
    rewrites: bool
    """It owns the deltas: it may hold, change or drop text."""
    captures_text: bool
    """It stores or shows text, so steps that rewrite text must stand before it."""
    apply: Operator = field(compare=False, repr=False)
    defaults: Mapping[str, Any] = field(compare=False, repr=False)
    """The defaults of the arguments."""
    ours: bool = field(default=False, compare=False, repr=False)
    """One of this package's: what it gets is checked, and what it emits need not be."""

    @property
    def given(self) -> frozenset[str]:
        """The names of the arguments that differ from their defaults."""
        return frozenset(name for name, value in self.args if not _same(value, self.defaults[name]))

    def __hash__(self) -> int:
        return hash((self.name, self.kind))  # the arguments may be unhashable

    def named(self, name: str) -> Step:
        """The same step under another name, for a chain with two steps of one kind."""
        return replace(self, name=check.name("name", name))

    def __call__(self, source: Observable[StreamEvent]) -> Observable[StreamEvent]:
        """Apply the step.  Raises `ChainOrderError` if `source` can never emit an event that the step needs."""
        _is_source(self.name, source)
        _check((self,), _known(source))
        return self._applied(source, (self,))

    def _applied(self, source: Observable[StreamEvent], steps: tuple[Step, ...]) -> Observable[StreamEvent]:
        """Apply the step, which is the first of `steps`."""
        known = _known(source)
        if self.ours and getattr(source, "origin", None) is None:
            reads = frozenset[type[StreamEvent]]().union(*(one.needs | one.reads for one in steps))
            source = guarded(source, self.name, reads, needs_opened=Opened in self.needs)
        out = self.apply(source)
        if self.ours:
            origin = _from_step(getattr(source, "origin", None), self.name, self.captures_text)
            out.origin = origin  # type: ignore[attr-defined]  # of a `FlowObservable`
        elif self.rewrites:
            out = rewriting(out)
        if known:
            _tag(out, _behind(known, self.name, self.emits, self.reads, self.captures_text))
        return out

    def __str__(self) -> str:
        given = self.given
        shown = ", ".join(f"{name}={_show(value)}" for name, value in self.args if name in given)
        return f"{self.name}({shown})" if self.name == self.kind else f"{self.name}: {self.kind}({shown})"


def _show(value: object) -> str:
    name = getattr(value, "__qualname__", None)
    return name if callable(value) and isinstance(name, str) else repr(value)


def _same(value: object, default: object) -> bool:
    return value is default or (type(value) is type(default) and value == default)


def operator(
    *,
    needs: Iterable[type[StreamEvent]] = (),
    reads: Iterable[type[StreamEvent]] = (),
    emits: Iterable[type[StreamEvent]] = (),
    rewrites: bool = False,
    captures_text: bool = False,
    needs_for: Mapping[str, Iterable[type[StreamEvent]]] | None = None,
) -> Callable[[Callable[P, Operator]], Callable[P, Step]]:
    """Decorate a function that makes operators, so that it makes steps.  A step has the name of the function.

    `needs` are the events that the operator cannot work without, `reads` those that it uses if they come, and `emits`
    those that it adds.  `needs_for` are the events that it needs if the named argument is given.  `rewrites`: it may
    change or drop text.  `captures_text`: it stores or shows text, so steps that rewrite text must stand before it.

    >>> from reactivex import operators as ops
    >>> from cortex_rx.events import Custom, StreamEvent
    >>> @operator(reads=[Custom])
    ... def only(*names: str) -> Operator:
    ...     return ops.filter(lambda event: not isinstance(event, Custom) or event.name in names)
    >>> print(only("citation"))
    only(names=('citation',))
    >>> only("citation") == only("citation").named("x").named("only")
    True
    """

    for events, kinds in (("needs", needs), ("reads", reads), ("emits", emits)):
        _kinds(events, kinds)
    check.flag("rewrites", rewrites)
    check.flag("captures_text", captures_text)
    if needs_for is not None:
        for kinds in check.instance(Mapping, "a mapping of arguments to classes of events")(
            "needs_for", needs_for
        ).values():
            _kinds("needs_for", kinds)

    def decorate(make: Callable[P, Operator]) -> Callable[P, Step]:
        signature = inspect.signature(make)
        parameters = signature.parameters
        defaults: dict[str, Any] = {name: one.default for name, one in parameters.items()}
        named = all(one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY) for one in parameters.values())
        kind = make.__name__

        def bind(*args: P.args, **kwargs: P.kwargs) -> dict[str, Any]:
            """The arguments of a call that was made, so they fit; in the order of the parameters, defaults included."""
            if named:
                return {**defaults, **dict(zip(defaults, args, strict=False)), **kwargs}
            bound = signature.bind(*args, **kwargs)  # ten times as dear
            bound.apply_defaults()
            return bound.arguments

        need, read, emit = frozenset(needs), frozenset(reads), frozenset(emits)
        for event in emit:
            _EMITTERS.setdefault(event, kind)

        @wraps(make)
        def make_step(*args: P.args, **kwargs: P.kwargs) -> Step:
            try:
                apply = make(*args, **kwargs)
            except (TypeError, InvalidArgument) as error:
                if len(args) == 1 and isinstance(args[0], Observable):
                    raise not_called(kind) from error
                raise
            arguments = bind(*args, **kwargs)
            wanted = need
            if needs_for:
                wanted = need.union(*(kinds for name, kinds in needs_for.items() if arguments[name]))
            values = tuple(arguments.items())
            return Step(kind, kind, values, wanted, read, emit, rewrites, captures_text, apply, defaults, ours)

        ours = str(make.__module__).startswith("cortex_rx.operators.")  # None where code runs without a module
        make_step._makes = kind  # type: ignore[attr-defined]
        return make_step

    return decorate


class _Sink(Generic[T]):
    """A sink as a value, so that one in the middle of a chain is refused."""

    def __init__(self, name: str, apply: Sink[T], reads: Kinds) -> None:
        self.name: str = name
        self._apply, self._reads = apply, reads

    def __call__(self, source: Observable[StreamEvent]) -> Observable[T]:
        _is_source(self.name, source)
        out = self._apply(guarded(source, self.name, self._reads, may_be_empty=True))
        out._cortex_sink = self.name  # type: ignore[attr-defined]
        return out

    def __repr__(self) -> str:
        return f"{self.name}()"


def sink(*, reads: Iterable[type[StreamEvent]] = ()) -> Callable[[Callable[P, Sink[T]]], Callable[P, Sink[T]]]:
    """Decorate a function that makes a sink.  `reads` are the events that must not be lost on their way to it.

    >>> from reactivex import operators as ops
    >>> @sink()
    ... def count() -> Sink[int]:
    ...     return ops.count()
    >>> chain(count())
    Traceback (most recent call last):
    ...
    cortex_rx.errors.InvalidArgument: parts: got 'count()'; accepted: steps: count() is a sink and ends a pipeline: \
source.pipe(chain, count())
    """
    kinds = frozenset(reads)

    def decorate(make: Callable[P, Sink[T]]) -> Callable[P, Sink[T]]:
        @wraps(make)
        def make_sink(*args: P.args, **kwargs: P.kwargs) -> Sink[T]:
            _is_called(make.__name__, args)
            return _Sink(make.__name__, make(*args, **kwargs), kinds)

        make_sink._makes = make.__name__  # type: ignore[attr-defined]
        return make_sink

    return decorate


def _is_called(name: str, args: tuple[object, ...]) -> None:
    """Refuse a call with a source: `pipe(words)` makes it where `pipe(words())` was meant."""
    if len(args) == 1 and isinstance(args[0], Observable):
        raise not_called(name)


def not_called(name: str) -> InvalidArgument:
    """A function that makes an operator was given in the place of an operator."""
    return InvalidArgument("operator", name, f"{name}(), with its arguments: {name} makes an operator, and is none")


def _is_source(name: str, source: object) -> None:
    """Refuse what a step or a sink cannot be applied to."""
    if isinstance(source, Observable):
        if before := getattr(source, "_cortex_sink", None):
            raise ChainOrderError(
                f"{name} gets what {before}() makes of the events: {before}() is a sink and stands last, after {name}"
            )
    elif isinstance(source, (Step, Chain, _Sink)) or callable(source):
        given = str(source) if isinstance(source, (Step, Chain, _Sink)) else _show(source)
        raise InvalidArgument("source", given, "an Observable: was an operator given without () in a pipe?")
    else:
        raise InvalidArgument("source", check.shown(source), "an Observable of events, such as from_stream(...)")


def _refuse_operator(field: str, part: object) -> None:
    """Refuse what is taken for a step or an operator, with what was meant."""
    if makes := getattr(part, "_makes", None):
        raise not_called(makes)
    if isinstance(part, _Sink):
        accepted = f"steps: {part.name}() is a sink and ends a pipeline: source.pipe(chain, {part.name}())"
        raise InvalidArgument(field, f"{part.name}()", accepted)


def step(
    name: str,
    op: Operator,
    *,
    needs: Iterable[type[StreamEvent]] = (),
    reads: Iterable[type[StreamEvent]] = (),
    emits: Iterable[type[StreamEvent]] = (),
    rewrites: bool = False,
    captures_text: bool = False,
) -> Step:
    """Put any Rx operator over events, also a stock one, into a chain under `name`.

    An error that arises in it, for example in a callback, ends the stream as a `CallbackError`, which nothing retries.
    An operator that changes or drops text must be given `rewrites=True`.  A chain that stores the text before it is
    then refused.  An operator that ends the stream early (`take`) leaves it unfinished: without `Ended`, nothing is
    finalised, and the partial is kept.

    >>> from dataclasses import replace
    >>> from reactivex import operators as ops
    >>> from cortex_rx.events import Delta
    >>> redact = ops.map(lambda e: replace(e, text=e.text.replace("secret", "***")) if isinstance(e, Delta) else e)
    >>> print(chain(step("redact", redact, rewrites=True)))
    redact: step()
    """
    check.name("name", name)
    check.function("op", op)
    _refuse_operator("op", op)
    for events, kinds in (("needs", needs), ("reads", reads), ("emits", emits)):
        _kinds(events, kinds)
    check.flag("rewrites", rewrites)
    check.flag("captures_text", captures_text)

    args = (("op", op),)
    need, read, emit = frozenset(needs), frozenset(reads), frozenset(emits)
    apply = _mark_errors(name, op)
    return Step(name, "step", args, need, read, emit, rewrites, captures_text, apply, dict(args))


def _mark_errors(name: str, op: Operator) -> Operator:
    """The operator, with every error that arises in it, rather than upstream, as a `CallbackError` of the step
    `name`."""

    def apply(source: Observable[StreamEvent]) -> Observable[StreamEvent]:
        def subscribe(
            observer: abc.ObserverBase[StreamEvent], scheduler: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            passed: list[Exception] = []

            def upstream(
                inner: abc.ObserverBase[StreamEvent], scheduler: abc.SchedulerBase | None = None
            ) -> abc.DisposableBase:
                def on_error(error: Exception) -> None:
                    passed.append(error)
                    inner.on_error(error)

                return source.subscribe(inner.on_next, on_error, inner.on_completed, scheduler=scheduler)

            def on_error(error: Exception) -> None:
                if any(error is known for known in passed):
                    return observer.on_error(error)
                marked = CallbackError(name, error)
                marked.__cause__ = error
                return observer.on_error(marked)

            made = op(Observable(upstream))
            if not isinstance(made, Observable):  # pyright: ignore[reportUnnecessaryIsInstance]
                given = f"an operator of the step {name!r} that gives a {type(made).__name__}"
                raise InvalidArgument("op", given, "an operator: was a function that makes one given, and not called?")
            return made.subscribe(observer.on_next, on_error, observer.on_completed, scheduler=scheduler)

        return Observable(subscribe)

    return apply


class Chain:
    """A sequence of steps, as one operator and as a value.

    >>> from reactivex import operators as ops
    >>> both = chain(step("a", ops.skip(1)), step("b", ops.take(2)))
    >>> both.names, both.without("a").names, both.before("b", step("c", ops.take(5))).names
    (('a', 'b'), ('b',), ('a', 'c', 'b'))
    >>> both.without("x")
    Traceback (most recent call last):
    ...
    cortex_rx.errors.UnknownStep: no step 'x' in this chain; its steps are: a, b
    """

    __slots__ = ("__weakref__", "_fits", "_steps")

    def __init__(self, steps: Iterable[Step]) -> None:
        self._steps = tuple(_flat("steps", steps))
        self._fits: _Declared | None = None  # behind what it was found to be in order, last
        seen: set[str] = set()
        for one in self._steps:
            if one.name in seen:
                accepted = f"one step of each name: give one another name, with .named({one.name + '_2'!r})"
                raise InvalidArgument("steps", one.name, accepted)
            seen.add(one.name)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the steps, in order."""
        return tuple(one.name for one in self._steps)

    def __call__(self, source: Observable[StreamEvent]) -> Observable[StreamEvent]:
        """Apply the steps in order.  Raises `ChainOrderError` if they cannot work in this order."""
        if self._steps:
            _is_source(self._steps[0].name, source)
        known = _known(source)
        if known is None or known != self._fits:
            _check(self._steps, known)
            self._fits = known
        for at, one in enumerate(self._steps):
            source = one._applied(source, self._steps[at:])
        return source

    def without(self, *names: str) -> Chain:
        """The chain without these steps."""
        gone = {self._index(name, "names") for name in names}
        return Chain(one for at, one in enumerate(self._steps) if at not in gone)

    def replace(self, name: str, *parts: Step | Chain) -> Chain:
        """The chain with `parts` in place of the step `name`."""
        at = self._index(name)
        return Chain((*self._steps[:at], *_flat("parts", parts), *self._steps[at + 1 :]))

    def before(self, name: str, *parts: Step | Chain) -> Chain:
        """The chain with `parts` before the step `name`."""
        at = self._index(name)
        return Chain((*self._steps[:at], *_flat("parts", parts), *self._steps[at:]))

    def after(self, name: str, *parts: Step | Chain) -> Chain:
        """The chain with `parts` after the step `name`."""
        at = self._index(name) + 1
        return Chain((*self._steps[:at], *_flat("parts", parts), *self._steps[at:]))

    def _index(self, name: str, field: str = "name") -> int:
        check.name(field, name)
        if name not in self.names:
            raise UnknownStep(name, self.names)
        return self.names.index(name)

    @overload
    def __getitem__(self, key: str | int) -> Step: ...
    @overload
    def __getitem__(self, key: slice) -> Chain: ...
    def __getitem__(self, key: str | int | slice) -> Step | Chain:
        """The step with this name or at this index; a slice gives a chain."""
        if isinstance(key, slice):
            return Chain(self._steps[key])
        return self._steps[self._index(key) if isinstance(key, str) else key]

    def __iter__(self) -> Iterator[Step]:
        return iter(self._steps)

    def __len__(self) -> int:
        return len(self._steps)

    def __contains__(self, name: object) -> bool:
        return name in self.names

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Chain) and self._steps == other._steps

    def __hash__(self) -> int:
        return hash(self.names)  # the arguments may be unhashable

    def __str__(self) -> str:
        return " | ".join(map(str, self._steps))

    def __repr__(self) -> str:
        return f"chain({', '.join(map(str, self._steps))})"

    def mermaid(self) -> str:
        """The chain as a Mermaid flowchart: each step with its arguments, each arrow with the events that it adds."""
        lines = ["flowchart LR", '    source(["source"])']
        last, label = "source", ""
        for at, one in enumerate(self._steps):
            node = f"s{at}"
            lines.append(f'    {node}["{_mermaid(str(one))}"]')
            lines.append(f"    {last} -->{label} {node}")
            last, label = node, f"|{', '.join(_names(one.emits))}|" if one.emits else ""
        lines.append(f'    {last} -->{label} reader(["reader"])')
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        """A card: the path of the events, then a row for each step."""
        from html import escape  # only notebooks need it

        way = " → ".join(("source", *(f"<b>{escape(one.name)}</b>" for one in self._steps), "reader"))
        rows = "".join(
            f'<tr style="text-align: left"><td><b>{escape(one.name)}</b></td><td><code>{escape(str(one))}</code></td>'
            + "".join(f"<td>{escape(', '.join(_names(kinds)))}</td>" for kinds in (one.needs, one.reads, one.emits))
            + f"<td>{' and '.join(['rewrites it'] * one.rewrites + ['takes it'] * one.captures_text)}</td></tr>"
            for one in self._steps
        )
        titles = ("step", "operator", "needs", "reads", "emits", "text")
        head = "".join(f'<th style="text-align: left">{title}</th>' for title in titles)
        return f"<div>{way}</div><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def chain(*parts: Step | Chain) -> Chain:
    """Join any number of steps and chains into one chain."""
    return Chain(_flat("parts", parts))


def _flat(field: str, parts: Iterable[Step | Chain]) -> Iterator[Step]:
    for part in check.instance(Iterable, "steps and chains")(field, parts):
        if isinstance(part, Chain):
            yield from part
        elif isinstance(part, Step):
            yield part
        else:
            _refuse_operator(field, part)
            accepted = "steps and chains; any other operator enters as step(name, operator)"
            shown = _show(part) if callable(part) else check.shown(part)
            raise InvalidArgument(field, shown, accepted)


def _kinds(field: str, kinds: object) -> None:
    accepted = "classes of events"
    for kind in check.instance(Iterable, accepted)(field, kinds):
        if not (isinstance(kind, type) and issubclass(kind, StreamEvent)):
            raise InvalidArgument(field, check.shown(kind), accepted)


def _names(kinds: Kinds) -> list[str]:
    return sorted(kind.__name__ for kind in kinds)


def _mermaid(text: str) -> str:
    """Write quotes and brackets as entities, since they would end a label."""
    return "".join(f"#{ord(char)};" if char in '"#&<>[]{}|' else char for char in text)


def _check(steps: tuple[Step, ...], known: _Declared | None) -> None:
    """Refuse an order in which a needed event can never come, text is captured before it is rewritten, or a step stands
    before the one that is to steer it."""
    emitted: set[type[StreamEvent]] = set()
    takers = list(known.takers) if known else []
    steered = list(known.steered) if known else []
    for at, one in enumerate(steps):
        if one.rewrites and takers:
            raise ChainOrderError(
                f"{one.name} rewrites the text, so it belongs before {takers[0]}, which captures the text"
            )
        for need in sorted(one.needs - emitted, key=lambda kind: kind.__name__):
            later = next((other.name for other in steps[at + 1 :] if need in other.emits), None)
            if known and need in known.emits:
                continue
            if later:
                raise ChainOrderError(
                    f"{one.name} needs {need.__name__}, which {later} emits: {one.name} belongs after {later}"
                )
            if known:
                emitter = _EMITTERS.get(need)
                advice = f": put {emitter}(...) before it" if emitter else ""
                raise ChainOrderError(f"{one.name} needs {need.__name__}, which nothing before it emits{advice}")
        for name, kind in steered:
            if kind in one.emits:
                raise ChainOrderError(f"{one.name} steers {name} by {kind.__name__}, so it belongs before {name}")
        steered += _steered(one.name, one.reads)
        emitted |= one.emits
        if one.captures_text:
            takers.append(one.name)
