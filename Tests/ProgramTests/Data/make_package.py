"""Writes a wheel that pip can fetch, with one file in it: make_package.py FOLDER NAME==VERSION MEMBER FILE."""

import pathlib
import sys
import zipfile

folder, package, member, file = sys.argv[1:]
name, version = package.split("==")
stem = f"{name.replace('-', '_')}-{version}"
with zipfile.ZipFile(pathlib.Path(folder) / f"{stem}-py3-none-any.whl", "w") as wheel:
    wheel.write(file, member)
    wheel.writestr(f"{stem}.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    wheel.writestr(f"{stem}.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
    wheel.writestr(f"{stem}.dist-info/RECORD", "")
