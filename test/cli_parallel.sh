#!/bin/bash
# cli_parallel.sh: vitx-cli explain draws and writes several maps at a time. Nothing but the time may show it.
. test/check.bash
samples
many=("$folder"/[1-5].png)
before=:

# Numbers of a batch depend on the threads in their last digit, so words are compared without them.
words() { sed -E 's/"(logit|probability|value|min|max)":-?[0-9][0-9.e+-]*/"\1":N/g; s/"values":.*/"values"/' "$1"; }

# both ARGUMENT...: with 1 and with 2 threads the same words, status, and names of files in $folder/out
both() {
    local n
    check "explain $*"
    for n in 1 2; do
        rm -rf "$folder/out"
        mkdir "$folder/out"
        $before
        run explain -m $model --batch 5 --threads $n "$@"
        words "$out" > "$folder/words.$n"
        cp "$err" "$folder/errors.$n"
        echo "$status" >> "$folder/words.$n"
        (cd "$folder/out" && find . -type f -size +0 | sort) > "$folder/names.$n"
    done
    cmp "$folder/words.1" "$folder/words.2" || fail "other words: $(diff "$folder/words.1" "$folder/words.2")"
    cmp "$folder/errors.1" "$folder/errors.2" || fail "other errors: $(cat "$folder"/errors.?)"
    cmp "$folder/names.1" "$folder/names.2" || fail "other files: $(diff "$folder/names.1" "$folder/names.2")"
}
files() { [ "$(wc -l < "$folder/names.2")" = "$1" ] || fail "$(wc -l < "$folder/names.2") files, expected $1"; }

both --method attention,rollout,gradcam --target hen --target 3 -o "$folder/out/{image}.{method}.{target}.png" "${many[@]}"
gives 0
out_lines 30
files 30
both --method gradcam,generic --target top2 -o "$folder/out/{image}/{method}/{target}.npy" "${many[@]}"
gives 0
out_lines 20
files 20
both --method rollout,generic --json -o "$folder/out/{image}.{method}.png" "${many[@]}"
gives 0
out_lines 10
files 10
both --method rollout,attention --mask 60 -o "$folder/out/{image}.{method}.png" "${many[@]}"
gives 0
files 10
both --method rollout --flip --quiet -o "$folder/out/{image}.png" "${many[@]}"
out_lines 0
files 5
both --method rollout --json "${many[@]}"
out_lines 5
both --method rollout --skip-existing -o "$folder/out/{image}.png" "${many[@]}"
files 5

# each file holds the map of its own picture, method and target: its facts are what one thread prints as json
check "facts of the maps that are drawn at once"
rm -rf "$folder/out"
every=(explain -m "$model" --batch 5 --threads 2 --method "generic,saliency,gradcam" --target hen --target 3)
run "${every[@]}" -o "$folder/out/{image}.{method}.{target}.png" "${many[@]}"
gives 0
for file in "$folder"/out/*.png; do
    grep -aoE '[{]"image".*"version":"[^"]*"' "$file"
done > "$folder/drawn"
words "$folder/drawn" | sort > "$folder/facts"
run "${every[@]}" --json "${many[@]}"
sed 's/,"values":.*//' "$out" > "$folder/named"
words "$folder/named" | sort > "$folder/printed"
[ "$(wc -l < "$folder/facts")" = 30 ] || fail "not 30 facts"
diff "$folder/printed" "$folder/facts" > "$folder/diff" || fail "$(head -c 600 "$folder/diff")"

# a map that cannot be drawn is one line, in its turn, and the others are written
both --method rollout,features --set features.raw=yes -o "$folder/out/{image}.{method}.png" "${many[@]}"
gives 1
out_lines 5
err_lines 5
files 5
# a folder that is a file: known only when the class is
block() { for i in 0 1 2 3 4 5 6; do : > "$folder/out/$i"; done; }
before=block
both --method gradcam --target top1 -o "$folder/out/{target}/{image}.png" "${many[@]}"
gives 1
out_lines 0
err_lines 1
err_has "the folder $folder/out/"

if [ -e /dev/full ]; then
    # all maps to a full disk: one line, then no map is tried
    fill() { for i in 1 2 3 4 5; do ln -s /dev/full "$folder/out/$i.full.png"; done; }
    before=fill
    both --method rollout -o "$folder/out/{image}.full.png" "${many[@]}"
    gives 1
    out_lines 0
    err_lines 1
    err_has "$folder/out/1.full.png: No space left on device"
    # one in the middle: those before it are written; what is written after it is named
    for n in 1 2; do
        check "a disk that is full at the third map, $n threads"
        rm -rf "$folder/out"
        mkdir "$folder/out"
        ln -s /dev/full "$folder/out/3.png"
        run explain -m $model --batch 5 --threads $n --method rollout -o "$folder/out/{image}.png" "${many[@]}"
        gives 1
        err_lines 1
        err_has "$folder/out/3.png: No space left on device"
        exists "$folder/out/2.png"
        written=$(find "$folder/out" -type f | wc -l)
        out_lines "$written"
        sed 's/  .*//' "$out" | while read -r file; do
            [ -f "$file" ] || echo "$file"
        done > "$folder/absent"
        [ -s "$folder/absent" ] && fail "named, but not there: $(cat "$folder/absent")"
    done
fi
finish
