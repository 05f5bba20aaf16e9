#!/bin/bash
# cli_search.sh: search from the outside: pictures are embedded once, what has changed is seen, what
# is damaged is made again, and nothing else than the time shows any of it.
. test/check.bash
clip=$models/clip-hf
photos=$folder/photos
mkdir -p "$photos/sub"
cp docs/images/scenes/one.png docs/images/scenes/two.png "$photos"
cp docs/images/scenes/wrong.png "$photos/sub/wrong.png"
cp $picture "$photos/sub/with space.png"
like=(search -m "$clip" --like docs/images/scenes/one.png)
index() { find "$1" -name '.vitx-index.*.vec'; }
embedded() { err_has "$1 picture"; err_has "embedded, kept there"; }
# same AS: the same output as that of the file
same() { diff "$1" "$out" > "$folder/differ" || fail "another output: $(head -4 "$folder/differ")"; }

check "a picture that is there is the best"
run "${like[@]}" "$photos"
gives 0
err_lines 1
embedded 4
out_lines 4
[[ "$(head -1 "$out")" = *"$photos/one.png" ]] || fail "$(head -1 "$out")"
out_has '^ [01]\.[0-9]{5}  '"$photos/one.png"
cp "$out" "$folder/first"
[ "$(index "$photos" | wc -l)" = 1 ] || fail "no index in the folder"

check "the second time nothing is embedded"
right "${like[@]}" "$photos"
same "$folder/first"
right "${like[@]}" "$photos/"
right "${like[@]}" --no-update "$photos"
same "$folder/first"
right "${like[@]}" --top 2 "$photos"
out_lines 2
right "${like[@]}" --top all "$photos"
out_lines 4
right "${like[@]}" --threshold 0.9999 "$photos"
out_lines 1
right "${like[@]}" --threshold 1.5 "$photos"
out_has '^nothing: no picture has a score of 1.5 or more'

check "the scores are cosines"
right embed -m $clip --normalize -o "$folder/one.npy" "$photos/one.png"
right search -m $clip --vector "$folder/one.npy" "$photos"
same "$folder/first"
right embed -m $clip -o "$folder/long.npy" "$photos/one.png"
right search -m $clip --vector "$folder/long.npy" "$photos"
diff <(sed 's/^ *[^ ]* *//' "$folder/first") <(sed 's/^ *[^ ]* *//' "$out") || fail "another order"
right "${like[@]}" --json --top 1 "$photos"
out_has '^\{"like":"docs/images/scenes/one.png","rank":1,"image":".*/one.png","score":'"$number"',"cosine":'"$number"'\}$'

check "new, changed and gone pictures"
cp docs/images/scenes/one.1.png "$photos/new.png"
run "${like[@]}" "$photos"
gives 0
embedded 1
out_lines 5
touch -d 2001-01-01 "$photos/two.png"
run "${like[@]}" "$photos"
embedded 1
rm "$photos/new.png"
right "${like[@]}" "$photos"
same "$folder/first"
right "${like[@]}" --no-update "$photos"
same "$folder/first"

check "a picture that cannot be read is reported once"
printf 'no picture' > "$photos/bad.jpg"
run "${like[@]}" "$photos"
gives 1
err_has "bad.jpg: not a picture"
same "$folder/first"
run "${like[@]}" "$photos"
gives 0
err_has "note: 1 picture cannot be read, as before"
err_lines 1
run "${like[@]}" --retry-failed "$photos"
gives 1
err_has "bad.jpg: not a picture"
cp docs/images/scenes/two.1.png "$photos/bad.jpg"
run "${like[@]}" "$photos"
gives 0
embedded 1
out_lines 5
rm "$photos/bad.jpg"
mkfifo "$photos/pipe.png"
run "${like[@]}" "$photos"
gives 1
err_has "pipe.png: is no file"
rm "$photos/pipe.png"
run "${like[@]}" "$photos"
same "$folder/first"

check "what is torn or damaged is made again"
file=$(index "$photos")
cp "$file" "$folder/whole.vec"
for cut in 1 40 100 600 800; do
    head -c -$cut "$folder/whole.vec" > "$file"
    run "${like[@]}" "$photos"
    gives 0
    err_has "are not whole, and were cut off"
    same "$folder/first"
    right "${like[@]}" "$photos"
done
rm "$file"
run "${like[@]}" "$photos"
size=$(wc -c < "$file")
printf '\377' | dd of="$file" bs=1 seek=$((size - 2)) conv=notrunc 2> "$folder/dd"
run "${like[@]}" --no-update "$photos"
gives 1
err_has "damaged and left out"
run "${like[@]}" "$photos"
gives 0
err_has "1 blocks of vectors are damaged: their pictures are embedded again"
same "$folder/first"
right "${like[@]}" "$photos"
same "$folder/first"

check "each model has an index of its own, and none takes another's"
run search -m $models/clip-open-clip --like "$photos/one.png" "$photos"
gives 0
[ "$(index "$photos" | wc -l)" = 2 ] || fail "one index for two models"
right "${like[@]}" "$photos"
same "$folder/first"
run search -m $models/clip-open-clip --like "$photos/one.png" --index "$file" "$photos"
gives 1
err_has "is of other vectors: \"model: "
run "${like[@]}" --precision bf16 --index "$file" "$photos"
gives 1
err_has 'and here it is "precision: bf16"'
run "${like[@]}" --index "$photos/two.png" "$photos"
gives 1
err_has "is no index of vitx-cli search"
cmp docs/images/scenes/two.png "$photos/two.png" || fail "a picture was replaced"

mkfifo "$folder/fifo"
run "${like[@]}" --index "$folder/fifo" "$photos"
gives 1
err_has "is no file"
run "${like[@]}" --index "$folder/fifo"
gives 1

check "--index holds lists and several folders"
printf '%s\n' "$photos/one.png" "$photos/sub" > "$folder/list"
kept=$folder/kept.vec
run "${like[@]}" --index "$kept" "@$folder/list" "$photos/one.png" "$photos/two.png"
gives 0
embedded 4
same "$folder/first"
right "${like[@]}" --index "$kept" "$photos"
same "$folder/first"
right "${like[@]}" --index "$kept" "$photos/sub"
out_lines 2
right "${like[@]}" --index "$kept"
same "$folder/first"
run "${like[@]}" "$photos/one.png" "$photos/two.png"
gives 0
err_has "the vectors are not kept"
out_lines 2
mkdir "$folder/other"
(cd "$folder/other" && ln -s "$photos" link) || fail "no link"
right "${like[@]}" --index "$kept" "$folder/other/link/one.png"

check "it goes on where it was killed"
mkdir "$folder/many" "$folder/twice"
for i in $(seq 60); do
    cp "$photos/two.png" "$folder/many/$i.png"
done
cp "$photos/one.png" "$folder/many"
"$program" "${like[@]}" --batch 4 "$folder/many" > /dev/null 2>&1 &
killed=$!
sleep 0.3
{ kill -KILL $killed; wait $killed; } 2> "$folder/kill"
run "${like[@]}" --top all "$folder/many"
gives 0
out_lines 61
[[ "$(head -1 "$out")" = *"/many/one.png" ]] || fail "$(head -1 "$out")"

check "two at once do no harm"
cp "$folder"/many/*.png "$folder/twice"
"$program" "${like[@]}" --top all "$folder/twice" > "$folder/out.1" 2> "$folder/err.1" &
other=$!
run "${like[@]}" --top all "$folder/twice"
gives 0
wait $other || fail "the other: $(cat "$folder/err.1")"
same "$folder/out.1"
out_lines 61
[ "$(cat "$folder/err.1" "$err" | grep -c 'embedded, kept there')" = 1 ] || fail "both embedded"

check "a disk that is full"
small=$folder/small
mkdir "$small"
cp "$folder"/many/*.png "$small"
(
    trap '' XFSZ
    ulimit -f 2
    "$program" "${like[@]}" "$small" > /dev/null 2> "$folder/full"
    [ $? = 1 ]
) || fail "status of a full disk"
grep -q "what is new from here on is not kept" "$folder/full" || fail "$(cat "$folder/full")"
run "${like[@]}" --top all "$small"
gives 0
out_lines 61

check "a folder that cannot be read does not cost the others"
cp -r "$photos" "$folder/more"
run "${like[@]}" "$folder/more"
cp "$out" "$folder/whole"
deep=$folder/more/deep
for i in $(seq 70); do deep=$deep/d; done
mkdir -p "$deep"
run "${like[@]}" "$folder/more"
gives 1
same "$folder/whole"
err_lines 1
err_has "more than 64 folders in each other"
run "${like[@]}" "$folder/more/deep"
gives 1
out_lines 0
err_lines 1

check "a folder that cannot be written to"
mkdir "$folder/locked"
cp "$photos/one.png" "$folder/locked"
chmod 555 "$folder/locked"
if [ -w "$folder/locked" ]; then
    echo "cli_search: root writes everywhere: no test of a folder that cannot be written to"
else
    run "${like[@]}" "$folder/locked"
    gives 0
    err_has "vectors are not kept"
    out_lines 1
fi
chmod 755 "$folder/locked"

check "--faiss"
right "${like[@]}" --faiss "$folder/x.faiss" "$photos"
same "$folder/first"
[ "$(head -c 4 "$folder/x.faiss")" = IxFI ] || fail "it begins otherwise"
[ "$(wc -c < "$folder/x.faiss")" = $((45 + 4 * 7 * 4)) ] || fail "$(wc -c < "$folder/x.faiss") bytes"
[ "$(wc -l < "$folder/x.faiss.names")" = 4 ] || fail "other names"
right search -m $clip --faiss "$folder/y.faiss" "$photos"
out_lines 0
cmp "$folder/x.faiss" "$folder/y.faiss" || fail "another file without a query"
wrong "the vectors would replace the picture" search -m $clip --faiss "$photos/one.png" "$photos"
cmp docs/images/scenes/one.png "$photos/one.png" || fail "a picture was replaced"

check "--why"
two=(search -m "$clip" --like docs/images/scenes/two.2.png --top 2)
run "${two[@]}" --why "$folder/why/{image}.{method}.png" --method gradcam,attention "$photos"
gives 0
out_lines 6
[ "$(find "$folder/why" -name '*.png' | wc -l)" = 4 ] || fail "not four maps"
run "${two[@]}" --why "$folder/why.html" --method gradcam "$photos"
gives 0
exists "$folder/why.html"
grep -aq 'vitx-cli explain .*-o why.html --method gradcam' "$folder/why.html" || fail "another line"
right "${two[@]}" --json --why "$folder/json/{image}.png" --method gradcam "$photos"
out_has '"why":\["'"$folder"'/json/.*\.png"\]\}$'
wrong "would replace the picture" "${two[@]}" --why "$photos/{image}.png" --method gradcam "$photos"
cmp docs/images/scenes/one.png "$photos/one.png" || fail "a picture was replaced"
wrong "several maps need a pattern" "${two[@]}" --why "$folder/a.png" "$photos"
wrong "are for --why" "${two[@]}" --method gradcam "$photos"
wrong "are for --why" "${two[@]}" --among dog "$photos"
wrong "--among is for --text" "${two[@]}" --why "$folder/{image}.png" --method surgery --among dog "$photos"
wrong "no method" "${two[@]}" --why "$folder/{image}.png" --method gradcamm "$photos"

check "texts: each has a list of its own, and what is not there is said"
towers=test/golden/texts/chinese-clip-hf
mkdir "$folder/tokens"
printf '%s\n' '[PAD]' '[UNK]' '[CLS]' '[SEP]' '[MASK]' a red dog car 猫 狗 > "$folder/tokens/vocab.txt"
text=(search -m "$towers" --tokenizer "$folder/tokens")
run "${text[@]}" --text 'a red dog' --text 狗 --top 3 "$photos"
gives 0
embedded 4
[ "$(grep -cE '^( |-)[01]\.[0-9]{5}  [01]\.[0-9]{4}  ' "$out")" = 6 ] || fail "$(cat "$out")"
out_has '^a red dog$'
out_has '^狗$'
cp "$out" "$folder/both"
right "${text[@]}" --text 狗 --top 3 "$photos"
tail -n 3 "$folder/both" > "$folder/last"
tail -n 3 "$out" | diff - "$folder/last" || fail "one text alone has another list"

check "the numbers are those of explain and classify"
number_of() { grep "$2" "$3" | sed 's/.*"'"$1"'":\([^,}]*\)[,}].*/\1/'; } # number_of NAME PICTURE FILE
near() { awk -v a="$1" -v b="$2" 'BEGIN { d = a - b; exit !(a != "" && b != "" && d * d < 1e-10) }'; }
right "${text[@]}" --text 狗 --top 4 --json "$photos"
cp "$out" "$folder/lines"
scale=
for shot in one two; do
    right explain -m "$towers" --tokenizer "$folder/tokens" --text 狗 --method gradcam --json "$photos/$shot.png"
    for pair in cosine:text_value empty:empty_value probability:probability; do
        near "$(number_of "${pair%:*}" $shot.png "$folder/lines")" "$(number_of "${pair#*:}" $shot.png "$out")" ||
            fail "another ${pair%:*} than explain's"
    done
    right classify -m "$towers" --tokenizer "$folder/tokens" --label 狗 --json "$photos/$shot.png"
    cosine=$(number_of cosine $shot.png "$folder/lines") logit=$(number_of logit $shot.png "$out")
    now=$(awk -v c="$cosine" -v l="$logit" 'BEGIN { printf "%.2f", l / c }')
    [ "${scale:=$now}" = "$now" ] || fail "cosine $cosine, logit $logit: not the scale $scale"
done
# below one half: not here; and --here leaves such pictures out
here=$(grep -c '"here":true' "$folder/lines")
[ "$here" = "$(grep -cE '"probability":(0\.[5-9]|1)' "$folder/lines")" ] || fail "$(cat "$folder/lines")"
right "${text[@]}" --text 狗 --top 4 --json --here "$photos"
out_lines "$here"
for words in a red 'red car' dog; do # a text of which some are here, and one that is nowhere
    run "${text[@]}" --text "$words" --top all --json "$photos"
    here=$(grep -c '"here":true' "$out")
    run "${text[@]}" --text "$words" --top all "$photos"
    [ "$(grep -c '^not here: none of these pictures' "$out")" = $((here == 0)) ] || fail "$(cat "$out")"
    run "${text[@]}" --text "$words" --top all --here "$photos"
    [ "$(grep -c '^not here: no picture ' "$out")" = $((here == 0)) ] || fail "$(cat "$out")"
    [ "$(grep -vc '^not here' "$out")" = "$here" ] || fail "$(cat "$out")"
done

check "--versus"
wrong "the same text" "${text[@]}" --text 狗 --versus 狗 "$photos"
wrong "is the same to the model" "${text[@]}" --text 'a dog' --versus 'A  dog' "$photos"
right "${text[@]}" --like "$photos/one.png" --versus a "$photos"
out_lines 4

check "--why of texts"
run "${text[@]}" --text 'a red dog' --text 狗 --top 1 --why "$folder/of/{image}.{target}.png" "$photos"
gives 0
[ "$(find "$folder/of" -name '*.png' | wc -l)" = 2 ] || fail "$(ls "$folder/of")"
out_has 'legrad  text a red dog$'
check "--why of a text among others"
printf 'a car\n' > "$folder/others.txt"
# maps OPTION...: surgery's map of a text in the best picture, as explain makes it with the same options
maps() {
    local map of words shot
    right "${text[@]}" --text 'a red dog' --text 狗 --top 1 --why "$folder/among/{image}.{target}.json" --method surgery "$@" "$photos"
    for map in "$folder"/among/*.json; do
        of=${map##*/} words='a red dog'
        [[ $of = *.狗.json ]] && words=狗
        shot=$(find "$photos" -name "${of%%.*}.png")
        right explain -m "$towers" --tokenizer "$folder/tokens" --method surgery --text "$words" "$@" -o "$folder/line.json" "$shot"
        cmp -s "$map" "$folder/line.json" || fail "$of: another map than explain's"
    done
}
maps
cp -r "$folder/among" "$folder/alone"
maps --among "@$folder/others.txt" --among dog
for map in "$folder"/among/*.json; do
    grep -q '"among":2' "$map" || fail "not two texts: $(head -c 700 "$map")"
    cmp -s "$map" "$folder/alone/${map##*/}" && fail "other texts change nothing"
done
right "${text[@]}" --text 狗 --top 1 --why "$folder/among.html" --method surgery --among dog "$photos"
grep -aq 'vitx-cli explain .*--among dog' "$folder/among.html" || fail "another line"
wrong "--among: legrad, the default method, compares no texts; take --method" "${text[@]}" --text 狗 --why "$folder/{image}.png" --among dog "$photos"
wrong "without --versus" "${text[@]}" --text 狗 --versus a --why "$folder/{image}.png" --method surgery --among dog "$photos"
wrong "surgery: no text to be told from is another than \"狗\": see --among" "${text[@]}" --text 狗 --why "$folder/{image}.png" --method surgery --among 狗 "$photos"
cp "$folder/others.txt" "$folder/others.json"
wrong "would replace the list" "${text[@]}" --text 狗 --top 1 --why "$folder/others.json" --method surgery --among "@$folder/others.json" "$photos"
run "${text[@]}" --text 狗 --why "$folder/{image}.png" --method surgery --among "@$folder/none.txt" "$photos"
gives 1
err_has "none.txt"
wrong "{target} has to be in it" "${text[@]}" --text a --text b --why "$folder/{image}.png" "$photos"
wrong "a page is of one --text" "${text[@]}" --text a --text b --why "$folder/x.html" "$photos"

wrong "needs --text, --like or --vector" search -m $clip "$photos"
wrong "one of them" search -m $clip --text a --like b.png "$photos"
wrong "needs a folder" search -m $clip --text a
wrong "--text is empty" search -m $clip --text ' ' "$photos"
wrong "--here is for --text" "${like[@]}" --here "$photos"
wrong "and no pictures" "${like[@]}" --no-update --index "$kept" "$photos"
wrong "takes one folder" "${like[@]}" --no-update "$photos/one.png"
check "a model with classes"
run search -m $model --like $picture "$photos"
gives 1
err_has "not with an embedding"
check "an index that is not there"
run "${like[@]}" --index "$folder/none.vec"
gives 1
err_lines 1
run "${like[@]}" "$folder/none"
gives 1
finish
