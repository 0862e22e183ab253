#!/usr/bin/env bash
# From a link to captions with curl alone.
#   examples/api.sh [LINK] [FORMAT]       API=http://127.0.0.1:8000 by default
set -euo pipefail

api=${API:-http://127.0.0.1:8000}
link=${1:-https://www.youtube.com/watch?v=dQw4w9WgXcQ}
format=${2:-srt}

# The value of one field of a flat JSON object.
field() { python3 -c 'import json, sys; print(json.load(sys.stdin).get(sys.argv[1]) or "")' "$1"; }
# JSON is made by a program: a link may hold quotes.
body=$(python3 -c 'import json, sys; print(json.dumps({"url": sys.argv[1]}))' "$link")

# Request. 202: it is stored. The same link and options always give the same id.
accepted=$(curl --silent --show-error --fail-with-body \
  --header 'Content-Type: application/json' --data "$body" "$api/api/v1/transcriptions") \
  || { echo "$accepted" >&2; exit 1; }
status_url=$api$(field status_url <<<"$accepted")
result_url=$api$(field result_url <<<"$accepted")

# Poll. `progress` has bytes while downloading and seconds of audio while transcribing.
while :; do
  now=$(curl --silent --show-error --fail-with-body "$status_url")
  state=$(field status <<<"$now")
  echo "$state $(field stage <<<"$now") $(field progress <<<"$now")" >&2
  case $state in
    completed) break ;;
    failed | canceled) echo "$(field error <<<"$now")" >&2; exit 1 ;;
  esac
  sleep 2
done

# Download. The ETag saves a second transfer: --etag-compare answers 304 and keeps the file.
curl --silent --show-error --fail-with-body "$result_url?format=$format&max_line_length=42"
