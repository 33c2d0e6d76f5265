#!/usr/bin/env python3
"""Makes databases of earlier schemas, as SQL text, for the upgrade tests.

    Tests/Golden/schemas/make_schemas.py PROGRAM VERSION...

PROGRAM is a ttbatch of a schema not older than any VERSION. It writes a queue in the middle of its work: batches that
ended, were cancelled, run and wait, a draft, and a daemon that was killed with jobs in flight. For an older version the
rows are put into a database that the migrations up to that version make, column by column, as far as it has them.

A file is made once, when its schema is the newest, and never again.
"""

import json
import os
import signal
import sqlite3
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
MIGRATIONS = sorted((HERE.parents[2] / "migrations").glob("[0-9]*.sql"))
APPLICATION_ID = 0x74746271
CONTEXT = b"llama.context_length"


def main() -> None:
    program, versions = Path(sys.argv[1]).resolve(), [int(text) for text in sys.argv[2:]]
    with tempfile.TemporaryDirectory() as directory:
        rows = sqlite3.connect(made_by(program, Path(directory)))
        rows.execute("UPDATE incarnations SET host = 'a-host', pid = 4242")
        for version in versions:
            target = HERE / f"schema-{version}.sql"
            target.write_text(dump(copied(rows, version), version))
            print(target)


def made_by(program: Path, directory: Path) -> Path:
    database = directory / "queue.db"
    model = directory / "tiny-f16.gguf"
    settings = dict(os.environ, TTBATCH_DB=str(database), TTBATCH_MODELS_DIRECTORY=str(directory))
    settings["TTBATCH_MODEL"] = "tiny-f16"
    real = (HERE.parent / "tiny/tiny-f16.gguf").read_bytes()
    # What is too long is refused before it is stored, unless the model's file is replaced by another one afterwards.
    model.write_bytes(real.replace(CONTEXT + struct.pack("<II", 4, 256), CONTEXT + struct.pack("<II", 4, 8192)))

    def ttbatch(*arguments: str, prompts: list[dict] | None = None) -> str:
        text = "".join(json.dumps(prompt) + "\n" for prompt in prompts or [])
        done = subprocess.run(
            [program, *arguments], env=settings, cwd=directory, input=text, capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    some = [line(f"job-{number}", f"The number {number} is", 6) for number in range(6)]
    ttbatch("enqueue", "-", prompts=some + [line("too-long", "word " * 500, 6)])
    model.write_bytes(real)
    ttbatch("daemon", "--drain")
    ttbatch("retry", "batch_1")
    ttbatch("cancel", ttbatch("enqueue", "-", prompts=some))
    ttbatch("enqueue", "-", prompts=[line("too-short", "x", 1)] + [line(f"long-{n}", f"{n} is", 200) for n in range(12)])
    daemon = subprocess.Popen(
        [program, "daemon", "--set", "engine.max_num_seqs=2", "--set", "daemon.commit_interval_ms=1"],
        env=settings, cwd=directory, stderr=subprocess.DEVNULL,
    )
    while json.loads(ttbatch("show", "batch_4", "--json"))["request_counts"]["completed"] < 2:
        time.sleep(0.005)
    daemon.kill()
    daemon.wait()
    ttbatch("enqueue", "-", prompts=some)
    # An enqueue that is killed while it waits for the rest of its input leaves a draft.
    draft = subprocess.Popen([program, "enqueue", "-"], env=settings, cwd=directory, stdin=subprocess.PIPE)
    assert draft.stdin is not None
    draft.stdin.write("".join(json.dumps(prompt) + "\n" for prompt in some).encode())
    draft.stdin.flush()
    while '"validating"' not in ttbatch("list", "--drafts", "--json"):
        time.sleep(0.01)
    draft.send_signal(signal.SIGKILL)
    draft.wait()
    return database


def line(name: str, prompt: str, tokens: int) -> dict:
    return {"custom_id": name, "prompt": prompt, "max_tokens": tokens, "temperature": 0, "ignore_eos": True}


def copied(rows: sqlite3.Connection, version: int) -> sqlite3.Connection:
    """The rows in a database of an earlier schema."""
    database = sqlite3.connect(":memory:")
    for migration in MIGRATIONS[:version]:
        database.executescript(migration.read_text())
    database.execute(
        "CREATE TABLE schema_migrations (version INTEGER PRIMARY KEY, name TEXT NOT NULL, checksum TEXT NOT NULL, "
        "applied_ms INTEGER NOT NULL) STRICT"
    )
    tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    for table in tables:
        columns = ", ".join(row[1] for row in database.execute(f"PRAGMA table_info({table})"))
        which = f" WHERE version <= {version}" if table == "schema_migrations" else ""
        found = rows.execute(f"SELECT {columns} FROM {table}{which}").fetchall()
        places = ", ".join("?" * (columns.count(",") + 1))
        # SQLite and the migrations may have put rows there.
        database.execute(f"DELETE FROM {table}")
        database.executemany(f"INSERT INTO {table} ({columns}) VALUES ({places})", found)
    database.commit()
    return database


def dump(database: sqlite3.Connection, version: int) -> str:
    """The database as statements. (`iterdump` would end texts at U+0000.)"""
    lines = [f"PRAGMA application_id = {APPLICATION_ID};", f"PRAGMA user_version = {version};", "PRAGMA foreign_keys = OFF;"]
    objects = database.execute("SELECT name, type, sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY rowid").fetchall()
    lines += [f"{sql};" for name, _, sql in objects if name != "sqlite_sequence"]
    for name, kind, _ in objects:
        if kind != "table":
            continue
        if name == "sqlite_sequence":
            lines.append("DELETE FROM sqlite_sequence;")
        for row in database.execute(f"SELECT * FROM {name}"):
            lines.append(f"INSERT INTO {name} VALUES ({', '.join(literal(value) for value in row)});")
    return "\n".join(lines) + "\n"


def literal(value: object) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, bytes):
        return f"X'{value.hex()}'"
    if not isinstance(value, str):
        return repr(value)
    if value.isprintable():
        return "'" + value.replace("'", "''") + "'"
    return f"CAST(X'{value.encode().hex()}' AS TEXT)"


if __name__ == "__main__":
    main()
