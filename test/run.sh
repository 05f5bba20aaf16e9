#!/bin/bash
# run.sh [--threads] OUT BUILD: runs the test programs of BUILD and the scripts of test/ against
# the products in OUT (build/ for the release configuration). --threads: only what uses threads,
# in one process each, for the thread sanitizer: of a program with a case "threads" that case alone.
# Ends with a line that counts.
set -u
threads=
[ "$1" = --threads ] && { threads=1; shift; }
OUT=$1 BUILD=$2
export OUT BUILD
export CK_DEFAULT_TIMEOUT="${CK_DEFAULT_TIMEOUT:-240}"
limit=900 # seconds of a program or script: without forks Check has no watch of its own
passed=0 failed=0

# As many at once as there are processors; what each says is printed when it has ended, in order.
jobs=${JOBS:-$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 1)}
logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT
names=()

run() { # run NAME COMMAND...
    local name=$1 log
    log=$logs/${#names[@]}
    shift
    names+=("$name")
    while [ "$(jobs -rp | wc -l)" -ge "$jobs" ]; do
        wait -n
    done
    {
        start=$SECONDS
        timeout "$limit" "$@" >"$log" 2>&1
        echo "$? $((SECONDS - start))" >"$log.end"
    } &
}

report() {
    wait
    for i in "${!names[@]}"; do
        local code=1 seconds=0
        [ -f "$logs/$i.end" ] && read -r code seconds <"$logs/$i.end"
        cat "$logs/$i"
        if [ "$code" = 0 ]; then
            passed=$((passed + 1))
            printf 'ok    %s (%d s)\n' "${names[i]}" "$seconds"
        else
            failed=$((failed + 1))
            printf 'FAIL  %s\n' "${names[i]}"
        fi
    done
}

# What takes longest begins first, so that no processor waits for one program at the end.
long=(test_boundary test_kernels test_attention cli_words.sh test_cuda_library test_evaluate test_backward
    cli_serve.sh test_serve_texts test_table test_methods test_every_method test_cams scenes.sh
    test_cuda_attention test_precisions test_cuda_passes test_panels cli_report.sh cli_batch.sh test_pixels
    test_pictures test_sizes test_texts test_report test_words test_variants test_serve_work cli_progress.sh
    cli_batch_words.sh bundled.sh)
is_long() {
    [[ " ${long[*]} " = *" $1 "* ]]
}
# A sanitizer learns nothing from what only looks at files, nor from what was run already:
# installing it, running it with the twin as a plug-in. scenes.sh takes minutes there, and draws and
# measures what test_scenes and test_evaluate do.
same=(headers.sh includes.sh lines.sh install.sh cuda.sh cuda_gpu.sh cli_cuda.sh scenes.sh)
same_anyway() {
    [ "$OUT" != build ] && [[ " ${same[*]} " = *" $1 "* ]]
}

run_program() {
    [ -x "$BUILD/$1" ] || return 0
    if [ -n "$threads" ]; then
        grep -q VX_TEST_THREADS "test/$1.c" || return 0
        if grep -qF 'tcase_create("threads")' "test/$1.c"; then
            run "$1" env CK_FORK=no CK_RUN_CASE=threads "$BUILD/$1"
        else
            run "$1" env CK_FORK=no "$BUILD/$1"
        fi
    else
        run "$1" "$BUILD/$1"
    fi
}

run_script() {
    [ -z "$threads" ] || grep -q VX_TEST_THREADS "test/$1" || return 0
    [ "$1" = run.sh ] || same_anyway "$1" || run "$1" bash "test/$1"
}

for name in "${long[@]}"; do
    case $name in
        *.sh) run_script "$name" ;;
        *) run_program "$name" ;;
    esac
done
for test in "$BUILD"/test_*; do
    case $test in *.d | *.o) continue ;; esac
    is_long "$(basename "$test")" || run_program "$(basename "$test")"
done
# Those that say so run once more with the device "deferred" in the place of "ref", which has the
# walls of "walled", too. Memory that the library frees is overwritten, as work that was put off may
# still read it.
if [ -z "$threads" ] && [ "$OUT" = build ]; then
    while read -r source; do
        name=$(basename "$source" .c)
        run "$name on deferred" env VX_TEST_DEVICE=deferred MALLOC_PERTURB_=165 "$BUILD/$name"
    done < <(grep -l VX_TEST_DEVICES test/test_*.c)
fi
for script in test/*.sh; do
    is_long "$(basename "$script")" || run_script "$(basename "$script")"
done
report
printf '%d passed, %d failed\n' "$passed" "$failed"
[ "$failed" = 0 ]
