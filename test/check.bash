# check.bash: what the scripts that try the programs from the outside share: exit statuses, what goes to which
# stream. They source it from the repository's root; run.sh exports OUT, the folder of the products. Needs
# coreutils and grep only. The script ends with `finish`.
# shellcheck shell=bash disable=SC2034 # some of it is for the scripts alone
set -u
: "${OUT:=build}"
program=$OUT/vitx-cli # what run runs
models=test/golden/models
model=$models/vit-timm
picture=$models/picture.png
folder=$(mktemp -d) || exit 1
trap 'rm -rf "$folder"' EXIT
out=$folder/stdout err=$folder/stderr status=0 failed=0 name='' script=$(basename "$0" .sh)

fail() {
    printf '%s: %s: %s\n' "$script" "$name" "$*"
    failed=$((failed + 1))
}
check() { name=$*; } # the case that follows, for messages
run() {
    "$program" "$@" > "$out" 2> "$err"
    status=$?
}
gives() { [ "$status" = "$1" ] || fail "status $status, expected $1: $(cat "$err")"; }
out_has() { grep -qE -- "$1" "$out" || fail "standard output lacks $1: $(head -c 300 "$out")"; }
err_has() { grep -qF -- "$1" "$err" || fail "standard error lacks $1: $(cat "$err")"; }
err_lacks() { ! grep -qF -- "$1" "$err" || fail "standard error has $1: $(cat "$err")"; }
out_lines() { [ "$(wc -l < "$out")" = "$1" ] || fail "$(wc -l < "$out") lines of output, expected $1"; }
err_lines() { [ "$(wc -l < "$err")" = "$1" ] || fail "$(wc -l < "$err") lines of errors, expected $1: $(cat "$err")"; }
# What a number in JSON looks like.
number='-?[0-9]+(\.[0-9]+)?(e-?[0-9]+)?'
# samples: $folder/1.png to 5.png, copies of the picture, and text.jpg, which is none.
samples() {
    local i
    for i in 1 2 3 4 5; do
        cp "$picture" "$folder/$i.png"
    done
    printf 'no picture\n' > "$folder/text.jpg"
}
exists() { [ -s "$1" ] || fail "$1 was not written"; }

# wrong MESSAGE ARGUMENT...: wrong usage: status 2, one line that holds MESSAGE, no output
wrong() {
    local message=$1
    shift
    check "${program##*/} $*"
    run "$@"
    gives 2
    out_lines 0
    err_lines 1
    err_has "${program##*/}: "
    err_has "$message"
}
# right ARGUMENT...: all is well: status 0, nothing on standard error
right() {
    check "${program##*/} $*"
    run "$@"
    gives 0
    err_lines 0
}
finish() {
    [ "$failed" = 0 ] || printf '%s: %d checks failed\n' "$script" "$failed"
    [ "$failed" = 0 ]
}
