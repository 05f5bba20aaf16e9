#!/bin/bash
# scale.sh MODEL INPUT...: what a second worker of vitx-cli batch brings. Each worker has one thread
# and one processor of its own; beside them one process with two threads. RUNS times in turn; the
# least time of each counts, since what else runs on the machine only adds to it. Where the machine
# is busy the processor time of the busiest worker says more: what two workers would take if each
# had its processor alone. OPTIONS: of batch. OUT: folder of vitx-cli.
set -euo pipefail
: "${OUT:=build}" "${RUNS:=3}" "${OPTIONS:=--method rollout --write tar --shard-size 12}"
[ $# -ge 2 ] || { sed -n 's/^# //p' "$0"; exit 2; }
model=$1
shift
room=$(mktemp -d)
trap 'rm -rf "$room"' EXIT
inputs=("$@")
TIMEFORMAT='%U %S'

# worker PROCESSORS THREADS FOLDER ARGUMENT...: its processor time is a line of $room/cpu.
worker() {
    local on=$1 threads=$2 to=$3
    shift 3
    # shellcheck disable=SC2086 # several options
    { time taskset -c "$on" "$OUT/vitx-cli" batch -m "$model" $OPTIONS --threads "$threads" --progress none --quiet \
        --out "$to" "$@" "${inputs[@]}" 2> "$room/said.$on.$threads" ||
            [ $? = 1 ]; } 2>> "$room/cpu"
}
one() { worker 0 1 "$room/one"; }
two() {
    worker 0 1 "$room/two" --shard 0/2 &
    worker 1 1 "$room/two" --shard 1/2
    wait $!
}
threads() { worker 0,1 2 "$room/threads"; }

# keep NAME VALUE: the least
declare -A least
keep() { [ "${least[$1]:-$2}" -lt "$2" ] || least[$1]=$2; }
for ((i = 0; i < RUNS; i++)); do
    for what in one two threads; do
        rm -rf "${room:?}/$what" "$room/cpu"
        begin=$(date +%s%N)
        $what
        took=$((($(date +%s%N) - begin) / 1000000))
        cpu=$(awk '{ t = 1000 * ($1 + $2); if (t > most) most = t } END { printf "%d", most }' "$room/cpu")
        keep "$what" "$took"
        keep "$what.cpu" "$cpu"
        printf '%s %s ms, busiest worker %s ms\n' "$what" "$took" "$cpu"
    done
done
for what in two threads; do
    diff -rq --exclude=state "$room/one" "$room/$what" || { echo "$what: other bytes"; exit 1; }
done
awk -v a="${least[one]}" -v b="${least[two]}" -v c="${least[threads]}" -v d="${least[one.cpu]}" \
    -v e="${least[two.cpu]}" -v f="${least[threads.cpu]}" 'BEGIN {
    printf "time: one worker %.1f s, two %.1f s (E = %.2f), one with two threads %.1f s (E = %.2f)\n",
        a / 1000, b / 1000, a / 2 / b, c / 1000, a / 2 / c
    printf "processor time: one %.1f s, the busier of two %.1f s (E = %.2f), two threads %.1f s (E = %.2f)\n",
        d / 1000, e / 1000, d / 2 / e, f / 1000, d / f }'
