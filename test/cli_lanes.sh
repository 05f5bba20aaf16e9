#!/bin/bash
# cli_lanes.sh: pictures are worked on side by side (--lanes). Nothing but the time may show it:
# classify, embed, stats and explain say and write with two lanes and three what they do with one.
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
mixed=("${many[@]:0:3}" "$folder/bad/a.png" "${many[@]:3:4}" "$folder/none.png"
    "$folder/bad/b.png" "${many[@]:7}")

# Each lane has one thread, so that the numbers have the same bits. In another batch their last
# digits may differ, so of that the words are compared, and the names of the files.
words='s/-?[0-9]+\.[0-9]+(e[-+][0-9]+)?/N/g; s/^[0-9a-f]{32} //'
# say LANES BATCH STATUS ARGUMENT...: what comes of it, as $folder/said.LANES.BATCH
say() {
    local lanes=$1 batch=$2 expected=$3
    shift 3
    rm -rf "$folder/out"
    mkdir "$folder/out"
    run "$@" --lanes "$lanes" --batch "$batch" --threads "${lanes/auto/2}"
    gives "$expected"
    (cat "$out" "$err"; cd "$folder/out" && find . -type f | sort | xargs -r "$sum") |
        sed '/ threads, but this process /d' > "$folder/said.$lanes.$batch"
}
# all STATUS ARGUMENT...: the same words, status and files, whatever the lanes and the batch
all() {
    check "$*"
    say 1 1 "$@"
    for lanes in 2 3 auto; do
        say $lanes 1 "$@"
        diff "$folder/said.1.1" "$folder/said.$lanes.1" > "$folder/differ" ||
            fail "$lanes lanes: $(head -6 "$folder/differ")"
    done
    say 2 2 "$@"
    diff <(sed -E "$words" "$folder/said.1.1") <(sed -E "$words" "$folder/said.2.2") \
        > "$folder/differ" || fail "batches of 2: $(head -6 "$folder/differ")"
}
sum=md5sum
lines() {
    local n
    n=$(wc -l < "$folder/said.1.1")
    [ "$n" = "$1" ] || fail "$n lines, expected $1"
}

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
all 0 explain -m $model --method attention,rollout,gradcam --target top2 --json \
    -o "$folder/out/{image}.{method}.{target}.npy" "${many[@]}"
all 0 explain -m $model --method gradcam --json "${many[@]}"
all 0 explain -m $model --method rollout --scale shared -o "$folder/out/{image}.png" "${many[@]}"
sum=ls # the pages hold their command
all 1 explain -m $model --method rollout,generic --target 1 --quiet \
    -o "$folder/out/{image}.html" "${mixed[@]}"
all 1 explain -m $model --method rollout,generic --target 1 -o "$folder/out/all.html" "${mixed[@]}"

check "maps that are there already are left alone"
mkdir "$folder/some"
right explain -m $model --method rollout --quiet -o "$folder/some/{image}.npy" "${many[@]:2:4}"
touch -d 2001-01-01 "$folder"/some/*
right explain -m $model --method rollout --skip-existing --lanes 2 --threads 2 \
    -o "$folder/some/{image}.npy" "${many[@]}"
out_lines 5
[ "$(find "$folder/some" -newermt 2002-01-01 -type f | wc -l)" = 5 ] || fail "others were written"

check "a folder that cannot be written ends it, and says so once"
run explain -m $model --method rollout --lanes 3 --threads 2 \
    -o "$folder/in/1.png/{image}.npy" "${many[@]}"
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
