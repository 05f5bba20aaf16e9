#!/bin/bash
# cli_batch.sh: shards of many pictures. However a run is interrupted, shared and gone on with, its
# files are those of a run that nothing happened to.
# Every shard waits for the disk; what is in memory alone does not.
[ -w /dev/shm ] && export TMPDIR=/dev/shm
. test/check.bash
cli=$PWD/$program
model=$PWD/$model
picture=$PWD/$picture
scene=$PWD/docs/images/scenes/one.png
cd "$folder" || exit 1
program=$cli
# Under a sanitizer, which is for other mistakes, what is chance is tried less often.
moments="1 2 3 4" breaks="120000 100000 50000 2000 100" forms="files tar npz"
[ "$OUT" = build ] || moments="1" breaks="50000 100" forms="tar"

mkdir -p in/sub
for i in 1 2 3 4 5 6 7; do
    cp "$picture" in/$i.png
done
cp "$scene" in/sub/1.png
cp "$picture" in/sub/x.y.png
printf 'no picture\n' > in/text.jpg
head -c 200 "$picture" > in/cut.png
maps=(--method rollout,gradcam)

# batch ARGUMENT...: shards of 4, no words
batch() { run batch -m "$model" --quiet --shard-size 4 "$@"; }
# same A B: the same files, whatever state/ tells of the way there
same() {
    diff -r -x state "$1" "$2" > differ || fail "$2 is not $1: $(head -5 differ)"
    ! find "$2" -name '*.part' | grep -q . || fail "$2: something is left under way"
}
# But for the names of pictures and the plan, which are others.
same_answers() {
    cat "$1"/*.predictions.jsonl | sed 's/"image":"[^"]*",//' > first
    cat "$2"/*.predictions.jsonl | sed 's/"image":"[^"]*",//' > second
    cmp -s first second || fail "$2 has other answers than $1"
}

check files
batch --out files "${maps[@]}" in
gives 1
[ "$(cat files/*.predictions.jsonl | wc -l)" = 9 ] || fail "rows: $(cat files/*.predictions.jsonl)"
[ "$(find files/maps -name '*.png' | wc -l)" = 18 ] || fail "$(find files/maps)"
grep -q '"key":"in/sub/x_y","image":"in/sub/x.y.png"' files/00002.predictions.jsonl ||
    fail "no key without dots"
[ "$(cut -d, -f1,2 files/failed.jsonl | tr -d '\n')" = \
    '{"key":"in/cut","image":"in/cut.png"{"key":"in/text","image":"in/text.jpg"' ] ||
        fail "$(cat files/failed.jsonl)"
[ "$(ls files/state/*.done | wc -l)" = 3 ] || fail "$(ls files/state)"

check "the same as explain and classify"
run explain -m "$model" --threads 1 "${maps[@]}" -o '{path}.{method}.png' in/3.png
gives 0
for method in rollout gradcam; do
    cmp -s in/3.$method.png files/maps/in/3.$method.png || fail "another map of $method"
    rm -f in/3.$method.png
done
run classify -m "$model" --threads 1 --json in/3.png
grep -oE '"logit":[-0-9.e]+' "$out" > first
grep '"key":"in/3"' files/*.predictions.jsonl | grep -oE '"logit":[-0-9.e]+' > second
cmp -s first second || fail "$(cat first second)"

check "what is done is not done again"
cp -r files before
batch --out files "${maps[@]}" in
gives 1
diff -r before files > differ || fail "$(cat differ)"

check "threads and lanes"
batch --out lanes "${maps[@]}" --threads 1 in
gives 1
same files lanes

check tar
batch --out tar "${maps[@]}" --write tar in
gives 1
tar tf tar/00000.tar > first
printf 'in/%s\n' {1..4}.{json,{rollout,gradcam}.{npy,png}} > second
cmp -s first second || fail "$(cat first)"
mkdir from
tar xf tar/00002.tar -C from
cmp -s from/in/sub/1.gradcam.png files/maps/in/sub/1.gradcam.png || fail "another picture in a tar"

check npz
batch --out npz "${maps[@]}" --write npz in
gives 1
[ "$(grep -ac 'in/sub/x_y.gradcam.npy' npz/00002.maps.npz)" -ge 1 ] || fail "no array in an npz"
[ "$(head -c 2 npz/00000.maps.npz)" = PK ] || fail "no zip"
if command -v unzip > /dev/null; then
    unzip -p npz/00002.maps.npz in/sub/1.gradcam.npy | cmp -s - from/in/sub/1.gradcam.npy ||
        fail "another array in an npz"
fi
same_answers files npz

check stats
batch --out stats --do classify,stats in
gives 1
[ "$(ls stats/*.stats.json | wc -l)" = 3 ] || fail "$(ls stats)"
grep -q '"pictures":4' stats/00000.stats.json || fail "$(head -c 200 stats/00000.stats.json)"

check embed
run batch -m "${model%/*}/clip-open-clip" --quiet --out embed --write npz in
gives 1
grep -aq embeddings.npy embed/00000.maps.npz || fail "no embeddings: $(cat "$err")"

# ------------------------------------------------------------------ inputs --------------------
check "lists and patterns"
find in -name '*.png' -o -name '*.jpg' | LC_ALL=C sort > list
for input in - @list; do
    rm -rf listed
    "$program" batch -m "$model" --quiet --shard-size 4 --out listed "${maps[@]}" "$input" < list 2> "$err"
    status=$?
    gives 1
    diff <(sort files/*.predictions.jsonl) <(sort listed/*.predictions.jsonl) > /dev/null ||
        fail "$input: other rows"
done
batch --out globbed --plan-only 'in/?.png'
gives 0
out_has '"inputs":7,"shards":2'

check "a list with a byte order mark"
rm -rf listed
{ printf '\357\273\277'; printf 'in/%s.png\r\n' 1 2; } > mark.list
for input in - @mark.list; do
    "$program" batch -m "$model" --quiet --out listed --plan-only --restart "$input" < mark.list > "$out" 2> "$err"
    status=$?
    gives 0
    grep -q '"in/1.png"' listed/plan.json || fail "$input: the first name is lost"
    rm -rf listed
done
"$program" classify -m "$model" --quiet --json @mark.list > "$out" 2> "$err"
status=$?
gives 0
out_has '"image":"in/1.png"'

if [ -e /dev/full ]; then
    check "a plan that cannot be printed"
    "$program" batch -m "$model" --out listed --plan-only in/1.png > /dev/full 2> "$err"
    status=$?
    gives 75
    err_has "standard output:"
    rm -rf listed
fi

check "one pass"
batch --out one-pass "${maps[@]}" --one-pass in
gives 1
diff -r files/maps one-pass/maps > differ || fail "other maps: $(cat differ)"
# Logits are the same but for their last digits.
numbers() { grep '"key":"in/3"' "$1"/*.predictions.jsonl | grep -oE '"logit":[-0-9.e]+' | cut -d: -f2; }
paste <(numbers files) <(numbers one-pass) | awk '{ d = $1 - $2; if (d * d > 1e-8) exit 1 } END { exit NR != 5 }' ||
    fail "other answers: $(numbers one-pass)"
[ "$(numbers one-pass | head -1)" = "$(grep -h '"key":"in/3"' one-pass/*.predictions.jsonl |
    sed 's/.*"rollout":{[^}]*"value":\([-0-9.e]*\).*/\1/')" ] || fail "not the answer of the maps' pass"
batch --out files "${maps[@]}" --one-pass in
gives 2
err_has "the plan has --one-pass 0"
batch -m "${model%/*}/clip-open-clip" --out embed-maps --method attention --one-pass --write npz in
gives 1
grep -q '"embedding":\[' embed-maps/00000.predictions.jsonl || fail "no embeddings"

check "results among the pictures"
mkdir among
cp "$picture" among
echo among > among.list
for input in among @among.list 'amon*'; do
    batch --out among/results "$input"
    gives 2
    err_has "lies in the input"
    [ ! -e among/results ] || fail "what was refused has a folder"
done

check "keys that would be the same"
mkdir -p twins
cp "$picture" twins/a.png
cp "$picture" twins/a.jpg
cp "$scene" twins/a.b.png
cp "$scene" twins/a_b.png
batch --out told --write tar twins
gives 0
tar tf told/00000.tar > first
printf 'twins/%s.json\n' a_b a a_png a_b_png > second
cmp -s first second || fail "$(cat first)"

if batch --out none none.tar && grep -q libarchive none/failed.jsonl; then
    echo "cli_batch: no libarchive: archives are not tried"
else
    check archives
    tar cf a.tar in
    tar czf a.tar.gz in
    for archive in a.tar a.tar.gz; do
        batch --out from.$archive "${maps[@]}" --write npz $archive
        gives 1
        cat from.$archive/*.jsonl | sed 's/"image":"[^"]*",//' | sort > first
        cat npz/*.jsonl | sed 's/"image":"[^"]*",//' | sort > second
        cmp -s first second || fail "$archive: other rows than those of the folder"
    done
    check "an archive in two shares"
    for i in 0 1; do
        batch --out shared.tar --shard $i/2 "${maps[@]}" --write npz a.tar.gz
    done
    same from.a.tar.gz shared.tar

    check "a tar on standard input"
    stream() {
        "$program" batch -m "$model" --quiet --shard-size 4 --write npz "$@" tar:- > "$out" 2> "$err"
        status=$?
    }
    stream --out stream "${maps[@]}" < a.tar.gz
    gives 1
    same_answers from.a.tar.gz stream
    stream --out streams --shard 1/2 "${maps[@]}" < a.tar
    stream --out streams --shard 0/2 "${maps[@]}" < a.tar
    gives 1
    same stream streams
    tar cf other.tar in/sub in/1.png in/2.png in/3.png
    stream --out stream "${maps[@]}" < other.tar
    gives 2
    err_has "not the stream that was read before"
    # Where it breaks off may be anywhere: within a picture, within a header, between two shards.
    for most in $breaks; do
        rm -rf cut
        stream --out cut "${maps[@]}" < <(head -c $most a.tar)
        gives 1
        grep -q '"key":"standard input"' cut/failed.jsonl || fail "$(cat cut/failed.jsonl)"
        stream --out cut --retry-failed "${maps[@]}" < a.tar
        gives 1
        same stream cut
    done
    stream --out cut --retry-failed "${maps[@]}" < other.tar
    gives 2
    tar cbf 1 ended.tar in/[1-4].png
    tar cf longer.tar in/[1-5].png
    stream --out longer < longer.tar
    gives 0
    stream --out longer < ended.tar
    gives 2
    # Of four pictures whose tar is cut behind them the shard is full, and the next one has the failure.
    stream --out trailer < <(head -c -1000 ended.tar)
    gives 1
    [ -e trailer/00001.predictions.jsonl ] || fail "$(cat trailer/failed.jsonl)"
    stream --out trailer --retry-failed < ended.tar
    gives 0
    [ ! -s trailer/failed.jsonl ] || fail "$(cat trailer/failed.jsonl)"
    [ ! -e trailer/00001.predictions.jsonl ] || fail "a shard of nothing"

    check "an archive that is not as it was"
    mkdir order
    for colour in 255 0; do
        (printf 'P6 8 8 255\n' && head -c 192 /dev/zero | tr '\0' "\\$(printf %o $colour)") > order/$colour.ppm
    done
    tar cf order.tar order/0.ppm order/255.ppm
    batch --out order.out --plan-only order.tar
    tar cf order.tar order/255.ppm order/0.ppm
    batch --out order.out order.tar
    gives 1
    [ "$(wc -l < order.out/failed.jsonl)" = 2 ] ||
        fail "a picture has the answer of another: $(cat order.out/*.jsonl)"
    tar cf order.tar order/0.ppm order/255.ppm
    batch --out order.out --retry-failed order.tar
    gives 0
    cp in/text.jpg order/0.ppm
    tar cf mended.tar order/0.ppm order/255.ppm
    batch --out mended.out mended.tar
    gives 1
    cp "$picture" order/0.ppm
    tar cf mended.tar order/0.ppm order/255.ppm
    batch --out mended.out --retry-failed mended.tar
    gives 0
    batch --out mended.out mended.tar
    gives 0

    check "hostile archives"
    # A name that has no room behind that of --out
    deep=$(printf 'd%.0s/' {1..1990})
    tar cf deep.tar --transform "s,^in/1,$deep$(printf 'e%.0s' {1..90})," in/1.png in/2.png
    batch --out deep.out/$(printf 'f%.0s' {1..200}) --method rollout deep.tar
    gives 0
    mkdir -p evil
    cp "$picture" evil/up.png
    ln -s /etc/passwd evil/link.png
    tar cPf evil.tar --transform 's,evil/up,../../up,' evil/up.png evil/link.png
    tar rPf evil.tar --transform "s,evil/up,$folder/absolute," evil/up.png
    batch --out evil.out --method rollout evil.tar
    gives 0
    [ ! -e ../up.png ] && [ ! -e absolute.png ] || fail "a name of an archive became a file"
    [ "$(find evil.out/maps -name '*.png' | wc -l)" = 2 ] || fail "$(find evil.out/maps)"
    truncate -s 300M bomb.png
    tar c bomb.png | gzip -1 > bomb.tar.gz
    rm bomb.png
    batch --out bomb.out bomb.tar.gz in/1.png
    gives 1
    grep -q '200 times its own bytes' bomb.out/failed.jsonl || fail "$(cat bomb.out/failed.jsonl)"
    [ "$(cat bomb.out/*.predictions.jsonl | wc -l)" = 1 ] || fail "a bomb took a picture with it"
    # 131,072 members, one of them a picture
    : > empty.txt
    tar cf empty.tar empty.txt
    head -c 512 empty.tar > header
    for i in {1..1024}; do
        cat header
    done > headers
    tar cf last.tar in/1.png
    for i in {1..128}; do
        cat headers
    done | cat - last.tar | gzip -1 > many.tar.gz
    batch --out many.out many.tar.gz
    gives 0
    [ "$(wc -l < many.out/00000.predictions.jsonl)" = 1 ] || fail "$(ls many.out)"
    head -c 3000 a.tar.gz > short.tar.gz
    printf 'no archive' > no.zip
    batch --out short.out short.tar.gz no.zip in/1.png
    gives 1
    [ "$(wc -l < short.out/failed.jsonl)" -ge 2 ] || fail "$(cat short.out/failed.jsonl)"
fi

# ------------------------------------------------------------------ interruptions -------------
# start ARGUMENT...: in the background, as $worker
start() {
    "$program" batch -m "$model" --shard-size 4 "$@" > "$out" 2> "$err" &
    worker=$!
}

check "killed at any moment"
began=$(date +%s%N)
batch --out whole "${maps[@]}" --write tar in
took=$((($(date +%s%N) - began) / 1000000))
for i in $moments; do
    rm -rf killed
    start --out killed "${maps[@]}" --write tar in
    moment=$((RANDOM % took))
    sleep "$(printf '%d.%03d' $((moment / 1000)) $((moment % 1000)))"
    kill -9 $worker 2> /dev/null
    wait $worker 2> /dev/null
    batch --out killed "${maps[@]}" --write tar in
    gives 1
    same whole killed
done

check "asked to end"
for i in {8..60}; do
    ln "$scene" in/sub/$i.png 2> /dev/null || cp "$scene" in/sub/$i.png
done
rise=(--method rise --set n=100 --write tar in)
batch --out slow "${rise[@]}"
gives 1
# ended SIGNAL SHARD: in the middle of that shard. A script's jobs ignore Ctrl-C but for -m.
ended() {
    set -m
    start --out ended "${rise[@]}"
    set +m
    while [ ! -s ended/state/0000$2.jsonl ]; do
        sleep 0.02
    done
    kill -$1 $worker
    wait $worker
    status=$?
    gives 75
    err_has "the same command goes on"
}
ended TERM 1
ended INT 3
batch --out ended "${rise[@]}"
gives 1
same slow ended

check "a shard that another worker has"
slow=(--out held --shard-size 100 --method rise in)
start "${slow[@]}"
while [ ! -e held/state/00000.jsonl ]; do
    sleep 0.02
done
run batch -m "$model" --quiet "${slow[@]}"
gives 75
err_has "shard 0 is worked on by process $worker"
run batch -m "$model" --quiet --restart "${slow[@]}"
gives 75
kill -TERM $worker
wait $worker
rm -f in/sub/{8..60}.png

check "no room for a file"
(
    ulimit -f 8
    exec "$program" batch -m "$model" --quiet --shard-size 4 --out full "${maps[@]}" --write tar in
) 2> "$err"
status=$?
gives 75
! find full -name '*.tar*' | grep -q . || fail "$(find full)"
batch --out full "${maps[@]}" --write tar in
gives 1
same whole full

check "results without their plan"
cp -r whole orphans
rm orphans/plan.json
batch --out orphans "${maps[@]}" --write tar in
gives 2
err_has "plan.json is gone; --restart"

check "a second try that is killed"
cp -r whole again
touch again/00002.tar.part
batch --out again "${maps[@]}" --write tar in
gives 1
same whole again

check "torn lines"
mkdir torn
cp -r whole/. torn
rm torn/state/00001.done
head -c 70 whole/state/00001.jsonl > torn/state/00001.jsonl
batch --out torn "${maps[@]}" --write tar in
gives 1
same whole torn
printf '{"shard":1,"inputs' > torn/state/00001.done
batch --out torn "${maps[@]}" --write tar in
gives 1
same whole torn

check "a file that is not as it was"
printf x | dd of=torn/00000.tar bs=1 seek=700 conv=notrunc 2> /dev/null
batch --out torn "${maps[@]}" --write tar --verify in
gives 1
same whole torn
rm torn/00002.tar
batch --out torn "${maps[@]}" --write tar in
same whole torn

# ------------------------------------------------------------------ several workers -----------
check "in shares"
for i in 1 0; do
    batch --out half --shard $i/2 "${maps[@]}" --write tar in
done
same whole half
batch --out chosen --shards 0-1 "${maps[@]}" --write tar in
batch --out chosen --shards 2 "${maps[@]}" --write tar in
same whole chosen
wrong "there is no shard 3" batch -m "$model" --shard-size 4 --out chosen --shards 2,3 "${maps[@]}" --write tar in
export SLURM_ARRAY_TASK_COUNT=2 SLURM_ARRAY_TASK_MIN=5 SLURM_ARRAY_TASK_STEP=5
for i in 5 10; do
    SLURM_ARRAY_TASK_ID=$i batch --out auto --shard auto "${maps[@]}" --write tar in
done
unset SLURM_ARRAY_TASK_COUNT SLURM_ARRAY_TASK_MIN SLURM_ARRAY_TASK_STEP
same whole auto
rm -rf auto
for i in 1 2; do
    PARALLEL_SEQ=$i batch --out auto --shard auto/2 "${maps[@]}" --write tar in
done
same whole auto
# says WHAT VARIABLE=VALUE...: which share --shard auto takes
says() {
    local what=$1
    shift
    check "$*"
    env "$@" "$program" batch -m "$model" --shard-size 4 --out auto --shard auto --plan-only \
        "${maps[@]}" --write tar in > "$out" 2> "$err"
    status=$?
    gives 0
    err_has "shard: $what"
}
says "1/4 by OMPI_COMM_WORLD_RANK" OMPI_COMM_WORLD_RANK=1 OMPI_COMM_WORLD_SIZE=4 SLURM_PROCID=0 SLURM_NTASKS=2
says "3/8 by PMI_RANK" PMI_RANK=3 PMI_SIZE=8
says "1/2 by SLURM_PROCID" SLURM_PROCID=1 SLURM_NTASKS=2
says "5/6 by SLURM_PROCID" SLURM_PROCID=1 SLURM_NTASKS=2 SLURM_ARRAY_TASK_ID=2 SLURM_ARRAY_TASK_COUNT=3
says "2/3 by JOB_COMPLETION_INDEX" JOB_COMPLETION_INDEX=2 VITX_SHARDS=3
# An array with gaps, a number outside of it, and one whose size is not known.
refused() {
    check "refused: $*"
    env "$@" "$program" batch -m "$model" --shard-size 4 --out auto --shard auto "${maps[@]}" --write tar in \
        > "$out" 2> "$err"
    status=$?
    gives 2
    err_has "--shard I/N"
}
refused SLURM_ARRAY_TASK_ID=3 SLURM_ARRAY_TASK_COUNT=3 SLURM_ARRAY_TASK_MIN=1 SLURM_ARRAY_TASK_MAX=7 SLURM_ARRAY_TASK_STEP=1
refused SLURM_ARRAY_TASK_ID=7 SLURM_ARRAY_TASK_COUNT=3 SLURM_ARRAY_TASK_MIN=1 SLURM_PROCID=0 SLURM_NTASKS=1
refused SLURM_ARRAY_TASK_ID=6 SLURM_ARRAY_TASK_COUNT=2 SLURM_ARRAY_TASK_MIN=5 SLURM_ARRAY_TASK_STEP=5
refused SLURM_ARRAY_TASK_ID=1 SLURM_PROCID=0 SLURM_NTASKS=1
refused OMPI_COMM_WORLD_RANK=4 OMPI_COMM_WORLD_SIZE=4
wrong "--shard auto" batch --out auto --shard auto in
wrong '--shard is "2/2"' batch --out auto --shard 2/2 in

check "two at once"
for i in 1 2; do
    "$program" batch -m "$model" --quiet --shard-size 2 --out both "${maps[@]}" --write tar in > /dev/null 2> both.$i &
done
wait
batch --out both --shard-size 2 "${maps[@]}" --write tar in
gives 1
batch --out alone --shard-size 2 "${maps[@]}" --write tar in
same alone both

# ------------------------------------------------------------------ plans ---------------------
check "another plan"
batch=(batch -m "$model" --shard-size 4 --write tar)
wrong 'the plan has --method "rollout,gradcam", and this run "rollout"' "${batch[@]}" --out whole --method rollout in
wrong "the plan has model" batch -m "${model%/*}/deit-timm" --shard-size 4 --write tar --out whole "${maps[@]}" in
wrong "in/sub/1.png is not in the plan" "${batch[@]}" --out globbed --write files in/sub
wrong "among the inputs now" "${batch[@]}" --out whole "${maps[@]}" in/sub
cp whole/plan.json kept
printf '{"vitx"' > whole/plan.json
wrong "is damaged" "${batch[@]}" --out whole "${maps[@]}" in
cp kept whole/plan.json
batch --out torn --restart --write files --method rollout in
gives 1
! ls torn/*.tar 2> /dev/null || fail "--restart kept results"
[ -s torn/maps/in/1.rollout.png ] || fail "--restart did nothing"

check "pictures that go and change"
mkdir moving
cp in/[1-6].png moving
batch --out moved --shards 0 moving
gives 0
rm moving/5.png
cp "$scene" moving/6.png
batch --out moved moving
gives 1
grep -q '"moving/5.png","error":"No such file' moved/failed.jsonl ||
    fail "$(cat moved/failed.jsonl)"
grep -q '"moving/6.png","error":"changed since the plan"' moved/failed.jsonl ||
    fail "$(cat moved/failed.jsonl)"

check "what failed, again"
# A name that a tar's header has no room for, too.
long=$(printf 'a%.0s' {1..60})/$(printf 'b%.0s' {1..60})
mkdir -p good/$long bad
cp in/[1-6].png good
cp in/1.png good/$long
cp -r good/* bad
# again FORM MODEL ARGUMENT...: one of seven pictures is good only after it has failed twice; of the
# others nothing is done again
again() {
    local form=$1 of=$2
    shift 2
    rm -rf good.out bad.out
    set -- batch -m "$of" --quiet --shard-size 4 --write "$form" "$@"
    (cd good && "$program" "$@" --out ../good.out .)
    for picture in text.jpg cut.png 3.png; do
        cp in/$picture bad/3.png
        (cd bad && "$program" "$@" --out ../bad.out --retry-failed .)
        status=$?
    done
    gives 0
    cp good.out/plan.json bad.out/plan.json # it has the size that the picture had
    same good.out bad.out
    (cd bad && "$program" "$@" --out ../bad.out --verify .)
    status=$?
    gives 0 # the marker's digests are those of what is there
    same good.out bad.out
}
for form in $forms; do
    again $form "$model" "${maps[@]}"
    [ "$(cat bad.out/state/*.jsonl | wc -l)" = 9 ] || fail "$form: $(cat bad.out/state/*.jsonl)"
done
again npz "${model%/*}/clip-open-clip"
again tar "$model" "${maps[@]}" --do classify,explain,stats

# ------------------------------------------------------------------ what is said --------------
check "progress as JSON"
run batch -m "$model" --out said --shard-size 4 --progress json in
gives 1
line='^\{"done":[0-9]+,"failed":[0-9]+,"total":11,"rate":[0-9.]+,"eta_s":([0-9.]+|null),"shard":[0-9]+\}$'
[ "$(grep -cvE "$line" "$err")" = 0 ] || fail "$(cat "$err")"
tail -n 1 "$err" | grep -q '"done":11,"failed":2,' || fail "$(tail -n 1 "$err")"
run batch -m "$model" --out said --shard-size 4 in
gives 1

wrong "needs --out" batch -m "$model" in
wrong "needs pictures" batch -m "$model" --out x
wrong '--do is "draw"' batch -m "$model" --out x --do draw in
wrong "--do explain needs --method" batch -m "$model" --out x --do explain in
wrong "--do embed" batch -m "$model" --out x --do embed in
wrong "needs {path}" batch -m "$model" --out x --method rollout --name '{image}.png' in
wrong "names lie below" batch -m "$model" --out x --method rollout --name '../{path}.png' in
wrong "needs {method}" batch -m "$model" --out x "${maps[@]}" --name '{path}.png' in
wrong "shared needs all pictures" batch -m "$model" --out x --method rollout --scale shared in

# What a refused run made goes; what was there before stays.
find in | sort > found.before
wrong "lies in the input" batch -m "$model" --out in/out in
wrong "lies in the input" batch -m "$model" --out in/a/b/ in
wrong "lies in --out" batch -m "$model" --out in in/1.png
find in | sort | cmp -s found.before - || fail "something was left: $(find in | sort | diff found.before -)"
wrong "there is no shard 9, the plan has 2" batch -m "$model" --out x/y --shard-size 6 --shards 9 in
run batch -m none --out x in
gives 2
[ ! -e x ] || fail "what was refused has a folder: $(find x)"
mkdir -p x/y
cp in/1.png x
wrong "lies in the input" batch -m "$model" --out x/y/z/out x
[ -d x/y ] && [ ! -e x/y/z ] || fail "not only what was made has gone: $(find x)"
finish
