#!/bin/bash
# qemu.sh: on older processors, as qemu-user plays them, every precision runs without an instruction that they lack,
# and answers as this processor does in f32, within the format. qemu knows no AVX-512: the models that have it are
# played without. Old AMDs are left out, since OpenBLAS takes 3DNow and FMA4 for them, which qemu does not know. Skips
# where there is no qemu-x86_64, or the program is for another kind of processor.
. test/check.bash

if ! command -v qemu-x86_64 > /dev/null || [ "$(uname -m)" != x86_64 ]; then
    echo "qemu: skipped: there is no qemu-x86_64 here, or the program is not for x86-64"
    exit 0
fi
# The sanitizers' own memory does not fit into qemu's.
if nm -D "$program" 2> /dev/null | grep -q '__asan\|__tsan'; then
    echo "qemu: skipped: a sanitizer watches"
    exit 0
fi
classify=(classify -m "$model" --threads 1 --top 7 --json)

logits() { # logits FILE: "index logit", in the order of the classes
    grep -o '"index":[0-9]*[^}]*"logit":[-0-9.e]*' "$1" | sed 's/"index":\([0-9]*\).*"logit":/\1 /' | sort -n
}

right "${classify[@]}" --precision f32 "$picture"
logits "$out" > "$folder/here"
[ "$(wc -l < "$folder/here")" = 7 ] || fail "no seven logits: $(cat "$out")"

# The largest difference over the largest logit that a precision may have: docs/numerics.md; f32 may sum in another
# order.
for cpu in core2duo Nehalem SandyBridge Haswell EPYC Skylake-Server Icelake-Server; do
    for within in f32:1e-5 bf16x3:1e-4 bf16:0.03 int8:0.06; do
        precision=${within%:*} limit=${within#*:}
        check "$cpu $precision"
        timeout 120 qemu-x86_64 -cpu "$cpu" "$program" "${classify[@]}" --precision "$precision" "$picture" \
            > "$out" 2> "$err"
        status=$?
        gives 0
        logits "$out" > "$folder/there"
        paste "$folder/here" "$folder/there" | awk -v limit="$limit" '
            { d = $2 - $4; d = d < 0 ? -d : d; v = $2 < 0 ? -$2 : $2
              if ($1 != $3) wrong = 1
              if (d > most) most = d
              if (v > large) large = v }
            END { if (wrong || NR != 7 || !(most <= limit * large)) { print most / large; exit 1 } }' > "$folder/off" ||
            fail "off by $(cat "$folder/off") of the largest logit, at most $limit expected: $(cat "$out" "$err")"
    done
done
finish
