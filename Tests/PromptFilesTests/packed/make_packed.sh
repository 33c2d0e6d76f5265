#!/usr/bin/env bash
# Makes the packed files of this folder with gzip and zstd: 300 lines that number themselves, in the forms that these
# programs and others write. Run it in this folder.
set -euo pipefail

all=$(mktemp)
for number in $(seq 300); do echo "{\"prompt\":\"line $number: $((number * number * 7919))\"}"; done >"$all"

gzip -n <"$all" >plain.gz
# cat a.gz b.gz: two members, and the cut is in the middle of a line.
{ head -c 5000 "$all" | gzip -n; tail -c +5001 "$all" | gzip -n; } >members.gz
{ cat plain.gz; head -c 700 /dev/zero; } >padded.gz
{ cat plain.gz; echo "more"; } >followed.gz

zstd -q <"$all" >plain.zst
{ head -c 5000 "$all" | zstd -q; tail -c +5001 "$all" | zstd -q; } >frames.zst
# A frame without data first, as those write who pack with several threads.
{ printf '\x50\x2a\x4d\x18\x04\x00\x00\x00abcd'; cat plain.zst; } >skippable.zst
{ cat plain.zst; echo "more"; } >followed.zst
# Wants a window of 256 MiB to unpack.
cat "$all" | zstd -q --long=28 >window.zst
rm "$all"
