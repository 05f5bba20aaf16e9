#!/bin/bash
# cli_parallel.sh: vitx-cli explain writes several maps at a time. Nothing but the time may show it.
. test/check.bash
samples

# both ARGUMENT...: with 1 and with 2 threads the same words, status, and files in $folder/out
both() {
    local n
    check "explain $*"
    for n in 1 2; do
        rm -rf "$folder/out" "$folder/out.$n"
        mkdir "$folder/out"
        [ -z "${before:-}" ] || $before
        run explain -m $model --batch 5 --threads $n "$@"
        cp "$out" "$folder/words.$n"
        cp "$err" "$folder/errors.$n"
        echo "$status" >> "$folder/words.$n"
        mv "$folder/out" "$folder/out.$n"
    done
    cmp "$folder/words.1" "$folder/words.2" || fail "other words: $(diff "$folder/words.1" "$folder/words.2")"
    cmp "$folder/errors.1" "$folder/errors.2" || fail "other errors: $(cat "$folder"/errors.?)"
    # What is a link to a device has nothing to compare.
    diff -r --exclude='*.full.png' "$folder/out.1" "$folder/out.2" > "$folder/diff" || fail "$(cat "$folder/diff")"
}

many=("$folder"/[1-5].png)
before=''
both --method attention,rollout,gradcam --target hen --target 3 -o "$folder/out/{image}.{method}.{target}.png" "${many[@]}"
gives 0
out_lines 20
[ "$(find "$folder/out.2" -type f | wc -l)" = 20 ] || fail "not 20 files"
both --method gradcam,generic --target top2 -o "$folder/out/{image}/{method}/{target}.npy" "${many[@]}"
gives 0
out_lines 20
both --method rollout,generic --json -o "$folder/out/{image}.{method}.png" "${many[@]}"
gives 0
out_lines 10
both --method rollout,attention --mask 60 -o "$folder/out/{image}.{method}.png" "${many[@]}"
both --method rollout --flip --quiet -o "$folder/out/{image}.png" "${many[@]}"
out_lines 0
both --method rollout --json "${many[@]}"
out_lines 5

# a map that cannot be drawn is one line, in its turn, and the others are written
both --method rollout,features --set features.raw=yes -o "$folder/out/{image}.{method}.png" "${many[@]}"
gives 1
out_lines 5
err_lines 5
# a folder that is a file: known only when the class is
before='touch_one'
# shellcheck disable=SC2317,SC2329 # called by both
touch_one() { for i in 0 1 2 3 4 5 6; do : > "$folder/out/$i"; done; }
both --method gradcam --target top1 -o "$folder/out/{target}/{image}.png" "${many[@]}"
gives 1
out_lines 0
err_lines 2
err_has "the folder $folder/out/"
err_has "stopped: the maps of 5 of 5 pictures"

if [ -e /dev/full ]; then
    # all maps to a full disk: one line, then no map is tried
    # shellcheck disable=SC2317,SC2329
    fill() { for i in 1 2 3 4 5; do ln -s /dev/full "$folder/out/$i.full.png"; done; }
    before=fill
    both --method rollout -o "$folder/out/{image}.full.png" "${many[@]}"
    gives 1
    out_lines 0
    err_lines 2
    err_has "$folder/out/1.full.png: No space left on device"
    # one in the middle: those before it are written; what is written after it is named
    check "a disk that is full at the third map"
    for n in 1 2; do
        rm -rf "$folder/out"
        mkdir "$folder/out"
        ln -s /dev/full "$folder/out/3.png"
        run explain -m $model --batch 5 --threads $n --method rollout -o "$folder/out/{image}.png" "${many[@]}"
        gives 1
        err_lines 2
        err_has "$folder/out/3.png: No space left on device"
        exists "$folder/out/2.png"
        written=$(find "$folder/out" -type f | wc -l)
        out_lines "$written"
        [ "$written" -le $((1 + n)) ] || fail "$written maps with $n threads"
        sed 's/  .*//' "$out" | while read -r name; do
            [ -f "$name" ] || echo "$name"
        done > "$folder/absent"
        [ -s "$folder/absent" ] && fail "named, but not there: $(cat "$folder/absent")"
    done
fi
finish
