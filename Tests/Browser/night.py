"""A queue after a night: metrics of three lives of the daemon, and batches of any size, some with failed jobs."""

import math
import random
import sqlite3
import time

HOUR = 3_600_000

CAUSES = [
    ("no_token_allowed", 400, "the request allows no further token: all {} candidates are excluded"),
    ("model_unavailable", 503, "the model could not be used: /srv/secret/models/m-{}.gguf: the file is cut short"),
    ("bad_output", 500, "the device gave {} times something that is no token, the last time: row {}"),
]


def add_metrics(database, hours=13.0, seconds=10):
    """Twelve hours and more, with a death, a pause of the daemon and a few failures."""
    now = int(time.time() * 1000)
    chance = random.Random(1)
    begin = now - int(hours * HOUR)
    lives = [(0.0, 0.3, False), (0.31, 0.55, True), (0.6, 0.995, True)]
    for first, last, ended in lives:
        start, end = (begin + int(share * hours * HOUR) for share in (first, last))
        life = database.execute(
            "INSERT INTO incarnations (pid, host, version, model, device, started_ms, stopped_ms) "
            "VALUES (1, 'secret-host', '0.1.0', '/srv/secret/models/m.gguf', 'cpu', ?, ?)",
            (start, end if ended else None)).lastrowid
        queue = 9000
        rows = []
        for at in range(start, end, seconds * 1000):
            wave = 0.5 + 0.5 * math.sin(at / 2.3e6)
            queue = max(0, queue - 7) if chance.random() > 0.003 else queue + 3000
            rows.append((
                life, at, at + seconds * 1000, int(400 * wave), int(seconds * (90 + 60 * wave + 15 * chance.random())),
                3, 50, int(50 * 16 * (0.6 + 0.35 * wave)), 0, 16, 150 + 250 * wave, int(200 + 300 * wave), 512, queue, 7,
                int(chance.random() < 0.002), 300))
        database.executemany(f"INSERT INTO metrics ({METRICS}) VALUES ({','.join('?' * 17)})", rows)


METRICS = (
    "incarnation, start_ms, end_ms, prompt_tokens, generated_tokens, prefill_steps, decode_steps, decode_rows, "
    "preemptions, slots, kv_blocks_mean, kv_blocks_max, kv_blocks_total, queue_depth, jobs_succeeded, jobs_failed, "
    "cached_tokens")


def add_batch(database, name, jobs, failed=0, hours_ago=5.0, text="Once upon a time there was a king."):
    """A batch that has ended, the last `failed` of whose jobs have failed, by several causes."""
    chance = random.Random(jobs)
    created = int(time.time() * 1000 - hours_ago * HOUR)
    life = database.execute("SELECT max(id) FROM incarnations").fetchone()[0]
    step = 4 * HOUR // max(jobs, 1)
    batch = database.execute(
        "INSERT INTO batches (name, endpoint, model, status, created_ms, started_ms, finished_ms, total, succeeded, "
        "failed, prompt_tokens, completion_tokens, timed_jobs, queued_ms, prefill_ms, decode_ms, total_ms) "
        "VALUES (?, '/v1/completions', '/srv/secret/models/m.gguf', 'completed', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (name, created, created + 900, created + jobs * step + 1000, jobs, jobs - failed, failed, 20 * jobs, 60 * jobs,
         jobs, 90_000 * jobs, 30 * jobs, 2000 * jobs, 92_030 * jobs)).lastrowid
    first = (database.execute("SELECT max(id) FROM jobs").fetchone()[0] or 0) + 1
    for begin in range(0, jobs, 50_000):
        numbers = range(begin, min(begin + 50_000, jobs))
        rows, results, bodies = [], [], []
        for number in numbers:
            job, is_failed = first + number, number >= jobs - failed
            decode = int(chance.lognormvariate(7.3, 0.7))
            ended = created + 1000 + number * step
            rows.append((
                job, batch, number + 1, f"line-{number:05d}", "failed" if is_failed else "succeeded", 1, life, created,
                ended - 10, ended, number + 1, 20, 20 + decode // 40, ended - created, int(chance.lognormvariate(3.2, 0.5)),
                decode, ended - created + decode, number + 1))
            bodies.append((job, "/v1/completions", f'{{"prompt":"secret prompt {number}","max_tokens":80}}'.encode()))
            if is_failed:
                code, status, message = CAUSES[number % 7 % 3]
                results.append((job, None, None, code, message.format(number, number), status))
            else:
                results.append((job, text, "stop", None, None, None))
        database.executemany(
            "INSERT INTO jobs (id, batch_id, line, custom_id, state, attempt, incarnation, created_ms, claimed_ms, "
            "finished_ms, finish_seq, prompt_tokens, completion_tokens, queued_ms, prefill_ms, decode_ms, total_ms, "
            f"claim_rank) VALUES ({','.join('?' * 18)})", rows)
        database.executemany("INSERT INTO job_bodies (job_id, endpoint, body) VALUES (?, ?, ?)", bodies)
        database.executemany(
            "INSERT INTO job_results (job_id, text, finish_reason, error_code, error_message, error_status) "
            "VALUES (?, ?, ?, ?, ?, ?)", results)
    return batch


def open_queue(path):
    """A database that the program has made."""
    return sqlite3.connect(path, isolation_level="IMMEDIATE")
