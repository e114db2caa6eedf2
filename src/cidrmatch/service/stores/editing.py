"""Commands about one key or one list of a store: `store key ...`, `store list ...`, `store assert ...`.

    cidrmatch store key put key_1 203.0.113.0/24 --list office --reason "new runner"
    cidrmatch store list add office 198.51.100.7 --label "Anna" --if-revision 12
    cidrmatch store assert add list office 198.51.100.7 --allow --note "the door"

Each is a call of a method of `StoreChange`, so policies, guards and messages are those of the library.
"""

import dataclasses
import sys
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import typer

from ...cli.output import console, finish, print_json, say
from ...cli.reading import PLAIN, Reading, reads_lists
from ...errors import quote
from .calls import (
    Call,
    CallerOption,
    EntriesArgument,
    FileOption,
    ForceOption,
    LabelOption,
    RevisionOption,
    asking,
    changing,
)

__all__ = ["asserts", "keys", "lists"]

KeyArgument = Annotated[str, typer.Argument(metavar="KEY", help="The key's id.")]
NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="Of the list.")]
LinksOption = Annotated[list[str] | None, typer.Option("--list", metavar="NAME", help="A list to link; several times.")]
WithinOption = Annotated[
    list[str] | None, typer.Option("--within", metavar="NAME", help="A list that must let an address pass as well.")
]
OwnerOption = Annotated[str | None, typer.Option("--owner", help="Who owns the key.")]
EnabledOption = Annotated[bool | None, typer.Option("--enabled/--disabled", help="Whether its lists are enforced.")]
HolderArgument = Annotated[str, typer.Argument(metavar="list|key", help="What it is about.")]
HeldArgument = Annotated[str, typer.Argument(metavar="NAME", help="Of the list, or the key's id.")]
AddressArgument = Annotated[str, typer.Argument(metavar="ADDRESS")]

_AT_ONCE = 1_000


def _group(about: str) -> typer.Typer:
    return typer.Typer(help=about, no_args_is_help=True, add_completion=False, rich_markup_mode=None)


keys = _group("Look at keys and change them.")
lists = _group("Look at named lists and change them.")
asserts = _group("Say what must always be allowed or denied, whoever edits.")


def _say_facts(call: Call, title: str, facts: dict[str, Any]) -> None:
    """Say what a key or a list has."""
    from ...advice.engines import describe_entry  # noqa: PLC0415  as in calls.py

    if call.as_json:
        print_json(**facts)
        return
    out = console(sys.stdout)
    say(out, title)
    for name, value in facts.items():
        if name in ("entries", "shadow"):
            for entry in value:
                say(out, f"  {'' if name == 'entries' else 'on trial: '}{describe_entry(entry)}")
        elif value not in (None, [], ""):
            say(out, f"  {name}: {', '.join(value) if isinstance(value, list) else value}")


def _say_names(call: Call, noun: str, names: list[str]) -> None:
    if call.as_json:
        print_json(**{noun: names})
    else:
        for name in names:
            say(console(sys.stdout), name)


# -- Keys ---------------------------------------------------------------------


@keys.command("show")
@asking
def show_key(
    call: Call,
    key: Annotated[str | None, typer.Argument(metavar="[KEY]", help="The key's id; without it, all ids.")] = None,
    after: Annotated[str, typer.Option(help="Only ids after this one.")] = "",
    limit: Annotated[int, typer.Option(min=1, help="The most ids.")] = _AT_ONCE,
) -> None:
    """Show a key and the revision that changed it last; or name the keys."""
    from ...engine.things import key_as_values  # noqa: PLC0415  as in calls.py

    with call.store.reading() as data:
        if key is None:
            _say_names(call, "keys", data.keys(after, limit))
        else:
            stored = data.key(key)
            facts = {"revision": stored.revision, **key_as_values(stored.value)}
            _say_facts(call, f"key {quote(key)}", facts)
    finish(0)


@keys.command("put")
@changing
@reads_lists()
def put_key(
    call: Call,
    key: KeyArgument,
    entries: EntriesArgument = None,
    file: FileOption = None,
    reading: Reading = PLAIN,
    label: LabelOption = None,
    links: LinksOption = None,
    within: WithinOption = None,
    owner: OwnerOption = None,
    enabled: EnabledOption = None,
    replace: Annotated[bool, typer.Option("--replace", help="Say all of an existing key anew.")] = False,
    caller: CallerOption = None,
    force: ForceOption = False,
    if_revision: RevisionOption = None,
) -> None:
    """Make a key, or say all of it anew."""
    given = _entries_of_key(call, entries, file, reading, label)
    with call.change("put_key") as change:
        _expect(change.expect_key, key, if_revision)
        report = change.put_key(
            key, given, lists=links or (), within=within or (), owner=owner, enabled=enabled is not False,
            replace=replace, actor=call.actor, caller=caller, force=force,
        )  # fmt: skip
    call.tell(change, f"key {quote(key)}", report, key=key)


@keys.command("update")
@changing
@reads_lists()
def update_key(
    call: Call,
    key: KeyArgument,
    entries: EntriesArgument = None,
    file: FileOption = None,
    reading: Reading = PLAIN,
    label: LabelOption = None,
    links: LinksOption = None,
    within: WithinOption = None,
    owner: OwnerOption = None,
    enabled: EnabledOption = None,
    no_entries: Annotated[bool, typer.Option("--no-entries", help="Remove all its own entries.")] = False,
    no_links: Annotated[bool, typer.Option("--no-lists", help="Remove all its links.")] = False,
    caller: CallerOption = None,
    force: ForceOption = False,
    if_revision: RevisionOption = None,
) -> None:
    """Change some facts of a key; what is not named stays."""
    given = _entries_of_key(call, entries, file, reading, label)
    if (given is not None and no_entries) or (links and no_links):
        raise typer.BadParameter("some, or none of them? Name entries or --no-entries, --list or --no-lists")
    with call.change("update_key") as change:
        _expect(change.expect_key, key, if_revision)
        report = change.update_key(
            key, entries=[] if no_entries else given, lists=[] if no_links else links, within=within, owner=owner,
            enabled=enabled, actor=call.actor, caller=caller, force=force,
        )  # fmt: skip
    call.tell(change, f"key {quote(key)}", report, key=key)


@keys.command("add")
@changing
@reads_lists()
def add_entries(
    call: Call,
    key: KeyArgument,
    entries: EntriesArgument = None,
    file: FileOption = None,
    reading: Reading = PLAIN,
    label: LabelOption = None,
    caller: CallerOption = None,
    force: ForceOption = False,
    if_revision: RevisionOption = None,
) -> None:
    """Add entries to a key."""
    given = call.some_entries(entries, file, reading, label)
    with call.change("add_entries") as change:
        _expect(change.expect_key, key, if_revision)
        report = change.add_entries(key, given, caller=caller, force=force)
    call.tell(change, f"key {quote(key)}", report, key=key)


@keys.command("remove")
@changing
@reads_lists()
def remove_entries(
    call: Call,
    key: KeyArgument,
    entries: EntriesArgument = None,
    file: FileOption = None,
    reading: Reading = PLAIN,
    caller: CallerOption = None,
    force: ForceOption = False,
    if_revision: RevisionOption = None,
) -> None:
    """Remove entries of a key, by their prefixes."""
    given = call.some_entries(entries, file, reading)
    with call.change("remove_entries") as change:
        _expect(change.expect_key, key, if_revision)
        report = change.remove_entries(key, given, caller=caller, force=force)
    call.tell(change, f"key {quote(key)}", report, key=key)


@keys.command("delete")
@changing
def delete_key(call: Call, key: KeyArgument, if_revision: RevisionOption = None) -> None:
    """Delete a key."""
    with call.change("remove_key") as change:
        _expect(change.expect_key, key, if_revision)
        report = change.remove_key(key)
    call.tell(change, f"key {quote(key)} is gone", report, key=key)


def _entries_of_key(call: Call, *given: Any) -> Sequence[tuple[str, str | None]] | None:
    """Give the entries of a call; a file without entries is refused, because every address might pass then."""
    entries = call.entries(*given)
    if entries is not None and not entries:
        raise typer.BadParameter("the file has no entries; a key without entries is made without --file")
    return entries


def _expect(expect: Callable[[str, int | None], None], name: str, revision: int | None) -> None:
    """Refuse the change unless the key or list is of this revision; 0: unless there is none."""
    if revision is not None:
        expect(name, revision or None)


# -- Lists --------------------------------------------------------------------


@lists.command("show")
@asking
def show_list(
    call: Call,
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="Of the list; without it, all names.")] = None,
) -> None:
    """Show a list, its keys and the revision that changed it last; or name the lists."""
    from ...engine.things import list_as_values  # noqa: PLC0415  as in calls.py

    with call.store.reading() as data:
        if name is None:
            _say_names(call, "lists", data.lists())
        else:
            stored = data.named_list(name)
            facts = {"revision": stored.revision, **list_as_values(stored.value), "keys": data.keys_of(name)}
            facts["default"] = data.rules.default == name
            _say_facts(call, f"list {quote(name)}", facts)
    finish(0)


@lists.command("put")
@changing
@reads_lists()
def put_list(
    call: Call,
    name: NameArgument,
    entries: EntriesArgument = None,
    file: FileOption = None,
    reading: Reading = PLAIN,
    label: LabelOption = None,
    description: Annotated[str, typer.Option(help="What it is.")] = "",
    caller: CallerOption = None,
    force: ForceOption = False,
    if_revision: RevisionOption = None,
) -> None:
    """Make a list, or say all of it anew."""
    given = call.some_entries(entries, file, reading, label)
    with call.change("put_list") as change:
        _expect(change.expect_list, name, if_revision)
        report = change.put_list(
            name, given, description=description, actor=call.actor, caller=caller, force=force
        )  # fmt: skip
    call.tell(change, f"list {quote(name)}", report, list=name)


@lists.command("add")
@changing
@reads_lists()
def add_to_list(
    call: Call,
    name: NameArgument,
    entries: EntriesArgument = None,
    file: FileOption = None,
    reading: Reading = PLAIN,
    label: LabelOption = None,
    caller: CallerOption = None,
    force: ForceOption = False,
    if_revision: RevisionOption = None,
) -> None:
    """Add entries to a list."""
    given = call.some_entries(entries, file, reading, label)
    with call.change("add_to_list") as change:
        _expect(change.expect_list, name, if_revision)
        report = change.add_to_list(name, given, actor=call.actor, caller=caller, force=force)
    call.tell(change, f"list {quote(name)}", report, list=name)


@lists.command("remove")
@changing
@reads_lists()
def remove_from_list(
    call: Call,
    name: NameArgument,
    entries: EntriesArgument = None,
    file: FileOption = None,
    reading: Reading = PLAIN,
    caller: CallerOption = None,
    force: ForceOption = False,
    if_revision: RevisionOption = None,
) -> None:
    """Remove entries of a list, by their prefixes."""
    given = call.some_entries(entries, file, reading)
    with call.change("remove_from_list") as change:
        _expect(change.expect_list, name, if_revision)
        report = change.remove_from_list(name, given, actor=call.actor, caller=caller, force=force)
    call.tell(change, f"list {quote(name)}", report, list=name)


@lists.command("delete")
@changing
def delete_list(
    call: Call,
    name: NameArgument,
    force: Annotated[bool, typer.Option("--force", help="Unlink it first, wherever it is used.")] = False,
    if_revision: RevisionOption = None,
) -> None:
    """Delete a list that nothing uses; with --force, unlink it first."""
    with call.change("remove_list") as change:
        _expect(change.expect_list, name, if_revision)
        report = change.remove_list(name, force=force, actor=call.actor)
    call.tell(change, f"list {quote(name)} is gone", report, list=name)


@lists.command("link")
@changing
def link(call: Call, name: NameArgument, key: KeyArgument, if_revision: RevisionOption = None) -> None:
    """Link a key to a list."""
    with call.change("link") as change:
        _expect(change.expect_list, name, if_revision)
        report = change.link(key, name, actor=call.actor)
    call.tell(change, f"key {quote(key)} is linked to the list {quote(name)}", report, key=key, list=name)


@lists.command("unlink")
@changing
def unlink(call: Call, name: NameArgument, key: KeyArgument, if_revision: RevisionOption = None) -> None:
    """Unlink a key from a list."""
    with call.change("unlink") as change:
        _expect(change.expect_list, name, if_revision)
        report = change.unlink(key, name, actor=call.actor)
    call.tell(change, f"key {quote(key)} is not linked to the list {quote(name)}", report, key=key, list=name)


@lists.command("default")
@changing
def set_default(
    call: Call,
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="Of the list.")] = None,
    none: Annotated[bool, typer.Option("--none", help="No default list.")] = False,
) -> None:
    """Make a list the default for keys without lists of their own."""
    if (name is None) is not none:
        raise typer.BadParameter("name the list, or --none")
    with call.change("set_default") as change:
        report = change.set_default(name, actor=call.actor)
    call.tell(change, "no default list" if name is None else f"list {quote(name)} is the default", report, list=name)


# -- Assertions ---------------------------------------------------------------


@asserts.command("add")
@changing
def add_assertion(
    call: Call,
    holder: HolderArgument,
    name: HeldArgument,
    address: AddressArgument,
    allow: Annotated[bool | None, typer.Option("--allow/--deny", help="What must always happen.")] = None,
    note: Annotated[str, typer.Option(help="Why; it is said to who breaks it.")] = "",
) -> None:
    """Say that a list or a key must always allow an address, or always deny it."""
    if allow is None:
        raise typer.BadParameter("say --allow or --deny")
    with call.change("put_assertion") as change:
        change.put_assertion(holder, name, address, allow=allow, note=note)
    verb = "allow" if allow else "deny"
    call.tell(change, f"the {holder} {quote(name)} must {verb} {address}", holder=holder, name=name)


@asserts.command("list")
@asking
def list_assertions(call: Call) -> None:
    """List all assertions."""
    with call.store.reading() as data:
        found = data.assertions()
    if call.as_json:
        print_json(assertions=[dataclasses.asdict(each) for each in found])
    else:
        for each in found:
            note = f' "{each.note}"' if each.note else ""
            verb = "allow" if each.allow else "deny"
            say(console(sys.stdout), f"{each.holder} {quote(each.name)} must {verb} {each.address}{note}")
    finish(0)


@asserts.command("drop")
@changing
def drop_assertion(call: Call, holder: HolderArgument, name: HeldArgument, address: AddressArgument) -> None:
    """Drop an assertion."""
    with call.change("drop_assertion") as change:
        change.drop_assertion(holder, name, address)
    call.tell(change, f"nothing is asserted of {address} any more", holder=holder, name=name)
