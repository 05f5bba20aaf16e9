#!/bin/bash
# scale.sh MODEL INPUT...: what a second worker of vitx-cli batch brings. Each worker has one thread and one
# processor of its own; beside them one process with two threads. RUNS times in turn; the least time of each counts, since what
# else runs on the machine only ever adds to it. OPTIONS: of batch. OUT: folder of vitx-cli.
set -euo pipefail
: "${OUT:=build}" "${RUNS:=3}" "${OPTIONS:=--method rollout --write tar}"
[ $# -ge 2 ] || { sed -n 's/^# //p' "$0" | head -4; exit 2; }
model=$1
shift
room=$(mktemp -d)
trap 'rm -rf "$room"' EXIT
inputs=("$@")

# worker PROCESSORS THREADS FOLDER ARGUMENT...
worker() {
    local on=$1 threads=$2 to=$3
    shift 3
    # shellcheck disable=SC2086 # several options
    taskset -c "$on" "$OUT/vitx-cli" batch -m "$model" $OPTIONS --threads "$threads" --progress none --quiet \
        --out "$to" "$@" "${inputs[@]}" || [ $? = 1 ]
}
one() { worker 0 1 "$room/one"; }
two() {
    worker 0 1 "$room/two" --shard 0/2 &
    worker 1 1 "$room/two" --shard 1/2
    wait $!
}
threads() { worker 0,1 2 "$room/threads"; }

declare -A least
for ((i = 0; i < RUNS; i++)); do
    for what in one two threads; do
        rm -rf "${room:?}/$what"
        begin=$(date +%s%N)
        $what
        took=$((($(date +%s%N) - begin) / 1000000))
        [ "${least[$what]:-$took}" -lt "$took" ] || least[$what]=$took
        printf '%s %s ms\n' "$what" "$took"
    done
done
for what in two threads; do
    diff -rq --exclude=state "$room/one" "$room/$what" || { echo "$what: other bytes"; exit 1; }
done
awk -v a="${least[one]}" -v b="${least[two]}" -v c="${least[threads]}" 'BEGIN {
    printf "one worker %.1f s, two %.1f s (E = %.2f), one with two threads %.1f s (E = %.2f)\n",
        a / 1000, b / 1000, a / 2 / b, c / 1000, a / 2 / c }'
