"""A queue in a folder of its own, and the built program on it."""

import json
import os
import pathlib
import shutil
import socket
import subprocess
import tempfile
import urllib.error
import urllib.request

import night
from chromium import wait_until


class Queue:
    """A database after a night, and a daemon with a server when it is started."""

    def __init__(self, jobs=2000):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="ttbatch-page-"))
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.daemon = None
        self.enqueue("first.jsonl", 1)
        self.cancel(1)
        with night.open_queue(self.folder / "queue.db") as database:
            night.add_metrics(database)
            night.add_batch(database, "/srv/secret/in/reviews.jsonl", jobs, failed=37, hours_ago=9)
            for number in range(12):
                night.add_batch(
                    database, f"part-{number:02d}.jsonl", 20, failed=2 * (number == 5), hours_ago=4 - number / 4)

    @property
    def address(self):
        return f"http://127.0.0.1:{self.port}"

    def run(self, *words):
        done = subprocess.run(self.command(words), env=self.variables, capture_output=True, text=True, cwd=self.folder)
        if done.returncode != 0:
            raise AssertionError(f"{words}: {done.stderr}")
        return done.stdout

    def enqueue(self, name, jobs, tokens=100, *options):
        lines = [
            json.dumps({
                "custom_id": f"line-{number:05d}", "method": "POST", "url": "/v1/completions",
                "body": {"prompt": f"the king of number {number} said", "max_tokens": tokens, "seed": number}})
            for number in range(jobs)
        ]
        (self.folder / name).write_text("\n".join(lines))
        return self.run("enqueue", name, *options).strip()

    def cancel(self, batch):
        self.run("cancel", str(batch))

    def show(self, batch):
        return json.loads(self.run("show", str(batch), "--json"))

    def status(self):
        return json.loads(self.run("status", "--json"))

    def start(self, *settings):
        words = ["daemon", "--set", f"server.listen=127.0.0.1:{self.port}", "--set", "daemon.metrics_interval_s=1"]
        for setting in settings:
            words += ["--set", setting]
        self.daemon = subprocess.Popen(
            self.command(words), env=self.variables, cwd=self.folder, stderr=open(self.folder / "log", "a"))
        wait_until(self.is_ready, 120, f"the daemon: {(self.folder / 'log').read_text()}")

    def is_ready(self):
        try:
            with urllib.request.urlopen(self.address + "/ready") as answer:
                return answer.status == 200
        except (urllib.error.URLError, OSError):
            return False

    def stop(self):
        """Stops the daemon; jobs that run are put back."""
        for _ in range(2):
            self.daemon.terminate()
        if self.daemon.wait(60) != 0:
            raise AssertionError(f"the daemon ended with {self.daemon.returncode}")
        self.daemon = None

    def remove(self):
        if self.daemon:
            self.daemon.kill()
            self.daemon.wait()
        shutil.rmtree(self.folder)

    def command(self, words):
        return [os.environ["TTBATCH_TEST_BINARY"], *words]

    @property
    def variables(self):
        return {
            "HOME": str(self.folder), "PATH": os.environ["PATH"], "SWIFT_BACKTRACE": "enable=no",
            "TTBATCH_DB": str(self.folder / "queue.db"), "TTBATCH_MODEL": os.environ["TTBATCH_TEST_MODEL"]}
