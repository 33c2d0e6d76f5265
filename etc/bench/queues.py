"""Other SQLite queues with the same work as ttbatch's: enqueue, claim, finish, each durable. Prints jobs per second.

    queues.py huey|litequeue|persist-queue COUNT DATABASE
"""

import sqlite3
import sys
import time

BODY = '{"prompt":"Summarise the following in one sentence, please: 123456","max_tokens":16}'
ANSWER = "An answer of some sixty characters, as models give them: 123."


def huey(count: int, path: str) -> None:
    from huey.storage import SqliteStorage

    # A claim deletes the job; its end stores a result.
    storage = SqliteStorage(filename=path, fsync=True)
    expect_full(storage.conn)
    for _ in range(count):
        storage.enqueue(BODY.encode())
    for number in range(count):
        assert storage.dequeue() is not None
        storage.put_data(f"job-{number}", ANSWER.encode())


def litequeue(count: int, path: str) -> None:
    from litequeue import LiteQueue

    queue = LiteQueue(path)
    queue.conn.execute("PRAGMA synchronous = FULL")
    expect_full(queue.conn)
    for _ in range(count):
        queue.put(BODY)
    for _ in range(count):
        queue.done(queue.pop().message_id)


def persist_queue(count: int, path: str) -> None:
    import persistqueue

    # It opens connections with SQLite's default, which is FULL. auto_commit: each call is durable.
    queue = persistqueue.SQLiteAckQueue(path, auto_commit=True)
    for _ in range(count):
        queue.put(BODY)
    for _ in range(count):
        queue.ack(queue.get())


def expect_full(connection: sqlite3.Connection) -> None:
    """Every commit is synced, as ttbatch's are."""
    assert connection.execute("PRAGMA synchronous").fetchone()[0] == 2


def main() -> None:
    name, count, path = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    run = {"huey": huey, "litequeue": litequeue, "persist-queue": persist_queue}[name]
    began = time.monotonic()
    run(count, path)
    print(count / (time.monotonic() - began))


if __name__ == "__main__":
    main()
