"""Sends a daemon's server what clients should not, and watches that it stays well.

  python fuzz.py PROGRAM MODEL [--count N] [--seed N] [--only N] [--ends N] [--threads N]

It starts the daemon on a queue of its own, and ends with 1 where something was wrong; each exchange that was is shown, and
--seed and --only send its like again. At last it ends the daemon some times in the middle of exchanges.
"""

import argparse
import collections
import json
import os
import pathlib
import random
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time

import kinds
import shapes
from wire import BadAnswer, Connection, Hang, Request

# The longest that a connection of the server may take: its patience, its linger, and what a busy machine needs.
LONGEST = kinds.PATIENCE + 2 + 25


class Daemon:
    """The program on a queue in a folder of its own."""

    def __init__(self, program, model):
        self.program = program
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="ttbatch-fuzz-"))
        self.model = model
        # Pools of threads live as long as the process, with their queues of work. What weak references refer to has a table
        # whose address Swift packs, so that no search of memory finds it.
        (self.folder / "no-leaks").write_text("leak:BlockingThreads\nleak:NIOThreadPoolC7_submit\nleak:swift_weakInit\n")
        self.key = self.run("keys", "add", "fuzzer", "--scope", "admin", "--scope", "metrics").strip()
        self.start()

    def start(self, finds_leaks=True):
        settings = [
            "server.listen=127.0.0.1:0", "server.upload_limit_mb=1", "server.show_prompts=true",
            *(f"server.{name}_timeout_s={kinds.PATIENCE}" for name in ("head", "stall", "idle"))]
        words = [self.program, "daemon", "--db", "queue.db", "--model", self.model]
        self.log = open(self.folder / "log", "w+b")
        self.process = subprocess.Popen(
            words + [word for setting in settings for word in ("--set", setting)], cwd=self.folder, stdin=subprocess.DEVNULL,
            stdout=self.log, stderr=self.log,
            env=self.environment | {"ASAN_OPTIONS": self.environment["ASAN_OPTIONS"] + f":detect_leaks={int(finds_leaks)}"})
        self.address = self.wait_for(lambda: re.search(r"listening on (\S+):(\d+)", self.text()))
        self.address = (self.address[1], int(self.address[2]))
        self.wait_for(lambda: self.ask(Request("GET", "/ready", [("X-Api-Key", self.key)])).status == 200)

    @property
    def environment(self):
        # Freed memory counts as the daemon's until the address sanitizer gives it back.
        return {
            "ASAN_OPTIONS": "handle_sigbus=0:quarantine_size_mb=32", **os.environ,
            "LSAN_OPTIONS": f"suppressions={self.folder}/no-leaks", "SWIFT_BACKTRACE": "enable=no"}

    def run(self, *words):
        done = subprocess.run(
            [self.program, *words, "--db", "queue.db"], cwd=self.folder, env=self.environment, capture_output=True, text=True)
        if done.returncode != 0:
            raise AssertionError(f"{words}: {done.returncode} {done.stderr}")
        return done.stdout

    def text(self):
        return (self.folder / "log").read_text(errors="replace")

    def wait_for(self, condition, seconds=60):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            value = condition()
            if value:
                return value
            if self.process.poll() is not None:
                raise AssertionError(f"the daemon has ended: {self.text()[-3000:]}")
            time.sleep(0.05)
        raise AssertionError(f"waited too long: {self.text()[-3000:]}")

    def ask(self, request, seconds=30):
        connection = Connection(self.address, seconds)
        connection.send(request.wire())
        answer = connection.answer(request.method)
        connection.close()
        if answer is None:
            raise BadAnswer(f"no answer to {request.method} {request.target}")
        return answer

    def memory(self):
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) // 1024

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def end(self):
        """Ends it as an operator does; returns its exit code."""
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return "no end"


class Fuzzer:
    def __init__(self, daemon, seed):
        self.daemon, self.seed = daemon, seed
        self.state = shapes.State(daemon.key, pathlib.Path(daemon.model).stem)
        self.numbers = iter(())
        self.lock = threading.Lock()
        self.problems = []
        self.statuses, self.sent, self.times = collections.Counter(), collections.Counter(), []
        self.log_in()

    def log_in(self):
        page = self.daemon.ask(Request("GET", "/login")).body.decode()
        self.state.token = re.search(r'name="token" value="(\w+)"', page)[1]
        body = f"token={self.state.token}&key={self.daemon.key}".encode()
        cookie = self.daemon.ask(Request("POST", "/login", [], body)).headers["set-cookie"]
        self.state.cookie = cookie.split(";")[0]

    # MARK: - One exchange

    def exchange(self, number):
        chance = random.Random(f"{self.seed}/{number}")
        kind = chance.choices(list(kinds.KINDS), list(kinds.KINDS.values()))[0]
        plan = kind(chance, self.state)
        began = time.monotonic()
        try:
            problem, answers = self.perform(plan)
        except OSError as error:
            problem, answers = f"no connection: {error}", []
        # Whatever this program cannot read is a finding, too.
        except Exception as error:
            problem, answers = f"{type(error).__name__}: {error}", []
        with self.lock:
            self.sent[kind.__name__] += 1
            self.statuses.update(answer.status for answer in answers)
            self.times.append(time.monotonic() - began)
            if problem:
                sent = b"".join(item for item in plan.sends if isinstance(item, bytes))
                self.problems.append(f"--only {number} ({kind.__name__}): {problem}\n    sent {sent[:1500]!r}")

    def perform(self, plan):
        connection = Connection(self.daemon.address, LONGEST)
        answers = []
        try:
            for item in plan.sends:
                if isinstance(item, (int, float)):
                    time.sleep(item)
                elif not connection.send(item):
                    break
            if plan.end == "half":
                # Who ends his direction is taken for gone, and gets no answer that has not begun.
                connection.wait_for_bytes(0.3)
                connection.finish_sending()
            if plan.most is not None:
                while len(connection.buffer) < plan.most and b"\r\n\r\n" not in connection.buffer and connection.fill():
                    pass
                status = re.match(rb"HTTP/1\.1 (\d{3})", connection.buffer)
                if status and status[1].startswith(b"5"):
                    return f"an answer of {status[1]}: {connection.buffer[:600]!r}", []
                return None, []
            if plan.end in ("close", "reset") and plan.may_end and len(plan.methods) > 1:
                del plan.methods[1:]
            for method in plan.methods:
                answer = connection.answer(method)
                if answer is None:
                    break
                answers.append(answer)
                self.state.note(answer)
                if answer.headers.get("connection") == "close":
                    break
            if plan.end == "wait":
                while connection.fill():
                    pass
        finally:
            connection.close(reset=plan.end == "reset")
        for answer in answers:
            problem = self.judge(answer)
            if problem:
                return problem, answers
        if not plan.may_end and not answers:
            return "the connection ended without an answer", answers
        return plan.check(answers), answers

    def judge(self, answer):
        """What is wrong with any answer; None: nothing."""
        if answer.status >= 500:
            return f"an answer of the server's trouble: {answer}"
        if not answer.headers.get("x-request-id", "").startswith("req_"):
            return f"no x-request-id: {answer}"
        if answer.status >= 400 and answer.headers.get("content-type") == "application/json":
            error = json.loads(answer.body)["error"]
            if not isinstance(error["message"], str) or not isinstance(error["type"], str):
                return f"not OpenAI's object of an error: {answer}"
            if str(self.daemon.folder) in error["message"]:
                return f"a path of the server is told: {answer}"
        return None

    # MARK: - All of them

    def run(self, numbers, threads):
        """Sends some exchanges, and returns when all have ended."""
        self.numbers = iter(numbers)
        workers = [threading.Thread(target=self.work, daemon=True) for _ in range(threads)]
        for worker in workers:
            worker.start()
        while any(worker.is_alive() for worker in workers):
            self.look()
            self.tidy()
            for worker in workers:
                worker.join(0.5 / threads)

    def work(self):
        while True:
            with self.lock:
                number = next(self.numbers, None)
                if number is None or len(self.problems) >= 20 or self.daemon.process.poll() is not None:
                    return
            self.exchange(number)

    def end_in_the_middle(self, numbers, threads, seconds):
        """Asks the daemon to end while exchanges go on, whose answers may be missing then."""
        self.numbers = iter(numbers)
        workers = [threading.Thread(target=self.work, daemon=True) for _ in range(threads)]
        for worker in workers:
            worker.start()
        time.sleep(seconds)
        code = self.daemon.end()
        for worker in workers:
            worker.join()
        self.problems.clear()
        if code != 0:
            self.problems.append(f"asked to end in the middle of exchanges, the daemon ended with {code}")
        self.check_log()

    def look(self):
        """Whether the daemon lives and answers, also while it is asked much."""
        if self.daemon.process.poll() is not None:
            return
        for request, seconds in [
            (Request("GET", "/health"), 10),
            (shapes.post("/v1/completions", {"prompt": "a", "max_tokens": 1}, ("X-Api-Key", self.daemon.key)), 20),
        ]:
            try:
                answer = self.daemon.ask(request, seconds)
                problem = None if answer.status == 200 else str(answer)
            except (Hang, BadAnswer, OSError) as error:
                problem = f"{type(error).__name__}: {error}"
            if problem and self.daemon.process.poll() is None:
                with self.lock:
                    self.problems.append(f"{request.target} was not answered: {problem}")

    def tidy(self):
        """Deletes old objects: with more and more of them memory would grow for a reason."""
        key = [("X-Api-Key", self.daemon.key)]
        try:
            batches = json.loads(self.daemon.ask(Request("GET", "/v1/batches?limit=100", key)).body)["data"]
            files = json.loads(self.daemon.ask(Request("GET", "/v1/files?purpose=batch&limit=200", key)).body)["data"]
            for batch in batches[40:]:
                if batch["status"] in ("validating", "in_progress"):
                    self.daemon.ask(Request("POST", f"/v1/batches/{batch['id']}/cancel", key))
                self.daemon.ask(Request("DELETE", f"/v1/batches/{batch['id']}", key))
            for file in files[60:]:
                self.daemon.ask(Request("DELETE", f"/v1/files/{file['id']}", key))
        except (BadAnswer, OSError):
            # Whether it lives is looked at elsewhere.
            return

    def check_folder(self):
        """No file lies there that nobody knows."""
        folder = self.daemon.folder / "queue.db-files"
        for _ in range(50):
            listed = self.daemon.ask(Request("GET", "/v1/files?purpose=batch", [("X-Api-Key", self.daemon.key)]))
            known = {file["id"] for file in json.loads(listed.body)["data"]}
            present = {path.name for path in folder.iterdir()}
            if known == present:
                return
            time.sleep(0.1)
        self.problems.append(f"files of uploads: too many {present - known}, missing {known - present}")

    def check_state(self):
        """The queue itself is sane, and so are the daemon's reports."""
        state = json.loads(self.daemon.run("status", "--json"))
        if not isinstance(state.get("pending_jobs"), int):
            self.problems.append(f"status: {state}")
        self.check_log()

    def check_log(self):
        text = self.daemon.text()
        for words in ("Sanitizer", "Fatal error", "runtime error:"):
            if words in text:
                self.problems.append(f"{words} in the log: {text[max(0, text.index(words) - 200):][:6000]}")
        errors = [line for line in text.splitlines() if " error " in line]
        if errors:
            self.problems.append(f"errors in the log: {errors[:5]}")


def wait_for_quiet(daemon):
    """Waits until the last connections have ended; returns the number of open descriptors."""
    found = daemon.descriptors()
    for _ in range(10 * (kinds.PATIENCE + 3)):
        time.sleep(0.1)
        found = min(found, daemon.descriptors())
    return found


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("model")
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", type=int)
    parser.add_argument("--ends", type=int, default=10)
    parser.add_argument("--threads", type=int, default=32)
    arguments = parser.parse_args()
    daemon = Daemon(os.path.abspath(arguments.program), os.path.abspath(arguments.model))
    fuzzer = Fuzzer(daemon, arguments.seed)
    began = time.monotonic()
    numbers = range(arguments.count) if arguments.only is None else [arguments.only]
    steps = 10 if len(numbers) >= 1000 else 1
    measured = []
    try:
        for step in range(steps):
            part = numbers[len(numbers) * step // steps:len(numbers) * (step + 1) // steps]
            fuzzer.run(part, arguments.threads)
            if fuzzer.problems or daemon.process.poll() is not None:
                break
            measured.append((wait_for_quiet(daemon), daemon.memory()))
            fuzzer.check_folder()
            fuzzer.check_state()
            print(
                f"{sum(fuzzer.sent.values()):8} exchanges, {time.monotonic() - began:.0f} s, {measured[-1][1]} MB, "
                f"{measured[-1][0]} open files", flush=True)
            if fuzzer.problems:
                break
    finally:
        code = daemon.process.poll()
        if code is not None:
            fuzzer.problems.append(f"the daemon ended by itself with {code}")
        else:
            code = daemon.end()
            if code != 0:
                fuzzer.problems.append(f"asked to end, the daemon ended with {code}")
        fuzzer.check_log()
    if len(measured) == 10:
        (files, memory), (last_files, last_memory) = measured[1], measured[-1]
        # After fewer exchanges caches and threads still grow.
        if last_memory > memory * 1.2 + 16 and len(numbers) >= 50_000:
            fuzzer.problems.append(f"memory grew from {memory} to {last_memory} MB")
        if last_files > files + 4:
            fuzzer.problems.append(f"open files grew from {files} to {last_files}")
    elapsed = time.monotonic() - began
    print("kinds:", dict(fuzzer.sent.most_common()))
    print("answers:", dict(sorted(fuzzer.statuses.items())))
    if fuzzer.times:
        fuzzer.times.sort()
        print(
            f"{len(fuzzer.times) / elapsed:.0f} exchanges a second; "
            f"half took {fuzzer.times[len(fuzzer.times) // 2] * 1000:.0f} ms, "
            f"the longest {fuzzer.times[-1]:.1f} s; seed {arguments.seed}")
    chance = random.Random(arguments.seed)
    for end in range(arguments.ends):
        if fuzzer.problems:
            break
        # In the middle of its work threads still hold what nobody will free.
        daemon.start(finds_leaks=False)
        fuzzer = Fuzzer(daemon, f"{arguments.seed}/end {end}")
        fuzzer.end_in_the_middle(range(10**6), arguments.threads, chance.choice([0.05, 0.5, 2]))
    else:
        print(f"ended {arguments.ends} times in the middle of exchanges")
    for problem in fuzzer.problems:
        print("FOUND", problem)
    if fuzzer.problems:
        print(f"the daemon's log: {daemon.folder}/log; its end:\n{daemon.text()[-1500:]}")
    else:
        shutil.rmtree(daemon.folder)
    raise SystemExit(1 if fuzzer.problems else 0)


if __name__ == "__main__":
    main()
