"""`cidrmatch store`: what is said, with which exit status; every command and every option, on SQLite.

One flow runs on PostgreSQL, too.  Requirements: B9, B10, P1, P9 to P11, C8, C9, C21, C22.
"""

from __future__ import annotations

import json
import os
import re
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from cidrmatch import Engine, Policy, Reason, Revision
from cidrmatch.files.config import dumps, loads
from cidrmatch.service.stores import calls
from cidrmatch.service.stores.command import store as command
from cidrmatch.service.stores.copying import SnapshotCopy
from cidrmatch.service.stores.database import Database
from cidrmatch.service.stores.errors import StoreError
from cidrmatch.service.stores.following import StoreFollower
from cidrmatch.service.stores.store import Store

URL = "sqlite:///keys.db"
RULES = 'format = 1\npolicy = { name = "acme", max_entries = 20 }\n[end]\n'


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CIDRMATCH_STORE", URL)
    monkeypatch.setenv("NO_COLOR", "1")
    return tmp_path


def run(*arguments: str, code: int = 0, stdin: str | None = None) -> Result:
    result = CliRunner().invoke(command, list(arguments), stdin, prog_name="cidrmatch store")
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
    assert result.exit_code == code, result.output
    return result


def run_json(*arguments: str, code: int = 0) -> Any:
    result = run(*arguments, "--json", code=code)
    assert result.stderr == ""
    return json.loads(result.stdout)


@pytest.fixture
def store(folder: Path) -> Path:
    Path("rules.toml").write_text(RULES, encoding="utf-8")
    run("init", "--config", "rules.toml")
    run("list", "put", "office", "198.51.100.0/24", "--description", "Vienna", "--label", "desk")
    run("key", "put", "key_1", "--list", "office", "--owner", "acme", "--reason", "new runner", "--actor", "anna")
    return Path("keys.db")


# -- The store ----------------------------------------------------------------


def test_init_makes_a_tenant_once(folder: Path) -> None:
    assert run("init", "--policy", "bitbybit").stdout == (
        "accepted: tenant 'main' under the policy bitbybit, sqlite:///keys.db\n"
    )
    refused = run("init", "--policy", "bitbybit", code=1)
    assert refused.stderr == "refused: there is a tenant 'main' in this store; it is as it was\n"
    assert run_json("init", "--policy", "unkey", code=1)["errors"][0]["code"] == "AlreadyExists"
    assert run_json("init", "--policy", "unkey", "--tenant", "second")["policy"] == "unkey"
    assert run_json("upgrade")["ok"] is True
    assert "the tables have the schema" in run("upgrade").stdout
    Path("keys.toml").write_text('format = 1\npolicy = { name = "acme", max_entries = 3 }\n[end]\n', encoding="utf-8")
    assert run_json("init", "--config", "keys.toml", "--tenant", "third")["policy"] == "acme"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "whose rules? Name --policy PRESET, or --config FILE"),
        (["--policy", "nomsa"], "--policy nomsa needs --cutover MOMENT"),
        (["--policy", "nomsa", "--cutover", "2026-03-01"], "--cutover is a moment with its zone"),
        (["--policy", "nomsa", "--cutover", "soon"], "--cutover is a moment with its zone"),
        (["--policy", "unkey", "--cutover", "2026-03-01T00:00:00Z"], "--cutover belongs to --policy nomsa"),
        (["--policy", "strict"], "'strict' is no preset; there are nomsa, bitbybit, unkey, pigment"),
        (["--policy", "unkey", "--url", ""], "which store? Name it by --url, or by CIDRMATCH_STORE"),
        (["--policy", "unkey", "--url", "keys.db"], "this is no URL of a database; one is sqlite:///keys.db"),
        (
            ["--policy", "unkey", "--url", "mysql://a:secret@b/c"],
            "a store lies in sqlite or postgresql, not in 'mysql'",
        ),
        (["--policy", "unkey", "--id-secret-file", "none"], "none"),
    ],
)
def test_init_refuses_a_wrong_call(arguments: list[str], said: str) -> None:
    result = run("init", *arguments, code=2)
    assert said in " ".join(re.sub(r"[│╭╮╰╯─]", " ", result.stderr).split())
    assert "secret@" not in result.output


def test_init_takes_a_cutover(folder: Path) -> None:
    assert run_json("init", "--policy", "nomsa", "--cutover", "2026-03-01T00:00:00Z")["policy"] == "nomsa"
    assert run_json("key", "put", "key_1", code=1)["errors"]


def test_a_password_is_printed_nowhere(folder: Path) -> None:
    for url in ("postgresql://u:hunter2@127.0.0.1:1/x", "postgresql://u:hunter2@h:port/x", "postgresql:/u:hunter2@h"):
        result = run("key", "show", "--url", url, code=2)
        assert result.stderr.startswith("error: ")
        assert "hunter2" not in result.output
    with pytest.raises(StoreError, match="no URL") as raised:
        Database("postgresql://u:hunter2@h:port/x")
    assert "hunter2" not in repr(raised.value)


def test_a_store_that_is_not_there_is_not_made(folder: Path) -> None:
    assert "there is no such file; `cidrmatch store init` makes a store" in run("key", "show", code=2).stderr
    assert list(folder.iterdir()) == []
    sqlite3.connect("keys.db").close()
    assert "there is no store in this database" in run("key", "show", code=2).stderr
    run("init", "--policy", "unkey")
    assert "there is no tenant 'other'" in run("key", "show", "--tenant", "other", code=2).stderr


def test_what_is_missing_is_named() -> None:
    with pytest.raises(ModuleNotFoundError), calls.library():
        raise ModuleNotFoundError("No module named 'left'", name="left")
    with pytest.raises(typer.Exit), calls.library():
        raise ModuleNotFoundError("No module named 'sqlalchemy'", name="sqlalchemy")


def test_the_whole_command_knows_stores_and_starts_without_a_library_of_databases(store: Path) -> None:
    code = (
        "import sys; sys.argv = ['cidrmatch', '--version']\n"
        "from cidrmatch.__main__ import main\n"
        "try: main()\n"
        "except SystemExit: print('sqlalchemy' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False"
    shown = [sys.executable, "-m", "cidrmatch", "store", "list", "show"]
    assert subprocess.run(shown, capture_output=True, text=True, check=True).stdout == "office\n"


# -- Keys ---------------------------------------------------------------------


def test_key_show(store: Path) -> None:
    assert run("key", "show").stdout == "key_1\n"
    assert run_json("key", "show", "--after", "key_1", "--limit", "5") == {"keys": []}
    lines = run("key", "show", "key_1").stdout.splitlines()
    assert lines[:2] == ["key 'key_1'", "  revision: 2"]
    assert {"  lists: office", "  owner: acme"} <= set(lines)
    facts = run_json("key", "show", "key_1")
    assert (facts["revision"], facts["lists"], facts["entries"]) == (2, ["office"], [])
    assert run("key", "show", "key_9", code=1).stderr == "refused: no key 'key_9'\n"


def test_B10_key_put_add_remove_update_delete(store: Path) -> None:
    made = run_json("key", "put", "key_2", "203.0.113.7", "--label", "CI", "--within", "office", "--disabled")
    assert (made["ok"], made["revision"], made["key"]) == (True, 3, "key_2")
    assert run_json("key", "put", "key_2", "203.0.113.7", code=1)["errors"][0]["code"] == "AlreadyExists"
    run("key", "put", "key_2", "203.0.113.7", "--replace", "--label", "CI")
    run("key", "add", "key_2", "203.0.113.8", "203.0.113.9")
    run("key", "remove", "key_2", "203.0.113.8")
    facts = run_json("key", "show", "key_2")
    assert facts["entries"] == [{"prefix": "203.0.113.7/32", "label": "CI"}, "203.0.113.9/32"]
    assert (facts["within"], facts["enabled"]) == ([], True)
    run("key", "update", "key_2", "--list", "office", "--owner", "acme", "--disabled", "--within", "office")
    facts = run_json("key", "show", "key_2")
    assert (facts["lists"], facts["owner"], facts["enabled"], facts["within"]) == (
        ["office"],
        "acme",
        False,
        ["office"],
    )
    run("key", "update", "key_2", "--no-entries", "--enabled")
    assert run_json("key", "show", "key_2")["entries"] == []
    run("key", "update", "key_2", "--no-lists")
    assert "unrestricted" in run("key", "put", "key_3", "--json").stdout
    assert "warning: no entries: every address passes" in run("key", "update", "key_3", "--owner", "acme").stderr
    assert "is gone" in run("key", "delete", "key_2").stdout
    assert run("key", "delete", "key_2", code=1).stderr == "refused: no key 'key_2'\n"


def test_entries_come_from_files_and_name_their_places(store: Path) -> None:
    Path("more.csv").write_text("prefix,label\n203.0.113.5,Gate\n203.0.113.7/24,\n", encoding="utf-8")
    refused = run("key", "add", "key_1", "--file", "more.csv", code=1)
    assert refused.stderr.splitlines() == [
        "more.csv:3: error: '203.0.113.7/24': host bits are set (at position 11); did you mean 203.0.113.0/24?",
        "refused: nothing was changed",
    ]
    (error,) = run_json("key", "add", "key_1", "203.0.113.5", "010.0.0.1", code=1)["errors"]
    assert (error["at"], error["code"]) == ("argument:2", "leading_zero")
    read = run("key", "put", "key_2", "--file", "-", "--format", "csv", "--label", "new", stdin="prefix\n203.0.113.5\n")
    assert read.exit_code == 0
    assert run_json("key", "show", "key_2")["entries"] == [{"prefix": "203.0.113.5/32", "label": "new"}]
    assert "cannot be read" in run("key", "add", "key_1", "--file", "none.txt", code=2).stderr
    Path("empty.txt").write_text("# nobody\n", encoding="utf-8")
    assert "no entries" in run("key", "put", "key_3", "--file", "empty.txt", code=2).stderr
    assert "not both" in run("key", "put", "key_3", "203.0.113.5", "--file", "more.csv", code=2).stderr
    assert "name entries" in run("key", "add", "key_1", code=2).stderr
    assert "some, or none" in run("key", "update", "key_1", "203.0.113.5", "--no-entries", code=2).stderr


def test_a_change_expects_a_revision(store: Path) -> None:
    conflict = run("key", "add", "key_1", "203.0.113.5", "--if-revision", "1", code=1)
    assert "the key 'key_1' is of revision 2; 1 was expected" in conflict.stderr
    run("key", "add", "key_1", "203.0.113.5", "--if-revision", "2")
    assert "does not exist" in run("key", "put", "key_1", "--if-revision", "0", code=1).stderr
    run("key", "put", "key_2", "203.0.113.5", "--if-revision", "0")
    for words in (["update", "key_1"], ["remove", "key_1", "203.0.113.5"], ["delete", "key_1"]):
        assert "was expected" in run("key", *words, "--if-revision", "1", code=1).stderr
    for words in (["put", "office", "10.0.0.0/8"], ["add", "office", "10.0.0.0/8"], ["delete", "office"]):
        assert "was expected" in run("list", *words, "--if-revision", "9", code=1).stderr
    for words in (["remove", "office", "198.51.100.0/24"], ["link", "office", "key_2"], ["unlink", "office", "key_1"]):
        assert "was expected" in run("list", *words, "--if-revision", "9", code=1).stderr


def test_C8_C9_a_caller_is_not_locked_out(store: Path) -> None:
    for words in (
        ["key", "put", "key_2", "203.0.113.0/24"],
        ["key", "put", "key_1", "203.0.113.0/24", "--replace"],
        ["key", "update", "key_1", "203.0.113.0/24", "--no-lists"],
        ["list", "put", "office", "203.0.113.0/24"],
    ):
        assert "den" in run(*words, "--caller", "192.0.2.1", code=1).stderr
        run(*words, "--caller", "192.0.2.1", "--force")
    assert "is not an address" in run("key", "add", "key_1", "203.0.113.5", "--caller", "me", code=2).stderr


# -- Lists --------------------------------------------------------------------


def test_C21_P9_list_commands(store: Path) -> None:
    assert run("list", "show").stdout == "office\n"
    facts = run_json("list", "show", "office")
    assert (facts["revision"], facts["keys"], facts["default"], facts["description"]) == (1, ["key_1"], False, "Vienna")
    assert '  198.51.100.0/24 "desk"' in run("list", "show", "office").stdout.splitlines()
    run("list", "add", "office", "203.0.113.5")
    run("list", "remove", "office", "203.0.113.5")
    run("key", "put", "key_2", "203.0.113.5")
    run("list", "link", "office", "key_2")
    assert run_json("list", "show", "office")["keys"] == ["key_1", "key_2"]
    run("list", "unlink", "office", "key_2")
    assert "linked to 1 keys" in run("list", "delete", "office", code=1).stderr
    run("list", "default", "office")
    assert run_json("list", "show", "office")["default"] is True
    run("list", "default", "--none")
    assert "name the list, or --none" in run("list", "default", code=2).stderr
    assert "unrestricted" in run("list", "delete", "office", "--force", "--json").stdout
    assert run("list", "show", "office", code=1).stderr == "refused: no list 'office'\n"


# -- Assertions, grants, lint -------------------------------------------------


def test_assertions_hold_whoever_edits(store: Path) -> None:
    run("assert", "add", "list", "office", "198.51.100.7", "--allow", "--note", "the door")
    run("assert", "add", "key", "key_1", "192.0.2.66", "--deny")
    assert run("assert", "list").stdout.splitlines() == [
        "key 'key_1' must deny 192.0.2.66",
        "list 'office' must allow 198.51.100.7 \"the door\"",
    ]
    assert run_json("assert", "list")["assertions"][1]["note"] == "the door"
    broken = run("list", "put", "office", "203.0.113.0/24", code=1)
    assert "198.51.100.7 would be denied by the list 'office' (the door)" in broken.stderr
    assert "say --allow or --deny" in run("assert", "add", "list", "office", "198.51.100.8", code=2).stderr
    assert "no list 'door'" in run("assert", "add", "list", "door", "198.51.100.8", "--deny", code=1).stderr
    assert "is not an address" in run("assert", "add", "list", "office", "198.51", "--deny", code=2).stderr
    assert "a 'list' or a 'key'" in run("assert", "add", "tenant", "office", "198.51.100.8", "--deny", code=2).stderr
    run("assert", "drop", "list", "office", "198.51.100.7")
    run("list", "put", "office", "203.0.113.0/24")
    assert "nothing is asserted" in run("assert", "drop", "list", "office", "198.51.100.7", code=1).stderr


def test_break_glass(store: Path) -> None:
    assert "a grant needs a reason" in run("grant", "key_1", "203.0.113.5", "--for", "2h", code=2).stderr
    run("grant", "key_1", "203.0.113.5", "--for", "2h", "--reason", "pager")
    until = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    everywhere = run_json("grant", "key_1", "--everywhere", "--until", until, "--reason", "fire")
    first, second = run_json("grants")["grants"]
    assert (first["prefix"], first["reason"], second["prefix"]) == ("203.0.113.5/32", "pager", None)
    assert second["number"] == everywhere["grant"]
    assert "from everywhere until" in run("grants").stdout
    lines = run("lint", code=1).stdout.splitlines()
    assert any(line.startswith("key 'key_1': warning: everywhere: break-glass grant") for line in lines)
    assert any(line.startswith("key 'key_1': advice: 203.0.113.5/32: break-glass grant") for line in lines)
    run("end-grant", str(second["number"]))
    assert "there is no grant" in run("end-grant", str(second["number"]), code=1).stderr
    assert run_json("lint")["clean"] is True
    for words, said in (
        (["--for", "2h"], "from where?"),
        (["203.0.113.5", "--everywhere", "--for", "2h"], "from where?"),
        (["203.0.113.5"], "for how long?"),
        (["203.0.113.5", "--for", "2 hours"], "such as 2h, not '2 hours'"),
        (["203.0.113.5", "--until", "2030-01-01T00:00:00"], "--until is a moment with its zone"),
        (["203.0.113.5", "--until", "2020-01-01T00:00:00Z"], "before it begins"),
    ):
        assert said in run("grant", "key_1", *words, "--reason", "x", code=2).stderr


def test_lint_finds_what_is_asserted_of_nothing(store: Path) -> None:
    run("assert", "add", "key", "key_1", "192.0.2.66", "--deny")
    with sqlite3.connect("keys.db") as database:
        for table, column in (("links", "key"), ("entries", "name"), ("keys", "id")):
            database.execute(f"DELETE FROM {table} WHERE {column} = 'key_1'")
    codes = {finding["code"] for finding in run_json("lint", code=1)["findings"]}
    assert "asserted_of_nothing" in codes


# -- History ------------------------------------------------------------------


def test_P1_history_and_undo(store: Path) -> None:
    run("list", "add", "office", "203.0.113.5", "--label", "gate", "--actor", "ben", "--reason", "new gate")
    lines = run("history").stdout.splitlines()
    assert re.fullmatch(
        r'3     \d{4}-\d\d-\d\d \d\d:\d\d:\d\d  add_to_list     ben "new gate", cidrmatch store on .+', lines[0]
    )
    assert lines[1:3] == ["      list 'office'", '        + 203.0.113.5/32 "gate"']
    assert "      key 'key_1': new" in lines
    assert "undone" in run("undo", "3").stdout
    assert run("history", "--limit", "1").stdout.splitlines()[2] == '        - 203.0.113.5/32 "gate"'
    numbers = [commit["number"] for commit in run_json("history", "--list", "office")["commits"]]
    assert numbers == [4, 3, 1]
    (commit,) = run_json("history", "--key", "key_1", "--before", "4")["commits"]
    assert (commit["actor"], commit["reason"], commit["operation"]) == ("anna", "new runner", "put_key")
    assert "changed by the later commit 4" in run("undo", "3", code=1).stderr
    assert "there is no commit 99" in run("undo", "99", code=1).stderr
    assert "not both" in run("history", "--key", "a", "--list", "b", code=2).stderr


def test_the_actor_is_the_login_name_by_default(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "carla")
    run("list", "add", "office", "203.0.113.5")
    assert run_json("history", "--limit", "1")["commits"][0]["actor"] == "carla"

    def unknown() -> str:
        raise KeyError(os.getuid())

    monkeypatch.setattr("getpass.getuser", unknown)
    run("list", "add", "office", "203.0.113.6")
    assert "nobody said who" in run("history", "--limit", "1").stdout


def test_edits_by_hand_are_in_the_history(store: Path) -> None:
    with sqlite3.connect("keys.db") as database:
        database.execute("UPDATE lists SET description = 'Graz' WHERE name = 'office'")
    shown = run("history", "--limit", "1").stdout
    assert "list 'office': changed by hand, what it was is not known" in shown
    assert "made by hand" in run("undo", "3", code=1).stderr


# -- Import and export --------------------------------------------------------

CONFIG = """format = 1
unknown_key = "deny"
enforced = true
default = "office"

[policy]
name = "acme"
max_entries = 20

[[lists]]
name = "office"
description = "Graz"
entries = [
    { prefix = "198.51.100.0/24", label = "desk" },
    { prefix = "203.0.113.0/24", label = "guests", expires = "2030-01-01T00:00:00+00:00" },
]

[[keys]]
id = "key_2"
created_at = "2026-01-15T09:00:00+00:00"
entries = [
    "203.0.113.7",
]
enabled = false
owner = "acme"

[end]
"""


@pytest.mark.parametrize("suffix", ["toml", "json"])
def test_B9_import_and_export_give_the_same_bytes(store: Path, suffix: str) -> None:
    engine = loads(CONFIG, "toml")
    first = dumps(engine, "json" if suffix == "json" else "toml")
    Path(f"keys.{suffix}").write_text(first, encoding="utf-8")
    run("import", f"keys.{suffix}", "--yes")
    said = run("export", f"out.{suffix}").stdout
    assert said == "accepted: 1 key, 1 list, revision 3\n"
    assert Path(f"out.{suffix}").read_bytes() == first.encode("utf-8")
    assert Path(f"out.{suffix}").stat().st_mode & 0o777 == 0o600
    assert run("export", "-", "--format", suffix).stdout == first
    os.chmod(f"out.{suffix}", 0o640)
    assert run_json("export", f"out.{suffix}")["keys"] == 1
    assert Path(f"out.{suffix}").stat().st_mode & 0o777 == 0o640
    assert "nothing would change" in run("import", f"out.{suffix}").stdout


def test_import_shows_what_changes_and_asks(store: Path) -> None:
    Path("keys.toml").write_text(CONFIG, encoding="utf-8")
    shown = run("import", "keys.toml", "--dry-run").stdout.splitlines()
    assert shown[-1] == "clean: 4 things would change"
    assert {
        "key 'key_1': gone",
        "key 'key_2': new",
        "list 'office'",
        "rules",
        "  ~ description: Graz, was Vienna",
    } <= set(shown)
    assert run_json("import", "keys.toml", "--dry-run")["changed"] == {"rules": 1, "list": 1, "key": 2}
    assert "--yes makes the change" in run("import", "keys.toml", code=2, stdin="y\n").stderr
    assert run_json("key", "show")["keys"] == ["key_1"]
    assert run_json("import", "keys.toml", "--yes", "--reason", "from git")["revision"] == 3
    assert run_json("key", "show")["keys"] == ["key_2"]
    assert run_json("history", "--limit", "1")["commits"][0]["reason"] == "from git"
    Path("bad.toml").write_text(CONFIG.replace("203.0.113.7", "203.0.113.7/24"), encoding="utf-8")
    assert "keys[0].entries[0]" in run("import", "bad.toml", "--yes", code=1).stderr
    assert "cannot be read" in run("import", "none.toml", "--yes", code=2).stderr


def test_import_keeps_what_is_asserted(store: Path) -> None:
    run("assert", "add", "list", "office", "198.51.100.7", "--allow")
    Path("keys.toml").write_text(CONFIG.replace("198.51.100.0/24", "192.0.2.0/24"), encoding="utf-8")
    assert "198.51.100.7 would be denied" in run("import", "keys.toml", "--yes", code=1).stderr


def test_import_asks_on_a_terminal(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("keys.toml").write_text(CONFIG, encoding="utf-8")

    answers = iter([False, True])
    monkeypatch.setattr("typer.confirm", lambda *_, **__: next(answers))
    monkeypatch.setattr("cidrmatch.service.stores.command._is_terminal", lambda: True)
    for code in (1, 0):
        run("import", "keys.toml", code=code)


def test_a_store_that_enforces_nothing_is_exported(store: Path) -> None:
    Path("keys.toml").write_text(CONFIG.replace("enforced = true", "enforced = false"), encoding="utf-8")
    run("import", "keys.toml", "--yes")
    assert "enforced = false" in run("export").stdout
    assert run_json("lint", code=1)["findings"][0]["code"] == "not_enforced"
    assert "switched off" in run("key", "add", "key_2", "203.0.113.9", code=1).stderr


def test_export_refuses_what_it_cannot_write(store: Path, folder: Path) -> None:
    assert "the suffix tells no format" in run("export", "keys.txt", code=2).stderr
    assert "No such file" in run("export", "none/keys.toml", code=2).stderr
    Path("secret").write_bytes(b"0123456789abcdef")
    hashed = ["--tenant", "hashed", "--id-secret-file", "secret"]
    run("init", "--config", "rules.toml", *hashed)
    run("key", "put", "key_1", "203.0.113.7", *hashed)
    assert run("key", "show", "key_1", *hashed).stdout.startswith("key 'key_1'\n")
    assert "only hashes" in run("export", "-", *hashed, code=1).stderr
    Path("keys.toml").write_text(CONFIG, encoding="utf-8")
    run("import", "keys.toml", "--yes", *hashed)
    assert "nothing would change" in run("import", "keys.toml", *hashed).stdout
    assert run_json("history", "--key", "key_2", *hashed)["commits"][0]["operation"] == "import"
    assert "id_secret" in run("key", "show", "--tenant", "hashed", code=2).stderr


# -- Tokens -------------------------------------------------------------------


def test_tokens_are_told_once(store: Path) -> None:
    made = run("token", "create", "ci", "--role", "editor", "--actor", "anna")
    assert re.fullmatch(r"cma_[0-9a-f]{64}\n", made.stdout)
    assert run_json("token", "create", "ops")["role"] == "viewer"
    assert run("token", "list").stdout.splitlines()[0].startswith("editor  20")
    assert [token["name"] for token in run_json("token", "list")["tokens"]] == ["ci", "ops"]
    assert "there is a token" in run("token", "create", "ci", code=1).stderr
    assert "role" in run("token", "create", "x", "--role", "king", code=2).stderr
    assert "is gone" in run("token", "remove", "ci").stdout
    assert run_json("token", "remove", "ops")["ok"] is True
    assert run("token", "remove", "ci", code=1).stderr.startswith("refused: ")
    assert made.stdout.strip() not in run("history", "--json").stdout


# -- PostgreSQL ---------------------------------------------------------------


def test_the_commands_work_on_every_database(store_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CIDRMATCH_STORE", store_url)
    Path("rules.toml").write_text(RULES, encoding="utf-8")
    run("init", "--config", "rules.toml")
    Path("keys.toml").write_text(CONFIG, encoding="utf-8")
    run("import", "keys.toml", "--yes")
    run("key", "add", "key_2", "203.0.113.9", "--reason", "new", "--if-revision", "1")
    run("undo", "2")
    assert run("export").stdout == dumps(loads(CONFIG, "toml"), "toml")
    assert [commit["operation"] for commit in run_json("history")["commits"]] == ["undo", "add_entries", "import"]
    kept = Store(store_url)
    with kept.reading() as data:
        assert isinstance(data.engine(), Engine)
        assert data.rules.policy == Policy(name="acme", max_entries=20)
    kept.close()


# -- Readers and copies -------------------------------------------------------


def wait_for(condition: Callable[[], bool], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.02)


def test_readers_and_wait(store: Path) -> None:
    assert run("readers").stdout == "the store is at revision 2\n"
    kept = Store(URL)
    with StoreFollower(kept, name="web-1"):
        wait_for(lambda: bool(run_json("readers")["readers"]))
        said = run_json("list", "add", "office", "203.0.113.5", "--wait", "20")
        assert (said["late"], run_json("readers")["readers"][0]["revision"]) == ([], 3)
        assert re.search(r"^3       current          .*  web-1$", run("readers").stdout, re.MULTILINE)
    with sqlite3.connect("keys.db") as database:
        columns = "(tenant, name, epoch, number, seen_at)"
        for name, seen in (("dead", "2020-01-01T00:00:00+00:00"), ("slow", datetime.now(UTC).isoformat())):
            database.execute(f"INSERT INTO readers {columns} VALUES (1, ?, 1, 1, ?)", (name, seen))
    assert "another history" in run("readers").stdout
    late = run("list", "add", "office", "203.0.113.6", "--wait", "0", code=1)
    assert late.stderr == "warning: after 0.0 seconds 'slow' answers by older data\n"
    assert run_json("list", "add", "office", "203.0.113.7", "--wait", "0.2", code=1)["late"] == ["slow"]
    kept.close()


@pytest.fixture
def copy(store: Path) -> Iterator[subprocess.Popen[str]]:
    words = [sys.executable, "-m", "cidrmatch", "store", "follow", "--snapshot", "keys.snap", "--every", "0.2"]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    yield process
    process.kill()
    process.communicate()


def test_C19_workers_of_a_snapshot_deny_when_its_follower_is_dead(copy: subprocess.Popen[str]) -> None:
    assert copy.stdout is not None
    assert copy.stdout.readline() == "accepted: keys.snap is at revision 2\n"
    wait_for(Path("keys.snap.alive").exists)
    worker = Engine.open("keys.snap")
    stop = worker.follow(0.1, max_age=5)
    wait_for(lambda: worker.allows("key_1", "198.51.100.7"))
    run("list", "add", "office", "203.0.113.5")
    wait_for(lambda: worker.allows("key_1", "203.0.113.5"))
    assert worker.revision is not None
    assert worker.revision.generation == 3
    copy.kill()
    copy.wait()
    wait_for(lambda: worker.check("key_1", "198.51.100.7").reason is Reason.STALE_DATA)
    stop()


def test_C19_a_store_that_is_gone_lets_the_heartbeat_age(copy: subprocess.Popen[str]) -> None:
    wait_for(Path("keys.snap").exists)
    worker = Engine.open("keys.snap")
    wait_for(lambda: not worker.refresh() and worker.age < 3)
    os.rename("keys.db", "moved.db")
    Path("keys.db").write_bytes(b"no database at all" * 100)
    wait_for(lambda: not worker.refresh() and worker.age > 3)
    copy.terminate()
    assert copy.wait(20) == 0


def test_follow_does_not_replace_a_file_of_another_source(store: Path) -> None:
    Path("keys.snap").write_bytes(b"damaged")
    assert "damaged" in run("follow", "--snapshot", "keys.snap", code=1).stderr
    assert "No such file" in run("follow", "--snapshot", "none/keys.snap", code=2).stderr


def has_stepped(copy: SnapshotCopy, *, replace: bool = False) -> bool:
    copy.step(replace=replace)
    return True


def test_C19_a_file_that_somebody_else_wrote_gets_no_heartbeat(store: Path, caplog: pytest.LogCaptureFixture) -> None:
    kept, told = Store(URL), list[Revision]()
    with StoreFollower(kept, every=0.05, max_age=60) as follower:
        copy = SnapshotCopy(follower.engine, "keys.snap", told.append)
        copy.step()
        os.unlink("keys.snap")
        wait_for(lambda: has_stepped(copy) and Path("keys.snap").exists())
        with Engine.edit("keys.snap") as engine:
            engine.put_key("stranger", ["203.0.113.5"])
        before = Path("keys.snap.alive").read_bytes()
        is_over = threading.Event()
        running = threading.Thread(target=copy.run, args=(is_over, 0.01))
        running.start()
        wait_for(lambda: "the snapshot stays at" in caplog.text)
        is_over.set()
        running.join()
        assert Path("keys.snap.alive").read_bytes() == before
        assert [revision.generation for revision in told] == [2]
        wait_for(lambda: has_stepped(copy, replace=True) and Path("keys.snap.alive").read_bytes() != before)
        assert "stranger" not in Engine.open("keys.snap")
    kept.close()
