#!/bin/bash
# check.sh OUT: other people's clients against vitx-cli serve, run by `make check-serve`: the
# examples of docs/serve.md as they stand (curl, requests, tritonclient), and schemathesis with the
# OpenAPI document. Python packages go into a virtual environment under build/serve.
set -euo pipefail
cd "$(dirname "$0")/../.."
out=$(realpath "${1:-build}")
room=$(pwd)/build/serve
venv=$room/venv
mkdir -p "$room"
folder=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server"; rm -rf "$folder"' EXIT

ldd "$out/vitx-cli" | grep -q microhttpd ||
    { echo "check-serve: built without libmicrohttpd" >&2; exit 1; }
if ! cmp -s test/serve/requirements.txt "$venv/installed"; then
    rm -rf "$venv"
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check -r test/serve/requirements.txt
    cp test/serve/requirements.txt "$venv/installed"
fi

cp docs/images/scenes/one.png "$folder/picture.png"
awk -v folder="$folder" '
    /^```(sh|python) example$/ { kind = $1; sub(/```/, "", kind); n++; name = sprintf("%s/%02d.%s", folder, n, kind); next }
    /^```/ { name = "" }
    name { print > name }' docs/serve.md

# The port of the examples, or another one if it is taken.
serve() { # serve ADDRESS
    "$out/vitx-cli" serve -m weights/scenes -m weights/pair --grace 0 --listen "$1" 2> "$folder/log" &
    server=$!
    for _ in $(seq 200); do
        port=$(sed -n 's/.*listening on http:.*:\([0-9]*\)$/\1/p' "$folder/log")
        [ -z "$port" ] || return 0
        kill -0 "$server" 2> /dev/null || break
        sleep 0.1
    done
    server=
    return 1
}
serve 127.0.0.1:8080 || serve 127.0.0.1:0 || { cat "$folder/log" >&2; exit 1; }

failed=0 count=0
export PATH=$venv/bin:$PATH
for example in "$folder"/*.sh "$folder"/*.python; do
    count=$((count + 1))
    [ "$port" = 8080 ] || sed -i "s/127\.0\.0\.1:8080/127.0.0.1:$port/g" "$example"
    runner=(python)
    [ "${example%.sh}" = "$example" ] || runner=(bash -euo pipefail)
    if (cd "$folder" && "${runner[@]}" "$example") > "$folder/said" 2>&1; then
        echo "ok    $(grep -m 1 -vE '^import|^ *$' "$example" | cut -c 1-80)"
    else
        cat "$example" "$folder/said"
        failed=1
    fi
done
[ "$count" = 6 ] || { echo "check-serve: $count examples were found in docs/serve.md"; failed=1; }
head -c 4 "$folder/map.png" | grep -qa PNG ||
    { echo "check-serve: map.png is no picture"; failed=1; }
grep -q 'id="vx-viewer"' "$folder/report.html" ||
    { echo "check-serve: report.html is no report"; failed=1; }

grep -q '"label":"一只狗"' "$folder/classes.json" ||
    { echo "check-serve: classes.json lacks a label"; failed=1; }
grep -q '"parts":' "$folder/why.html" ||
    { echo "check-serve: why.html has no words"; failed=1; }

checks=not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance
checks+=,negative_data_rejection,unsupported_method,ignored_auth
if (cd "$folder" && timeout 300 schemathesis run "http://127.0.0.1:$port/openapi.json" --checks "$checks" \
    -n "${EXAMPLES:-5}" --seed "${SEED:-1}") > "$room/schemathesis.log" 2>&1; then
    echo "ok    schemathesis: $(grep -oE '[0-9]+ generated.*' "$room/schemathesis.log")"
else
    sed -n '/FAILURES\|ERRORS/,$p' "$room/schemathesis.log" | cut -c 1-1000
    failed=1
fi
kill -0 "$server" || { echo "check-serve: the server is gone"; cat "$folder/log"; failed=1; }
exit "$failed"
