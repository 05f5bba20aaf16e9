#!/bin/bash
# cli_progress.sh: vitx-cli's progress, and Ctrl-C.
. test/check.bash
cli=$program

# Slow enough to watch: the scalar device, and more pictures than it gets through.
pictures=()
for ((i = 0; i < 12000; i++)); do
    pictures[i]=$picture
done
slow=(classify -m "$model" --device ref --threads 1 --batch 50 --top 1 --json)
# cancelled BEGUN ARGUMENT...: vitx-cli, and Ctrl-C once the command BEGUN says that something is done.
cancelled() {
    local begun=$1 pid
    shift
    : > "$out"
    env --default-signal=INT "$cli" "$@" > "$out" 2> "$err" &
    pid=$!
    for ((i = 0; i < 1200; i++)); do
        if $begun || ! kill -0 $pid 2> /dev/null; then
            break
        fi
        sleep 0.05
    done
    kill -INT $pid
    wait $pid
    status=$?
    gives 130 # dead of SIGINT, so that a shell's loop ends with it
    err_lines 1
    err_has "vitx-cli: cancelled: "
}
has_answers() { [ -s "$out" ]; }
has_maps() { compgen -G "$folder/many/*.npy" > /dev/null; }
check "Ctrl-C: what is done stays, one line says so"
if env --default-signal=INT true 2> /dev/null; then
    cancelled has_answers "${slow[@]}" "${pictures[@]}"
    lines=$(wc -l < "$out")
    if [ "$lines" = 0 ] || [ "$lines" = 12000 ] || [ $((lines % 50)) != 0 ]; then
        fail "$lines answers"
    fi
    err_has "cancelled: $lines of 12000 pictures are done"
    [ "$(tail -n 1 "$out" | tail -c 3)" = "]}" ] || fail "the last answer is not whole"
    check "Ctrl-C: finished maps are written"
    mkdir "$folder/many"
    tee "$folder/many"/{100..999}.png < $picture > /dev/null
    cancelled has_maps explain -m $model --device ref --threads 1 --method generic,legrad --target 0 --target 1 --target 2 \
        -o "$folder/many/{image}.{method}.{target}.npy" "$folder/many"/{100..999}.png
    maps=("$folder/many"/*.npy)
    out_lines ${#maps[@]}
    [ ${#maps[@]} -lt 5400 ] || fail "all maps are there"
    for map in "${maps[@]}"; do
        [ "$(wc -c < "$map")" = 228 ] || fail "$map is not whole"
    done
    rm -r "$folder/many"
else
    echo "skipped: Ctrl-C needs env --default-signal"
fi
check "Ctrl-C that whoever started the program wants to be ignored, as a shell does behind &"
"$cli" "${slow[@]}" "${pictures[@]:0:3000}" > "$out" 2> "$err" &
sleep 0.3
kill -INT $!
wait $!
status=$?
gives 0
err_lines 0
out_lines 3000

# terminal ARGUMENT...: vitx-cli with standard error on a terminal; what went there is in $err.
terminal() {
    printf '%q ' "$cli" "$@" > "$folder/command"
    printf '> %q\n' "$out" >> "$folder/command"
    SHELL=/bin/bash script -qec "bash $folder/command" "$folder/typed" > /dev/null < /dev/null
    status=$?
    grep -av '^Script ' "$folder/typed" > "$err"
}
if script -qec true /dev/null > /dev/null 2>&1 < /dev/null; then
    check "a progress bar on a terminal, taken away at the end, and not among the results"
    terminal "${slow[@]}" "${pictures[@]:0:3000}"
    gives 0
    out_lines 3000
    grep -q '\[#' "$out" && fail "the bar is among the answers"
    grep -aqE '[ 0-9]{3}% \[#+\.*\]  [0-9]+:[0-9][0-9] left  [0-9]+/3000 ' "$err" || fail "no bar: $(head -c 300 "$err")"
    tr -d '\n\r' < "$err" | grep -aqF $'\e[K' || fail "the bar was not taken away"
    [ "$(tr -d '\n\r' < "$err" | tail -c 3)" = $'\e[K' ] || fail "the bar is left standing"
    check "no bar with --quiet"
    terminal "${slow[@]}" --quiet "${pictures[@]:0:3000}"
    gives 0
    [ -z "$(tr -d '\n\r' < "$err")" ] || fail "a bar: $(head -c 300 "$err")"
else
    echo "skipped: a progress bar needs script(1)"
fi

finish
