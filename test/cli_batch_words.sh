#!/bin/bash
# cli_batch_words.sh: words in batch, in English and Chinese: classes that are texts, and maps of texts. What comes of a
# picture is what classify and explain say of it, to the byte, however a run is interrupted, shared and gone on with.
[ -w /dev/shm ] && export TMPDIR=/dev/shm
export LC_ALL=C # the order of names
. test/check.bash
cli=$PWD/$program
words=$PWD/test/golden/words
model=$PWD/$model
pair=$PWD/weights/pair
scenes=$PWD/docs/images/scenes
cd "$folder" || exit 1
program=$cli
# The bundled pair; under a sanitizer, which is for other mistakes, a smaller one, and less often.
bundled=() moments="1 2 3"
[ "$OUT" = build ] || pair=$words/clip bundled=(-m "$words/clip") moments="1"

mkdir in
cp "$scenes"/*.png in
star=一颗红色的星星
labels=(--label 'a red star' --label "$star" --label 'a blue cat')
printf '%s\n' 'a red star' "$star" 'a blue cat' > labels.txt
templates=(--template '{}' --template 'a photo of {}.' --template '一张{}的照片。')
texts=(--text 'a red star' --text "$star")

# batch ARGUMENT...: shards of 3, no words
batch() { run batch "${bundled[@]}" --quiet --shard-size 3 "$@"; }
# same A B: the same files, whatever state/ tells of the way there
same() { diff -r -x state "$1" "$2" > differ || fail "$2 is not $1: $(head -5 differ)"; }
# answers FILE...: what the rows say of classes
answers() { cat "$@" | grep -o '"predictions":\[[^]]*\]'; }
# as_classify DIR ARGUMENT...: all rows of the run are what classify says
as_classify() {
    local of=$1
    shift
    answers "$of"/*.predictions.jsonl > first
    run classify "${bundled[@]}" --threads 1 --json "$@" in/*.png
    gives 0
    answers "$out" > second
    [ "$(wc -l < first)" = 7 ] || fail "$(wc -l < first) rows"
    cmp -s first second || fail "other answers than classify's: $(head -1 first second)"
}

# reads ARGUMENT...: a run, and $count, the bytes that it reads: a process has those of its children that have ended
reads() {
    local before
    before=$(sed -n 's/^rchar: //p' "/proc/$$/io")
    run "$@"
    gives 0
    count=$(($(sed -n 's/^rchar: //p' "/proc/$$/io") - before))
}
check "the weights are read for their digest once, though two towers lie in them"
if [ -r "/proc/$$/io" ]; then
    clip=(-m "$words/clip") picture=$scenes/two.png
    reads embed "${clip[@]}" -o one.npy "$picture" && tower=-$count
    reads classify "${clip[@]}" --label cat "$picture" && tower=$((tower + count))
    reads batch "${clip[@]}" --out read.alone "$picture" && alone=$count
    for more in '--label cat' '--do embed --do explain --method legrad --text dog'; do
        # shellcheck disable=SC2086 # several words
        reads batch "${clip[@]}" --out "read.${more##* }" $more "$picture"
        [ $((count - alone - tower)) -lt $(($(stat -c %s "$words/clip/model.safetensors") / 2)) ] ||
            fail "$more: $count bytes, $alone without texts, $tower of them to open the text tower"
    done
else
    echo "cli_batch_words: no /proc/$$/io: what is read is not counted"
fi

check "labels are those of classify"
batch --out labels "${labels[@]}" in
gives 0
as_classify labels "${labels[@]}"
grep -q "\"label\":\"$star\"" first || fail "no Chinese label"
batch --out named -m "$pair" --labels labels.txt in
gives 0
same labels named
batch --out framed --labels labels.txt "${templates[@]}" --top 2 in
gives 0
as_classify framed "${labels[@]}" "${templates[@]}" --top 2
for kind in clip chinese-clip siglip; do
    batch --out $kind -m "$words/$kind" "${labels[@]}" in
    gives 0
    as_classify $kind -m "$words/$kind" "${labels[@]}"
done

check "labels of a file alone take the bundled pair, too"
run batch --quiet --out alone --labels labels.txt in/one.png
gives 0
run classify --threads 1 --json --label 'a red star' --label "$star" --label 'a blue cat' in/one.png
answers "$out" > second
answers alone/*.predictions.jsonl | cmp -s - second || fail "other answers than classify's with --label"

check "the same labels, given in another way, are the same plan"
cp -r labels before
batch --out labels -m "$pair" --labels labels.txt --label-cache cache.vitx in
gives 0
same before labels
exists cache.vitx
batch --out cached -m "$pair" --labels labels.txt --label-cache cache.vitx in
gives 0
same labels cached

check "other labels are another plan"
again="and this run"
wrong "$again" batch "${bundled[@]}" --shard-size 3 --out labels --label 'a red star' --label "$star" in
wrong "$again" batch "${bundled[@]}" --shard-size 3 --out labels --label "$star" --label 'a red star' --label 'a blue cat' in
wrong "$again" batch "${bundled[@]}" --shard-size 3 --out labels "${labels[@]}" --template '{}' in
wrong "$again" batch "${bundled[@]}" --shard-size 3 --out framed "${labels[@]}" --template '{}' --top 2 in
wrong "$again" batch "${bundled[@]}" --shard-size 3 --out labels --do embed in -m "$pair"
same before labels

check "vectors beside labels"
batch --out vectors --do classify,embed "${labels[@]}" --write npz in
gives 0
as_classify vectors "${labels[@]}"
run embed -m "$pair" --threads 1 --json in/one.png
grep -o '"embedding":\[[^]]*\]' "$out" > first
grep -F '"key":"in/one"' vectors/*.predictions.jsonl | grep -o '"embedding":\[[^]]*\]' > second
cmp -s first second || fail "another embedding than embed's"

# ------------------------------------------------------------------ maps of texts -------------
maps=(--method "legrad,rollout" "${texts[@]}" --versus 'a blue cat')
check "maps are those of explain"
batch --out maps "${maps[@]}" --name '{path}.{method}.{target}.npy' --do explain in
gives 0
run explain "${bundled[@]}" --threads 1 "${maps[@]}" -o 'explained/{path}.{method}.{target}.npy' in/one.png
gives 0
for name in legrad.a-red-star legrad.$star rollout.a-red-star; do
    cmp -s maps/maps/in/one."$name".npy explained/in/one."$name".npy || fail "another map: $name"
done
[ "$(find maps/maps -name '*.npy' | wc -l)" = 21 ] || fail "$(find maps/maps)"
run explain "${bundled[@]}" --threads 1 "${maps[@]}" --json in/one.png
gives 0
for text in 'a red star' "$star"; do
    said=$(grep -F '"method":"legrad"' "$out" | grep -oE "\"text\":\"$text\",\"versus_text\":\"a blue cat\",\"text_value\":$number,\"empty_value\":$number")
    [ -n "$said" ] || fail "explain says nothing of $text"
    grep -F '"key":"in/one"' maps/*.predictions.jsonl | grep -qF -- "{$said,\"probability\":" || fail "another row than explain's: $said"
done
# number NAME FILE: the first of that name in lines with legrad
first_of() { grep -oE "\"legrad.*" "$2" | grep -oE "\"$1\":$number" | head -1; }
grep -F '"key":"in/one"' maps/*.predictions.jsonl > row
for fact in value probability; do
    [ "$(first_of $fact row)" = "$(first_of $fact "$out")" ] || fail "$fact: $(first_of $fact row), of explain $(first_of $fact "$out")"
done
wrong 'the plan has --text "a red star,'"$star"'", and this run "a red star"' batch "${bundled[@]}" --shard-size 3 --out maps \
    --method legrad,rollout --text 'a red star' --versus 'a blue cat' --name '{path}.{method}.{target}.npy' --do explain in
wrong '--versus "a blue cat", and this run' batch "${bundled[@]}" --shard-size 3 --out maps --method legrad,rollout "${texts[@]}" \
    --name '{path}.{method}.{target}.npy' --do explain in

check "a long text in a message ends behind a whole character"
long=$(printf '星%.0s' {1..100})
wrong 'the plan has --text "a red star,'"$star"'", and this run "b'"${long:0:198}"'"; --restart' batch "${bundled[@]}" --shard-size 3 \
    --quiet --out maps --method legrad,rollout --text "b$long" --versus 'a blue cat' --name '{path}.{method}.{target}.npy' --do explain in

check "the dot product"
batch --out dot --do explain --method legrad --text "$star" --score dot --write npz in/one.png
gives 0
run explain "${bundled[@]}" --threads 1 --method legrad --text "$star" --score dot --json in/one.png
[ "$(first_of value dot/00000.predictions.jsonl)" = "$(first_of value "$out")" ] || fail "$(cat dot/*.jsonl)"

check "texts among others"
printf 'a blue cat\n\n a green house \n' > others.txt
told=(--do explain --method "surgery,legrad" "${texts[@]}" --name '{path}.{method}.{target}.npy')
batch --out untold "${told[@]}" in
gives 0
batch --out told "${told[@]}" --among @others.txt --among 'a red star' in
gives 0
grep -qE '"among":\["a blue cat","a green house","a red star"\],"among_digest":"[0-9a-f]{64}",' told/plan.json || fail "the plan does not say the texts"
run explain "${bundled[@]}" --threads 1 --method "surgery,legrad" "${texts[@]}" --among @others.txt --among 'a red star' -o 'told by one/{path}.{method}.{target}.npy' in/one.png
gives 0
for name in {surgery,legrad}.{a-red-star,$star}; do
    cmp -s told/maps/in/one."$name".npy "told by one/in/one.$name.npy" || fail "another map: $name"
done
for text in a-red-star $star; do
    cmp -s {told,untold}/maps/in/one.surgery.$text.npy && fail "other texts change nothing: $text"
    cmp -s {told,untold}/maps/in/one.legrad.$text.npy || fail "legrad compares no texts"
done
cp -r told before.told
batch --out told "${told[@]}" --among 'a blue cat' --among 'a green house' --among 'a red star' in
gives 0
same before.told told
for others in "--among @others.txt" "--among cat" ""; do
    # shellcheck disable=SC2086 # none, or two words
    wrong "the plan has among" batch "${bundled[@]}" --shard-size 3 --out told "${told[@]}" $others in
done
wrong 'the plan has among "a blue cat, a green house, a red star", and this run "cat, @x"; --restart' batch "${bundled[@]}" --shard-size 3 --out told \
    "${told[@]}" --among cat --among @@x in
wrong "the plan has among nothing" batch "${bundled[@]}" --shard-size 3 --out untold "${told[@]}" --among cat in
same before.told told
printf 'a red cat\n' >> others.txt # the name is the same, what it holds is not
wrong "the plan has among" batch "${bundled[@]}" --shard-size 3 --out told "${told[@]}" --among @others.txt --among 'a red star' in
for i in 1 0; do
    batch --out told.half --shard $i/2 "${told[@]}" --among 'a blue cat' --among 'a green house' --among 'a red star' in
done
same told told.half
(printf 'a%.0s' {1..1100000} && echo) > long.txt # words of more than 1 MiB are not in the plan, but count
batch --out lengthy "${told[@]}" --among @long.txt in/one.png
gives 0
grep -q '"among_digest":' lengthy/plan.json || fail "no digest: $(head -c 2000 lengthy/plan.json)"
grep -q '"among":' lengthy/plan.json && fail "the plan has a long text"
wrong "the plan has among" batch "${bundled[@]}" --shard-size 3 --out lengthy "${told[@]}" --among cat in/one.png

all=(--do "classify,explain" "${labels[@]}" --method "legrad,gradcam" "${texts[@]}")
check "all forms have both"
batch --out whole "${all[@]}" --write tar --gallery --pages in
gives 0
tar tf whole/00000.tar --quoting-style=literal | grep -F in/one. > first
printf 'in/one.%s\n' json {legrad,gradcam}.{a-red-star,$star}.{npy,png} > second
cmp -s first second || fail "members: $(cat first)"
mkdir from
tar xf whole/00000.tar -C from
answers from/in/one.json > first
grep -F '"key":"in/one"' labels/*.predictions.jsonl | answers /dev/stdin > second
cmp -s first second || fail "other answers in a tar"
batch --out arrays "${all[@]}" --write npz in
gives 0
grep -aqF "in/one.legrad.$star.npy" arrays/00000.maps.npz || fail "no array of a Chinese text"
grep -q '"probable":true' whole/gallery/index.html || fail "the gallery has no confidence"
best=$(answers from/in/one.json | grep -oE "\"index\":[0-9],\"label\":\"[^\"]*\",\"probability\":$number" | head -1)
IFS=: read -r _ index label probability <<< "$best"
grep -qF "[\"in/one\",null,${index%%,*},$probability,${label%,*}," whole/gallery/00000.list.js ||
    fail "the gallery lacks $best: $(cat whole/gallery/00000.list.js)"
grep -qF '"texts":["a red star","'"$star"'"],"text_of":[0,1,0,1]' whole/gallery/index.html || fail "the gallery's page lacks the texts"
said=$(grep -oE "\"text_value\":$number,\"empty_value\":$number,\"probability\":$number" from/in/one.json | sed 's/"[a-z_]*"://g' | head -2 | tr '\n' ' ')
read -r one other <<< "$said"
grep -qF "[\"in/one\",null,${index%%,*},$probability,${label%,*},[[$one],[$other]]]" whole/gallery/00000.list.js ||
    fail "the gallery lacks $said: $(cat whole/gallery/00000.list.js)"
[ "$(grep -oF "\"label\":\"$star\"" whole/gallery/00000.js | wc -l)" = 6 ] || fail "the gallery's maps lack their text"
grep -qF "\"text\":\"$star\",\"versus_text\":null" whole/pages/in/one.html || fail "a page lacks the text"
grep -qE "\"predictions\":\[\{\"index\":[0-9],\"label\":\"[^\"]*\",\"logit\":$number,\"probability\":$number\}" whole/pages/in/one.html ||
    fail "a page lacks the labels"

check "one pass"
batch --out one-pass "${all[@]}" --one-pass in --write npz
gives 0
numbers() { answers "$1"/*.jsonl | grep -oE '"index":[0-9]|"logit":[-0-9.e]+' | cut -d: -f2; }
paste <(numbers arrays) <(numbers one-pass) | awk '{ d = $1 - $2; if (d * d > 1e-10) exit 1 } END { exit NR != 42 }' ||
    fail "other answers: $(numbers one-pass)"
cmp -s arrays/00000.maps.npz one-pass/00000.maps.npz || fail "other maps"

# ------------------------------------------------------------------ interruptions -------------
began=$(date +%s%N)
batch --out killed "${all[@]}" --write tar --gallery --pages in
took=$((($(date +%s%N) - began) / 1000000))
same whole killed
for i in $moments; do
    rm -rf killed
    "$program" batch "${bundled[@]}" --quiet --shard-size 3 --out killed "${all[@]}" --write tar --gallery --pages in > "$out" 2> "$err" &
    worker=$!
    moment=$((RANDOM % took))
    check "killed after $moment ms"
    sleep "$(printf '%d.%03d' $((moment / 1000)) $((moment % 1000)))"
    kill -9 $worker 2> /dev/null
    wait $worker 2> /dev/null
    batch --out killed "${all[@]}" --write tar --gallery --pages in
    gives 0
    same whole killed
done

check "asked to end while labels become vectors"
seq -f 'a photo of thing number %.0f' 100000 > many.txt
"$program" batch "${bundled[@]}" --quiet --out ended -m "$pair" --labels many.txt --label-cache no in > "$out" 2> "$err" &
worker=$!
sleep 0.5
kill -TERM $worker
wait $worker
status=$?
gives 75
err_lines 1
err_has "stopped"

check "several workers"
for i in 1 0; do
    batch --out half --shard $i/2 --threads 1 "${all[@]}" --write tar --gallery --pages in
done
same whole half
for i in 1 2; do
    "$program" batch "${bundled[@]}" --quiet --shard-size 3 --out both "${all[@]}" --write tar --gallery --pages in > /dev/null 2>&1 &
done
wait
batch --out both "${all[@]}" --write tar --gallery --pages in
gives 0
same whole both

check "what failed, again"
mkdir -p good/in bad/in
cp in/*.png good/in
cp good/in/*.png bad/in
printf 'no picture\n' > bad/in/two.png
for i in good bad; do
    (cd $i && "$program" batch "${bundled[@]}" --quiet --out ../$i.out "${all[@]}" --write tar --gallery in)
done
[ -s bad.out/failed.jsonl ] || fail "nothing failed"
cp in/two.png bad/in
(cd bad && "$program" batch "${bundled[@]}" --quiet --out ../bad.out "${all[@]}" --write tar --gallery --retry-failed in)
status=$?
gives 0
cp good.out/plan.json bad.out/plan.json # it has the size that the picture had
same good.out bad.out

# ------------------------------------------------------------------ what is refused -----------
b=(batch "${bundled[@]}" --out refused)
wrong "--label, --labels and --template are for --do classify" "${b[@]}" --do embed "${labels[@]}" in
wrong "--template needs labels" "${b[@]}" --template '{}' in
wrong "no classes are texts here" "${b[@]}" -m "$pair" --label-cache cache.vitx in
wrong "is empty" "${b[@]}" --label ' ' in
wrong "--label TEXT gives it some" "${b[@]}" -m "$pair" --do classify in
wrong "classes of its own" "${b[@]}" -m "$model" --label cat in
wrong "--text is for --do explain" "${b[@]}" --text cat in
wrong "--among is for --do explain" "${b[@]}" --among cat in
wrong "--among is for --text" "${b[@]}" --method surgery --like in/one.png --among cat in -m "$pair"
wrong "without --versus" "${b[@]}" --method surgery --text cat --versus cow --among dog in
wrong "legrad compares no texts" "${b[@]}" --method legrad --text cat --among @none.txt in
wrong "surgery: no text to be told from is another than \"cat\": see --among" "${b[@]}" --method surgery --text cat --among cat in
wrong "a text is empty" "${b[@]}" --method surgery --text cat --among ' ' in
wrong "none.txt" "${b[@]}" --method surgery --text cat --among @none.txt in
wrong "--text: the model has classes" "${b[@]}" -m "$model" --method legrad --text cat in
wrong "--text is empty" "${b[@]}" --method legrad --text ' ' in
wrong "needs {target}, as there are several" "${b[@]}" --method legrad "${texts[@]}" in
wrong 'the maps of --text "a red star" and "a red-star!" would have one name, legrad.a-red-star' \
    "${b[@]}" --method legrad --text 'a red star' --text 'a red-star!' --write tar in
wrong "one of them" "${b[@]}" --method legrad --text cat --like in/one.png in
[ ! -e refused ] || fail "what was refused has a folder"
finish
