#!/bin/bash
# run.sh [--threads] OUT BUILD: runs the test programs of BUILD and the scripts of test/ against
# the products in OUT (build/ for the release configuration). --threads: only what uses threads,
# in one process each, for the thread sanitizer. Ends with a line that counts.
set -u
threads=
[ "$1" = --threads ] && { threads=1; shift; }
OUT=$1 BUILD=$2
export OUT BUILD
export CK_DEFAULT_TIMEOUT="${CK_DEFAULT_TIMEOUT:-240}"
passed=0 failed=0

run() { # run NAME COMMAND...
    local name=$1 start=$SECONDS
    shift
    if "$@"; then
        passed=$((passed + 1))
        printf 'ok    %s (%d s)\n' "$name" $((SECONDS - start))
    else
        failed=$((failed + 1))
        printf 'FAIL  %s\n' "$name"
    fi
}

for test in "$BUILD"/test_*; do
    case $test in *.d | *.o) continue ;; esac
    name=$(basename "$test")
    if [ -n "$threads" ]; then
        grep -q VX_TEST_THREADS "test/$name.c" || continue
        CK_FORK=no run "$name" "$test"
    else
        run "$name" "$test"
    fi
done
if [ -z "$threads" ]; then
    for script in test/*.sh; do
        [ "$script" = test/run.sh ] && continue
        run "$(basename "$script")" bash "$script"
    done
fi
printf '%d passed, %d failed\n' "$passed" "$failed"
[ "$failed" = 0 ]
