"""`cidrmatch store`: keys and lists in a database, from the command line.

    cidrmatch store init --policy bitbybit --url sqlite:///keys.db       the tables and a tenant
    cidrmatch store import keys.toml                                     everything anew, after a look at what changes
    cidrmatch store key put key_1 203.0.113.0/24 --reason "new runner"   one commit (editing.py)
    cidrmatch store history --key key_1                                  who, when, why, and what was different
    cidrmatch store undo 17

This file has the commands about a store as a whole.  calls.py has what all commands share.

    exit status   0  done, clean     1  refused, or lint found a warning     2  no store, no answer, a wrong call
"""

import sys
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ...advice.lint import Finding
from ...advice.lint import lint as lint_engine
from ...cli.inputs import SecretOption, fail_of_file, load_config, read_secret
from ...cli.output import console, count, fail, finish, print_json, say, write_whole
from ...errors import AlreadyExists, EngineError, quote
from ...files.config import dumps
from ...files.documents import STDIN
from ...policy.policy import Policy
from ...policy.presets import PRESETS, nomsa
from ..durations import seconds_in
from .calls import AsJson, Call, TenantOption, UrlOption, asking, changing, library, moment_of, shown_url, url_of
from .editing import asserts, keys, lists
from .fleet import putting, shelf_of, told_to_stop

if TYPE_CHECKING:
    from ..._keys import Revision
    from ...engine.things import Thing
    from .history import Commit

__all__ = ["store"]

_MOST_SHOWN = 50
"""Things of one commit or one import that are shown to people."""
_COPIES_EVERY = 0.25
"""Seconds between two steps of `follow`."""

FileFormat = Annotated[
    Literal["toml", "json"] | None, typer.Option("--format", help="By default the suffix says it; - is toml.")
]

store = typer.Typer(
    help="Keep keys and lists in a database.", no_args_is_help=True, add_completion=False, rich_markup_mode=None
)
tokens = typer.Typer(
    help="Who may use the admin API.", no_args_is_help=True, add_completion=False, rich_markup_mode=None
)


# -- The store ----------------------------------------------------------------


@store.command("init")
def init(
    policy: Annotated[str | None, typer.Option(metavar="PRESET", help=f"One of {', '.join(PRESETS)}.")] = None,
    cutover: Annotated[
        str | None, typer.Option(metavar="MOMENT", help="From when new keys need a list; nomsa.")
    ] = None,
    config: Annotated[str | None, typer.Option(metavar="FILE", help="Take the policy of a configuration.")] = None,
    url: UrlOption = None,
    tenant: TenantOption = "main",
    id_secret_file: SecretOption = None,
    as_json: AsJson = False,
) -> None:
    """Make the tables, or upgrade them, and a tenant."""
    with library():
        from .errors import StoreError  # noqa: PLC0415  an extra, and slow to import
        from .store import Store  # noqa: PLC0415

    chosen, where = _policy_of(policy, cutover, config, as_json), url_of(url)
    try:
        made = Store.create(where, tenant, policy=chosen, id_secret=read_secret(id_secret_file))
    except AlreadyExists as error:
        if as_json:
            print_json(ok=False, errors=[{"code": "AlreadyExists", "message": str(error)}])
        else:
            say(console(sys.stderr), "refused", f": {error}; it is as it was")
        finish(1)
    except (StoreError, ValueError) as error:
        fail(str(error))
    if as_json:
        print_json(ok=True, url=shown_url(made), tenant=tenant, policy=chosen.name)
    else:
        say(
            console(sys.stdout),
            "accepted",
            f": tenant {quote(tenant)} under the policy {chosen.name}, {shown_url(made)}",
        )
    made.close()
    finish(0)


def _policy_of(preset: str | None, cutover: str | None, config: str | None, as_json: bool) -> Policy:
    """Find the policy of a new tenant; end the call if the arguments name none, or two."""
    if (preset is None) == (config is None):
        raise typer.BadParameter("whose rules? Name --policy PRESET, or --config FILE")
    if cutover is not None and preset != "nomsa":
        raise typer.BadParameter("--cutover belongs to --policy nomsa")
    if config is not None:
        return load_config(config, as_json).policy
    if preset not in PRESETS:
        raise typer.BadParameter(f"{quote(preset)} is no preset; there are {', '.join(PRESETS)}")
    if preset != "nomsa":
        return PRESETS[preset]()
    if cutover is None:
        raise typer.BadParameter("--policy nomsa needs --cutover MOMENT: from then on new keys need a list")
    return nomsa(cutover=moment_of(cutover, "--cutover"))


@store.command("upgrade")
@asking
def upgrade_tables(call: Call) -> None:
    """Bring the tables to the form that this program needs."""
    from .upgrading import revisions, upgrade  # noqa: PLC0415  as above

    upgrade(call.store.database.engine)
    if call.as_json:
        print_json(ok=True, schema=revisions()[-1])
    else:
        say(console(sys.stdout), "accepted", f": the tables have the schema {revisions()[-1]}")
    finish(0)


# -- Everything at once -------------------------------------------------------


@store.command("import")
@changing
def import_config(
    call: Call,
    config: Annotated[str, typer.Argument(metavar="FILE", help="A configuration (.toml or .json).")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would change.")] = False,
) -> None:
    """Replace all keys, lists and rules by those of a configuration."""
    from ...advice.engines import differences  # noqa: PLC0415  as above

    engine = load_config(config, call.as_json)
    with call.store.reading() as data:
        found, revision = differences(data.engine(), engine, call.store.held_id), data.revision
    if not call.as_json:
        _say_things(found)
    if dry_run or not found:
        if call.as_json:
            print_json(ok=True, changed=_counts_of(found), revision=revision.generation)
        else:
            said = "nothing would change" if not found else f"{count(len(found), 'thing')} would change"
            say(console(sys.stdout), "clean", f": {said}")
        finish(0)
    if not yes:
        _ask(call, f"Replace what the store has, {count(len(found), 'thing')}?")
    with call.change("import", if_revision=revision) as change:
        change.restore_engine(engine)
    call.tell(change, f"{config}: {count(len(found), 'thing')} changed", changed=_counts_of(found))


def _ask(call: Call, question: str) -> None:
    """Ask before a large change; end the call if nobody says yes."""
    if call.as_json or not _is_terminal():
        fail("nobody is there to ask: --yes makes the change, --dry-run shows it")
    if not typer.confirm(question, err=True):
        say(console(sys.stderr), "refused", ": nothing was changed")
        finish(1)


def _is_terminal() -> bool:
    return sys.stdin is not None and sys.stdin.isatty()


def _counts_of(things: "list[Thing]") -> dict[str, int]:
    kinds = [thing.kind for thing in things]
    return {kind: kinds.count(kind) for kind in ("rules", "list", "key")}


@store.command("export")
@asking
def export_config(
    call: Call,
    output: Annotated[str, typer.Argument(metavar="FILE", help="A .toml or .json; - is standard output.")] = STDIN,
    file_format: FileFormat = None,
) -> None:
    """Write all keys, lists and rules as a configuration, which `import` reads."""
    suffix = "toml" if output == STDIN else Path(output).suffix.lower().removeprefix(".")
    chosen = file_format or suffix
    if chosen not in ("toml", "json"):
        raise typer.BadParameter(f"{quote(output)}: the suffix tells no format; name one (--format): toml, json")
    if call.store.held_id("") != "":
        raise EngineError("the store has only hashes of its keys' ids, and a configuration says the ids")
    with call.store.reading() as data:
        engine, revision = data.engine(), data.revision
    text = dumps(engine, "json" if chosen == "json" else "toml")
    if output == STDIN:
        sys.stdout.write(text)
        finish(0)
    try:
        write_whole(output, text, 0o600)  # it may name keys: a new file is its owner's alone
    except OSError as error:
        fail_of_file(output, error)
    if call.as_json:
        print_json(ok=True, file=output, keys=len(engine), lists=len(engine.lists()), revision=revision.generation)
    else:
        counts = f"{count(len(engine), 'key')}, {count(len(engine.lists()), 'list')}"
        say(console(sys.stdout), "accepted", f": {counts}, revision {revision.generation}")
    finish(0)


# -- What happened ------------------------------------------------------------


@store.command("history")
@asking
def history(
    call: Call,
    key: Annotated[str | None, typer.Option(metavar="KEY", help="Only commits that changed this key.")] = None,
    name: Annotated[
        str | None, typer.Option("--list", metavar="NAME", help="Only those that changed this list.")
    ] = None,
    before: Annotated[int | None, typer.Option(metavar="N", help="Only commits before this one.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="The most commits.")] = 20,
) -> None:
    """Say who changed what, when and why; the latest first."""
    if key is not None and name is not None:
        raise typer.BadParameter("name a key or a list, not both")
    kind, named = ("key", call.store.held_id(key)) if key is not None else ("list" if name is not None else None, name)
    with call.store.reading() as data:
        commits = data.history(kind=kind, name=named, before=before, limit=limit)
    if call.as_json:
        print_json(commits=[commit.to_dict() for commit in commits])
    else:
        for commit in commits:
            _say_commit(commit)
    finish(0)


def _say_commit(commit: "Commit") -> None:
    reason = f' "{commit.reason}"' if commit.reason else ""
    origin = f", {commit.origin}" if commit.origin else ""
    at, who = commit.at[:19].replace("T", " "), commit.actor or "nobody said who"
    say(console(sys.stdout), f"{commit.revision.generation:<6}{at}  {commit.operation:<16}{who}{reason}{origin}")
    _say_things(list(commit.things), "      ")


def _say_things(things: "list[Thing]", indent: str = "") -> None:
    from ...advice.engines import lines_of, title_of  # noqa: PLC0415  as above

    out = console(sys.stdout)
    for thing in things[:_MOST_SHOWN]:
        say(out, f"{indent}{title_of(thing)}")
        for sign, line in lines_of(thing):
            say(out, sign, f" {line}", place=f"{indent}  ")
    if len(things) > _MOST_SHOWN:
        say(out, f"{indent}and {len(things) - _MOST_SHOWN:,} more")


@store.command("undo")
@changing
def undo(call: Call, number: Annotated[int, typer.Argument(metavar="N", help="The number of a commit.")]) -> None:
    """Undo a commit: what it changed gets its old value, by a new commit."""
    with call.change("undo") as change:
        report = change.undo(number)
    call.tell(change, f"commit {number} is undone", report, undone=number)


# -- Break-glass --------------------------------------------------------------


@store.command("grant")
@changing
def grant(
    call: Call,
    key: Annotated[str, typer.Argument(metavar="KEY", help="The key's id.")],
    prefix: Annotated[str | None, typer.Argument(metavar="[PREFIX]", help="From where.")] = None,
    everywhere: Annotated[bool, typer.Option("--everywhere", help="From every address.")] = False,
    until: Annotated[str | None, typer.Option(metavar="MOMENT", help="Such as 2026-03-01T12:00:00Z.")] = None,
    duration: Annotated[str | None, typer.Option("--for", metavar="TIME", help="Such as 30m, 2h or 1d.")] = None,
) -> None:
    """For a time, let a key be used from one more prefix (break-glass); needs --reason."""
    if (prefix is None) is not everywhere:
        raise typer.BadParameter("from where? Name a PREFIX, or --everywhere")
    if (until is None) == (duration is None):
        raise typer.BadParameter("for how long? Name --for TIME, or --until MOMENT")
    end = moment_of(until, "--until") if until is not None else call.store.now() + _time_of(duration or "")
    with call.change("grant") as change:
        number = change.grant(key, prefix, reason=call.reason or "", until=end)
    said = f"grant {number}: key {quote(key)} from {prefix or 'everywhere'} until {end.isoformat(timespec='seconds')}"
    call.tell(change, said, grant=number, until=end.isoformat())


def _time_of(text: str) -> timedelta:
    seconds = seconds_in(text, most_digits=6)
    if seconds is None:
        fail(f"--for is a whole number and s, m, h or d, such as 2h, not {quote(text)}")
    return timedelta(seconds=seconds)


@store.command("grants")
@asking
def list_grants(call: Call) -> None:
    """List the grants in force."""
    with call.store.reading() as data:
        found = data.grants()
    if call.as_json:
        said = [
            {"number": each.number, "key": each.key, "prefix": each.prefix, "until": each.expires.isoformat()}
            | {"reason": each.reason}
            for each in found
        ]
        print_json(grants=said)
    else:
        for each in found:
            where = each.prefix or "everywhere"
            until = each.expires.isoformat(timespec="seconds")
            say(console(sys.stdout), f'{each.number}  key {quote(each.key)} from {where} until {until} "{each.reason}"')
    finish(0)


@store.command("end-grant")
@changing
def end_grant(call: Call, number: Annotated[int, typer.Argument(metavar="N", help="The number of a grant.")]) -> None:
    """End a grant before its time."""
    with call.change("end_grant") as change:
        change.end_grant(number)
    call.tell(change, f"grant {number} has ended", grant=number)


# -- Looking for mistakes -----------------------------------------------------


@store.command("lint")
@asking
def lint_store(call: Call) -> None:
    """Say what looks like a mistake, which grants are in force, and what is asserted of nothing."""
    with call.store.reading() as data:
        findings = [*lint_engine(data.engine())]
        for each in data.grants():
            where, until = each.prefix or "everywhere", each.expires.isoformat(timespec="seconds")
            message = f"break-glass grant {each.number} until {until}: {each.reason}"
            severity: Literal["warning", "advice"] = "advice" if each.prefix else "warning"
            findings.append(Finding("break_glass", severity, "key", each.key, where, message))
        known = {"list": set(data.lists()), "key": set(data.engine().keys())}
        for said in data.assertions():
            if said.name not in known.get(said.holder, set()):
                kind: Literal["list", "key"] = "list" if said.holder == "list" else "key"
                message = "something is asserted of it, and it does not exist"
                findings.append(Finding("asserted_of_nothing", "warning", kind, said.name, said.address, message))
    warnings = [finding for finding in findings if finding.severity == "warning"]
    if call.as_json:
        print_json(clean=not warnings, findings=[finding.to_dict() for finding in findings])
    else:
        out = console(sys.stdout)
        for finding in findings:
            entry = "" if finding.entry is None else f"{finding.entry}: "
            say(out, finding.severity, f": {entry}{finding.message}", place=f"{finding.kind} {quote(finding.name)}: ")
        advice = f"{len(findings) - len(warnings):,} of advice"
        say(out, "clean" if not warnings else "suspicious", f": {count(len(warnings), 'warning')}, {advice}")
    finish(1 if warnings else 0)


# -- Readers ------------------------------------------------------------------


@store.command("readers")
@asking
def list_readers(call: Call) -> None:
    """Say who answers by which revision, and who lags behind."""
    with call.store.reading() as data:
        found, revision = data.readers(), data.revision
    if call.as_json:
        said = [
            {"name": each.name, "epoch": f"{each.revision.epoch:x}", "revision": each.revision.generation}
            | {"seen_at": each.seen_at, "lag": each.lag}
            for each in found
        ]
        print_json(revision=revision.generation, epoch=f"{revision.epoch:x}", readers=said)
    else:
        out = console(sys.stdout)
        say(out, f"the store is at revision {revision.generation}")
        for each in found:
            lag = "another history" if each.lag is None else "current" if each.lag <= 0 else f"{each.lag:,} behind"
            seen = each.seen_at[:19].replace("T", " ")
            say(out, f"{each.revision.generation:<8}{lag:<17}{seen}  {each.name}")
    finish(0)


@store.command("follow")
@asking
def follow(
    call: Call,
    snapshot: Annotated[str, typer.Option(metavar="SNAP", help="The file that workers map.")],
    every: Annotated[float, typer.Option(help="Seconds between two looks at most.")] = 2.0,
    replace: Annotated[bool, typer.Option("--replace", help="Replace a file of another source.")] = False,
    put: Annotated[
        str | None, typer.Option(metavar="URL", help="Put the file in a bucket, too: s3://bucket/keys.json.")
    ] = None,
) -> None:
    """Keep a snapshot file in step with the store, until SIGTERM or SIGINT."""
    from .copying import SnapshotCopy  # noqa: PLC0415  as above
    from .following import StoreFollower  # noqa: PLC0415

    putter = None
    if put is not None:
        shelf = shelf_of(put)  # first, because it tells what is missing
        from .carrying import Putter  # noqa: PLC0415  as above

        putter = Putter(shelf, snapshot)
    is_over, out = told_to_stop(), console(sys.stdout)

    def tell(revision: "Revision") -> None:
        say(out, "accepted", f": {snapshot} is at revision {revision.generation}")
        out.file.flush()

    beat = putter.note if putter is not None else lambda _moment, _revision: None
    try:
        with (
            StoreFollower(call.store, every=every, max_age=max(10.0, 5 * every)) as follower,
            putting(putter, is_over),
        ):
            copy = SnapshotCopy(follower.engine, snapshot, tell, beat)
            copy.step(replace=replace)
            copy.run(is_over, _COPIES_EVERY)
    except OSError as error:
        fail_of_file(snapshot, error)
    finish(0)


# -- Tokens -------------------------------------------------------------------


@tokens.command("create")
@changing
def create_token(
    call: Call,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Whose it is.")],
    role: Annotated[str, typer.Option(help="viewer, editor or admin.")] = "viewer",
) -> None:
    """Make a token and print it, once."""
    from .tokens import Tokens  # noqa: PLC0415  as above

    token = Tokens(call.store).create(name, role, **call.author())
    if call.as_json:
        print_json(ok=True, name=name, role=role, token=token)
    else:
        sys.stdout.write(f"{token}\n")
        say(console(sys.stderr), "accepted", f": the token of {quote(name)}, {role}; nobody can ask for it again")
    finish(0)


@tokens.command("list")
@asking
def list_tokens(call: Call) -> None:
    """List the tokens, by their names and roles."""
    from .tokens import Tokens  # noqa: PLC0415  as above

    found = Tokens(call.store).list()
    if call.as_json:
        said = [{"name": each.name, "role": each.role, "created_at": each.created_at} for each in found]
        print_json(tokens=said)
    else:
        for each in found:
            say(console(sys.stdout), f"{each.role:<8}{each.created_at[:19].replace('T', ' ')}  {each.name}")
    finish(0)


@tokens.command("remove")
@changing
def remove_token(call: Call, name: Annotated[str, typer.Argument(metavar="NAME", help="Whose it is.")]) -> None:
    """Remove a token."""
    from .tokens import Tokens  # noqa: PLC0415  as above

    Tokens(call.store).remove(name, **call.author())
    if call.as_json:
        print_json(ok=True, name=name)
    else:
        say(console(sys.stdout), "accepted", f": the token of {quote(name)} is gone")
    finish(0)


store.add_typer(keys, name="key")
store.add_typer(lists, name="list")
store.add_typer(asserts, name="assert")
store.add_typer(tokens, name="token")
