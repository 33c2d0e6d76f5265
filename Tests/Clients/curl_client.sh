#!/usr/bin/env bash
# curl against a ttbatch server: an upload that waits until it is wanted, and a file of results that is fetched in pieces.
#
#   curl_client.sh http://127.0.0.1:8080/v1
set -euo pipefail
url=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

# same GOT WANTED WHAT
same() { [ "$1" = "$2" ] || { echo "$3: '$1' instead of '$2'" >&2 && exit 1; }; }
# The first text with this name in the JSON of standard input.
text() { sed -nE "s/^[^\n]*\"$1\":\"([^\"]*)\".*/\1/p" | head -n 1; }
statuses() { tr -d '\r' <"$1" | sed -nE 's/^< HTTP\/1.1 ([0-9]+).*/\1/p' | tr '\n' ' '; }
header() { tr -d '\r' <head | sed -nE "s/^$1: (.*)/\1/Ip"; }

# More than a megabyte, for which curl asks by itself whether it may send. Here it would wait for the answer for a minute.
seq 8 | sed -E 's/.*/{"custom_id": "r&", "method": "POST", "url": "\/v1\/completions", "body": {"prompt": "Count to &:", "max_tokens": 8}}/' >in.jsonl
{ cat in.jsonl && head -c 1500000 /dev/zero | tr '\0' ' ' | fold -w 1000; } >large.jsonl
SECONDS=0
answer=$(curl -sSv --expect100-timeout 60 -F purpose=batch -F file=@large.jsonl "$url/files" 2>log) || { cat log >&2 && exit 1; }
grep -q '^> Expect: 100-continue' log || { echo "curl $(curl --version | head -n 1) did not ask before it sent" >&2 && exit 1; }
same "$(statuses log)" "100 200 " "statuses of the upload"
[ "$SECONDS" -lt 30 ] || { echo "the upload waited for $SECONDS s" >&2 && exit 1; }
file=$(text id <<<"$answer")
curl -sS "$url/files/$file/content" | cmp - large.jsonl

batch=$(curl -sS "$url/batches" -H 'Content-Type: application/json' \
    -d '{"input_file_id": "'"$file"'", "endpoint": "/v1/completions", "completion_window": "24h"}' | text id)
until answer=$(curl -sS "$url/batches/$batch") && [[ $(text status <<<"$answer") =~ ^(completed|failed|expired|cancelled)$ ]]; do
    sleep 0.2
done
same "$(text status <<<"$answer")" completed "status of the batch"
results=$url/files/$(text output_file_id <<<"$answer")/content
curl -sS "$results" >whole
same "$(wc -l <whole)" 8 "lines of results"
size=$(stat -c %s whole)

# Each piece, which bytes it should be, and whether the pieces make the whole.
while read -r range first last; do
    curl -sS -r "$range" -D head -o piece "$results"
    same "$(head -n 1 head | cut -d' ' -f2) $(header content-range)" "206 bytes $first-$last/$size" "range $range"
    cmp piece <(tail -c "+$((first + 1))" whole | head -c "$((last - first + 1))")
done <<END
0-0 0 0
100-199 100 199
200- 200 $((size - 1))
-50 $((size - 50)) $((size - 1))
0-$((size + 5)) 0 $((size - 1))
END
same "$(curl -sS -r "$size-" -D head -o piece -w '%{http_code}' "$results") $(header content-range)" "416 bytes */$size" \
    "a range behind the end"

# A download that broke off goes on.
head -c 300 whole >continued
curl -sS -C - -o continued "$results"
cmp continued whole
echo "curl: an upload of $(stat -c %s large.jsonl) bytes behind 100 Continue, and $size bytes of results in ranges"
