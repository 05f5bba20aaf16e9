#!/bin/bash
# cli_lanes.sh: pictures are worked on side by side (--lanes). Nothing but the time may show it: classify, embed, stats
# and explain say and write with one lane, two and three what they do with none beside the other.
. test/check.bash
many=()
mkdir "$folder/in" "$folder/bad"
for i in 1 2 3 4 5 6 7 8 9; do
    cp $picture "$folder/in/$i.png"
    many+=("$folder/in/$i.png")
done
cp docs/images/scenes/one.png "$folder/in/4.png"
cp docs/images/scenes/two.png "$folder/in/7.png"
printf 'no picture' > "$folder/bad/a.png"
head -c 200 $picture > "$folder/bad/b.png"
mixed=("${many[@]:0:3}" "$folder/bad/a.png" "${many[@]:3:4}" "$folder/none.png" "$folder/bad/b.png" "${many[@]:7}")

# all STATUS ARGUMENT...: the same words, status and files, whatever the lanes and the batch; but for the last digits of
# numbers, which may depend on the threads of a lane, and what a page says of its command.
all() {
    local expected=$1 way
    shift
    check "$*"
    for way in "1 1" "2 1" "3 1" "2 2" "auto 1"; do
        rm -rf "$folder/out"
        mkdir "$folder/out"
        run "$@" --lanes ${way% *} --batch ${way#* } --threads 2
        gives $expected
        (cat "$out" "$err"; cd "$folder/out" && find . -type f | sort | xargs -r "$sum") |
            sed -E '/ threads, but this process /d; s/(-?[0-9]+\.[0-9]{3})[0-9]*(e[-+][0-9]+)?/\1/g' \
                > "$folder/said.${way/ /.}"
        cmp -s "$folder/said.1.1" "$folder/said.${way/ /.}" ||
            fail "lanes and batch $way: $(diff "$folder/said.1.1" "$folder/said.${way/ /.}" | head -6)"
    done
}
sum=md5sum
lines() { [ "$(wc -l < "$folder/said.1.1")" = "$1" ] || fail "$(wc -l < "$folder/said.1.1") lines, expected $1"; }

all 0 classify -m $model --top 1 "${many[@]}"
lines 18
all 1 classify -m $model --top 1 --json "${mixed[@]}"
lines 12
all 0 embed -m $models/clip-hf "${many[@]}"
lines 18
all 1 embed -m $models/clip-hf --json "${mixed[@]}"
all 1 stats -m $model --stat entropy "${mixed[@]}"
all 1 explain -m $model --method rollout --target 1 -o "$folder/out/{image}.png" "${mixed[@]}"
lines $((9 + 3 + 9))
all 0 explain -m $model --method attention,rollout,gradcam --target top2 --json -o "$folder/out/{image}.{method}.{target}.npy" "${many[@]}"
all 0 explain -m $model --method gradcam --json "${many[@]}"
all 0 explain -m $model --method rollout --scale shared -o "$folder/out/{image}.png" "${many[@]}"
sum=ls # the pages hold their command
all 1 explain -m $model --method rollout,generic --target 1 --quiet -o "$folder/out/{image}.html" "${mixed[@]}"
all 1 explain -m $model --method rollout,generic --target 1 -o "$folder/out/all.html" "${mixed[@]}"

check "maps that are there already are left alone"
mkdir "$folder/some"
right explain -m $model --method rollout --quiet -o "$folder/some/{image}.npy" "${many[@]:2:4}"
touch -d 2001-01-01 "$folder"/some/*
right explain -m $model --method rollout --skip-existing --lanes 2 --threads 2 -o "$folder/some/{image}.npy" "${many[@]}"
out_lines 5
[ "$(find "$folder/some" -newermt 2002-01-01 -type f | wc -l)" = 5 ] || fail "others were written"

check "a folder that cannot be written ends it, and says so once"
run explain -m $model --method rollout --lanes 3 --threads 2 -o "$folder/in/1.png/{image}.npy" "${many[@]}"
gives 1
out_lines 0
wrong "from 1 to 256, or auto" classify -m $model --lanes 0 $picture
wrong "from 1 to 256, or auto" classify -m $model --lanes 257 $picture
check "more lanes than pictures"
right classify -m $model --lanes 200 --threads 2 --top 1 "${many[@]:0:3}"
out_lines 6
check "a pipe is read by one"
right classify -m $model --lanes 2 --threads 2 --top 1 - "${many[@]}" < $picture
out_lines 20
finish
