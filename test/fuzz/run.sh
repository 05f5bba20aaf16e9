#!/bin/bash
# run.sh BUILD [SECONDS]: runs the fuzz targets of BUILD, JOBS at a time (default 1), SECONDS each; without
# SECONDS in rounds of five minutes until stopped. FUZZ names the one to run. What a target finds is
# kept as BUILD/found-NAME-..., inputs that reach new code in BUILD/corpus-NAME. Fails at the first find.
set -u
build=$1 seconds=${2:-300} rounds=${2:+1}
cd "$(dirname "$0")/../.." || exit 1

fuzz() { # fuzz NAME
    local name=$1 corpora=("$build/corpus-$1")
    mkdir -p "${corpora[0]}"
    for folder in "test/fuzz/corpus/$name" "test/golden/$name"; do
        [ -d "$folder" ] && corpora+=("$folder")
    done
    "$build/fuzz_$name" -dict="test/fuzz/$name.dict" -max_len=16384 -timeout=10 -rss_limit_mb=2048 \
        -malloc_limit_mb=1024 -max_total_time="$seconds" -artifact_prefix="$build/found-$name-" \
        -print_final_stats=1 "${corpora[@]}" >"$build/$name.log" 2>&1
    local code=$?
    if [ "$code" = 0 ]; then
        printf 'ok    fuzz_%s (%s s, %s)\n' "$name" "$seconds" \
            "$(sed -n 's/^stat::number_of_executed_units: */inputs: /p' "$build/$name.log")"
    else
        tail -n 60 "$build/$name.log"
        printf 'FAIL  fuzz_%s\n' "$name"
    fi
    return "$code"
}

names=()
for target in "$build"/fuzz_*; do
    name=${target##*/fuzz_}
    # The decoders of AVIF and HEIC are the machine's: what they do must not decide about vitx.
    [ -n "$rounds" ] && [ "$name" = heif ] && [ -z "${FUZZ:-}" ] && continue
    [ -x "$target" ] && [ "${FUZZ:-$name}" = "$name" ] && names+=("$name")
done
[ "${#names[@]}" -gt 0 ] || { echo "no fuzz targets in $build" >&2; exit 1; }

failed=0
while [ "$failed" = 0 ]; do
    for name in "${names[@]}"; do
        while [ "$(jobs -rp | wc -l)" -ge "${JOBS:-1}" ]; do
            wait -n || failed=1
        done
        [ "$failed" = 0 ] && fuzz "$name" &
    done
    while [ -n "$(jobs -rp)" ]; do
        wait -n || failed=1
    done
    [ -n "$rounds" ] && break
done
exit "$failed"
