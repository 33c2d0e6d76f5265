#!/usr/bin/env python3
"""Holds structured outputs against Python's jsonschema.

    python3 -m venv venv && venv/bin/pip install 'jsonschema[format]==4.26.0'
    ttbatch run requests.jsonl -o outputs.jsonl
    venv/bin/python check_outputs.py requests.jsonl outputs.jsonl

Every finished text must be valid, formats included. Prints what is not, and how many texts there were; status 1 if any.
"""
import json
import sys

import jsonschema


def main(requests, outputs):
    schemas = {}
    for line in open(requests):
        request = json.loads(line)
        schemas[request["custom_id"]] = request["response_format"]["json_schema"]["schema"]
    valid = cut = bad = 0
    for line in open(outputs):
        output = json.loads(line)
        choice = output["response"]["body"]["choices"][0]
        state = output["ttbatch"]["structured"][0]
        text = choice["message"]["content"]
        if state == "incomplete":
            cut += 1
            if choice["finish_reason"] != "length":
                bad += 1
                print(f"{output['custom_id']}: incomplete, and {choice['finish_reason']}")
            continue
        draft = jsonschema.Draft202012Validator
        validator = draft(schemas[output["custom_id"]], format_checker=draft.FORMAT_CHECKER)
        try:
            validator.validate(json.loads(text))
            valid += 1
        except (ValueError, jsonschema.ValidationError) as error:
            bad += 1
            print(f"{output['custom_id']}: {text}: {str(error).splitlines()[0]}")
    print(f"{valid} valid, {cut} cut, {bad} bad of {len(schemas)}")
    return 1 if bad or valid + cut != len(schemas) else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
