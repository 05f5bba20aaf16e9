#!/bin/bash
# cli_words.sh: classes that are texts (classify --label, --labels, --template), texts that are explained (explain
# --text, --versus), and the page that shows their words. Answers are those of test/golden/words.
. test/check.bash

words=test/golden/words
picture=test/golden/texts/picture.png
labels=$words/labels.txt templates=$words/templates.txt
dog=一张狗的照片。

# near A B: two numbers differ by no more than 0.0002
near() {
    local a b
    printf -v a '%.4f' "$1"
    printf -v b '%.4f' "$2"
    a=${a/./} b=${b/./}
    [[ $a = -* ]] && a=-$((10#${a#-})) || a=$((10#$a)) # leading zeros would be octal
    [[ $b = -* ]] && b=-$((10#${b#-})) || b=$((10#$b))
    a=$((a - b))
    [ ${a#-} -le 2 ]
}

# answers FILE: the table on standard output has the logits, probabilities and labels of a golden file
answers() {
    local logit probability label shown
    while IFS=$'\t' read -r logit probability label; do
        shown=$(grep -F -- "  $label" "$out")
        # shellcheck disable=SC2086 # two columns
        set -- "$1" $shown
        near "$2" "$logit" && near "$3" "$probability" || fail "$1: $logit $probability $label, shown: $shown"
    done < "$1"
}

for kind in clip chinese-clip siglip; do
    m=$words/$kind
    right classify -m $m --label 'a photo of a cat' --label $dog --label 'The red car, at night!' \
        --label '一只沙滩上的牛 and a bird' $picture
    out_lines 5
    answers $m/answers.txt
    cp "$out" "$folder/table"
    right classify -m $m --labels $labels $picture
    cmp -s "$folder/table" "$out" || fail "--labels differs from --label"
    right classify -m $m --labels $labels --template $templates $picture
    answers $m/ensemble.txt
    cp "$out" "$folder/ensemble"
    right classify -m $m --labels $labels --template 'a photo of the {}.' --template '{}' --template '一张{}的照片。' $picture
    cmp -s "$folder/ensemble" "$out" || fail "templates one by one differ from those of a file"
    right classify -m $m --labels $labels --template '{}' $picture
    cmp -s "$folder/table" "$out" || fail "the template {} is not the label itself"
    right classify -m $m --label cat --label $dog --json --top 1 $picture $picture
    out_lines 2
    out_has "^\\{\"image\":\"$picture\",\"predictions\":\\[\\{\"index\":[01],\"label\":\"(cat|$dog)\",\"probability\":$number,\"logit\":$number\\}\\]\\}\$"
done

check "labels of a file and of the command line"
clip=$words/clip
printf '\xef\xbb\xbf cat\t\r\n\n  \n狗\r\n' > "$folder/two.txt"
right classify -m $clip --label bird --labels "$folder/two.txt" $picture
out_lines 4
for label in bird cat 狗; do out_has "  [012]  $label\$"; done
right classify -m $clip --label only $picture
out_has '  1\.0000  0  only$'

check "the cache of labels"
cache=$folder/labels.vitx
right classify -m $clip --labels $labels --label-cache "$cache" $picture
exists "$cache"
cp "$out" "$folder/first"
cp "$cache" "$folder/copy"
right classify -m $clip --labels $labels --label-cache "$cache" $picture
cmp -s "$folder/first" "$out" || fail "the cache changes the answer"
cmp -s "$folder/copy" "$cache" || fail "a cache that is right was written again"
head -c 100 "$folder/copy" > "$cache"
right classify -m $clip --labels $labels --label-cache "$cache" $picture
cmp -s "$folder/first" "$out" || fail "a torn cache changes the answer"
cmp -s "$folder/copy" "$cache" || fail "a torn cache was not mended"
right classify -m $clip --label other --label-cache "$cache" $picture
out_has '  0  other$'
run classify -m $clip --labels $labels --label-cache "$folder/none/labels.vitx" $picture
gives 0
err_lines 1
err_has "vectors are not kept"
cmp -s "$folder/first" "$out" || fail "an unwritable cache changes the answer"

check "many labels are kept beside the model"
cp -r $clip "$folder/model"
seq 1000 > "$folder/many.txt"
right classify -m "$folder/model" --labels "$folder/many.txt" --label-cache no $picture
[ -z "$(ls "$folder/model" | grep vitx)" ] || fail "--label-cache no wrote a file"
right classify -m "$folder/model" --labels "$folder/many.txt" $picture
[ "$(ls "$folder/model" | grep -c '^labels\.[0-9a-f]*\.vitx$')" = 1 ] || fail "no labels.*.vitx: $(ls "$folder/model")"
cp "$out" "$folder/first"
right classify -m "$folder/model" --labels "$folder/many.txt" $picture
cmp -s "$folder/first" "$out" || fail "the kept labels change the answer"

check "a tower and a tokenizer that lie apart"
mkdir "$folder/apart"
cp $clip/tokenizer.json "$folder/apart"
cp "$folder/model"/*.json "$folder/model/model.safetensors" "$folder/"
rm "$folder/model/tokenizer.json"
right classify -m $clip --labels $labels $picture
cp "$out" "$folder/first"
right classify -m "$folder/model" --tokenizer "$folder/apart" --labels $labels $picture
cmp -s "$folder/first" "$out" || fail "another tokenizer's folder changes the answer"
right classify -m "$folder/model" --text-model $clip --labels $labels $picture
cmp -s "$folder/first" "$out" || fail "another text tower's folder changes the answer"

check "labels of a file alone take the bundled pair, too"
printf '%s\n' 'a red star' '一颗红色的星星' > "$folder/stars.txt"
right classify --label 'a red star' --label 一颗红色的星星 $picture
cp "$out" "$folder/first"
right classify --labels "$folder/stars.txt" $picture
cmp -s "$folder/first" "$out" || fail "not as with --label: $(cat "$out")"
right classify --help
out_has 'texts for the bundled pair'
"$OUT/vitx-scenes" --classes | cut -f 1 > "$folder/names.txt" # explain knows no classes that are texts: they are names of the bundled model's classes
right explain --labels "$folder/names.txt" --method rollout --json docs/images/scenes/one.png
out_has '"label":"[0-9]*"'

check "what is refused"
# refused MESSAGE ARGUMENT...: status 1, one line
refused() {
    local message=$1
    shift
    check "$*"
    run "$@"
    gives 1
    out_lines 0
    err_lines 1
    err_has "$message"
}
c=(classify -m "$clip")
wrong "no classes are texts here" "${c[@]}" --label-cache "$folder/no.vitx" $picture
seq 7 > "$folder/seven.txt"
wrong "no classes are texts here" classify -m $model --labels "$folder/seven.txt" --label-cache "$folder/no.vitx" $picture
right classify -m $model --labels "$folder/seven.txt" --label-cache no $picture
wrong "is empty" "${c[@]}" --label '' $picture
wrong "is empty" "${c[@]}" --label cat --label ' ' $picture
wrong "needs at least one picture" "${c[@]}" --label cat
wrong "--template needs labels" "${c[@]}" --template 'a {}' $picture
wrong "has no {}" "${c[@]}" --label cat --template "$labels" $picture
wrong "no set of that name" "${c[@]}" --label cat --template nonsuch $picture
cp $labels "$folder/mine.txt"
wrong "is not replaced" "${c[@]}" --labels $labels --label-cache "$folder/mine.txt" $picture
cmp -s $labels "$folder/mine.txt" || fail "a cache has replaced another file"
printf '["cat", "dog"]\n' > "$folder/list.json"
wrong "begins like JSON" "${c[@]}" --labels "$folder/list.json" $picture
refused "none.txt" "${c[@]}" --labels "$folder/none.txt" $picture
refused "line 1 has more than 16777216 bytes" "${c[@]}" --labels <(head -c 16777300 /dev/zero | tr '\0' a) $picture
refused "more than 1000000 lines" "${c[@]}" --labels <(yes a) $picture
refused "line 1 holds a zero byte" "${c[@]}" --labels "$clip/model.safetensors" $picture
: > "$folder/empty.txt"
wrong "the file has no labels" "${c[@]}" --labels "$folder/empty.txt" $picture
wrong "there are no sentences in it" "${c[@]}" --label cat --template "$folder/empty.txt" $picture
wrong "soap" "${c[@]}" --clean-text soap --label cat $picture
refused "tokenizer" classify -m "$folder/model" --label cat $picture
refused "have 32 numbers, the picture tower's 24" "${c[@]}" --text-model $words/siglip --label cat $picture
refused "classes of its own" classify -m $model --label cat $picture
refused "text" classify -m $models/clip-hf --label cat $picture
refused "vitx-cli embed" "${c[@]}" $picture

check "texts are explained"
e=(explain -m "$clip" --method gradcam)
right "${e[@]}" --text 'a photo of a cat' -o "$folder/e.png" $picture
out_has "e\.png  gradcam  text a photo of a cat\$"
right "${e[@]}" --text 'a photo of a cat' --text $dog -o "$folder/{target}.json" $picture
out_lines 2
exists "$folder/$dog.json"
json=$folder/a-photo-of-a-cat.json
exists "$json"
grep -q '"target":null,"label":"a photo of a cat","logit":-\?[0-9].*"score":"cosine".*"explains":"text"' "$json" || fail "no text is explained: $(head -c 600 "$json")"
grep -qE "\"text\":\"a photo of a cat\",\"versus_text\":(\"\"|null),\"text_value\":$number,\"empty_value\":$number" "$json" || fail "the text's numbers are not in it: $(head -c 800 "$json")"
right "${e[@]}" --text 'a photo of a cat' --versus $dog -o "$folder/v.json" $picture
grep -q "\"versus_text\":\"$dog\"" "$folder/v.json" || fail "no text is set against it"
right classify -m "$clip" --label $'red\e[31m\n\a' --label cat $picture
grep -q $'[\e\a]' "$out" && fail "a label drives the terminal"
grep -qF 'red?[31m??' "$out" || fail "a label is not shown"
printf 'grass\n\n a dog \n' >"$folder/behind.txt"
among() { right explain -m "$clip" --method surgery --text cat "$@" -o "$folder/among.json" $picture; }
among
grep -q '"among":null' "$folder/among.json" || fail "it is told from others"
mv "$folder/among.json" "$folder/alone.json"
among --among "@$folder/behind.txt" --among cat --among sky
grep -q '"among":3' "$folder/among.json" || fail "not three texts: $(head -c 800 "$folder/among.json")"
cmp -s "$folder/among.json" "$folder/alone.json" && fail "other texts change nothing"
# @@x is the text @x, here as a line of a file has it; and a page names the file alone
printf '@grass\n@@sky\n' >"$folder/marked.txt"
among --among "@$folder/marked.txt" --among @
mv "$folder/among.json" "$folder/listed.json"
among --among @@grass --among @@@sky --among @
cmp -s "$folder/among.json" "$folder/listed.json" || fail "@@ is not the text's own @"
cp "$folder/marked.txt" "$folder/@marked.json"
right explain -m "$clip" --method surgery --text cat --among "@$folder/marked.txt" --among @@grass --among "@$folder/@marked.json" \
    -o "$folder/line.html" $picture
grep -q -- '--text cat --among @marked.txt --among @@grass --among @./@marked.json ' "$folder/line.html" || fail "another line"
wrong "would replace the list" explain -m "$clip" --method surgery --text cat --among "@$folder/@marked.json" -o "$folder/@marked.json" $picture
here=$PWD
(cd "$folder" && "$here/$program" explain -m "$here/$clip" --method surgery --text cat --among @@marked.json -o @marked.json "$here/$picture") >"$out" ||
    fail "a text that looks like a list is taken for one"
refined() { right explain -m "$clip" --method maskclip --text cat --among "@$folder/behind.txt" "$@" -o "$folder/refined.json" $picture; }
refined
grep -q '"among":null' "$folder/refined.json" || fail "texts that change nothing are told of"
cp "$folder/refined.json" "$folder/plain.json"
refined --set maskclip.denoise=0.01 --set maskclip.smooth=1
grep -q '"among":2' "$folder/refined.json" || fail "not two texts: $(head -c 800 "$folder/refined.json")"
cmp -s "$folder/refined.json" "$folder/plain.json" && fail "denoise and smooth change nothing"
run explain -m "$clip" --method maskclip --text cat --among "@$folder/behind.txt" --set denoise=1 -o "$folder/refined.json" $picture
gives 0
err_has "nothing in the picture speaks for the text rather than for the others that it is told from"
wrong "no texts to be told from are given: see --among" explain -m "$clip" --method maskclip --text cat --set denoise=0.5 -o "$folder/x.png" $picture
wrong "maskclip: keys=patches is for smooth" explain -m "$clip" --method maskclip --text cat --set keys=patches -o "$folder/x.png" $picture
wrong "the score is another" explain -m "$clip" --method maskclip --text cat --score dot --among dog --set smooth=1 -o "$folder/x.png" $picture
right explain -m "$clip" --method legrad --text cat --set correction=0.5 -o "$folder/corrected.json" $picture
wrong "there is no text tower" explain -m "$clip" --method legrad --unit 1 --set correction=0.5 -o "$folder/x.png" $picture
wrong "norm=drop is for a head that pools by attention" explain -m "$clip" --method legrad --text cat --set norm=drop -o "$folder/x.png" $picture
right explain -m $words/siglip --method legrad --text cat --set norm=drop --set correction=0.8 --set start=-2 -o "$folder/published.npy" $picture
# no file is read and no text is run for methods that take none
wrong "--among: gradcam compares no texts; take --method maskclip, surgery or clip-es" "${e[@]}" --text cat --among "@$folder/none.txt" -o "$folder/x.png" $picture
wrong "gradcam, rollout and legrad compare no texts" "${e[@]}" --method rollout,legrad --text cat --among dog -o "$folder/x.png" $picture
wrong "without --versus" explain -m "$clip" --method surgery --text cat --versus cow --among dog -o "$folder/x.png" $picture
wrong 'surgery: no text to be told from is another than "cat": see --among' explain -m "$clip" --method surgery --text cat --among cat -o "$folder/x.png" $picture
long=$(yes 'a long text' | head -40 | tr '\n' ' ')
run explain -m "$clip" --method surgery --text cat --among "$long" -o "$folder/x.png" $picture
gives 0
err_has "1 of the texts of --among are longer than the text tower reads, and were cut"
rm "$folder/x.png"
seq 10001 > "$folder/numbers.txt"
wrong "10001 texts to be told from, at most 10000" explain -m "$clip" --method surgery --text cat --among "@$folder/numbers.txt" -o "$folder/x.png" $picture
# the last word of the message is the option, whatever the text is
wrong 'surgery: no text to be told from is another than "among": see --among' explain -m "$clip" --method surgery --text among --among Among -o "$folder/x.png" $picture
wrong "would replace the list" explain -m "$clip" --method surgery --text cat --among "@$folder/behind.txt" -o "$folder/behind.txt" --format json $picture
printf '%s\n' "$picture" >"$folder/list.json"
wrong "would replace the list" "${e[@]}" --text cat -o "$folder/list.json" "@$folder/list.json"
wrong "is for --text" explain -m "$clip" --method surgery --unit 1 --among cat -o "$folder/x.png" $picture
right "${e[@]}" --text '../../etc/x y' -o "$folder/safe.{target}.npy" $picture
[ "$(ls "$folder" | grep -c '^safe\..*\.npy$')" = 1 ] || fail "no file of a text with slashes: $(ls "$folder")"
right "${e[@]}" --json --text cat $picture
out_lines 1
out_has '"text":"cat"'
wrong "one of them" "${e[@]}" --text cat --unit 1 -o "$folder/x.png" $picture
wrong "one of them" "${e[@]}" --text cat --like $picture -o "$folder/x.png" $picture
wrong "is for --score cosine or dot" "${e[@]}" --text cat --score logit -o "$folder/x.png" $picture
wrong "the same to the model" "${e[@]}" --text cat --versus cat -o "$folder/x.png" $picture
wrong "the model has classes" explain -m $model --method gradcam --text cat -o "$folder/x.png" $picture
refused "tokenizer" explain -m "$folder/model" --method gradcam --text cat -o "$folder/x.png" $picture
[ ! -e "$folder/x.png" ] || fail "what was refused wrote a map"

check "a page of texts"
for language in en zh; do
    right explain -m $words/chinese-clip --method gradcam,generic --lang $language --text 'a photo of a cat' --text $dog \
        --versus '牛' -o "$folder/$language.html" $picture
    grep -q '"sentences":\[{"text":"a photo of a cat","method":"gradient","value":' "$folder/$language.html" || fail "no sentence"
    grep -qE "\"parts\":\\[\\[\"\",\"a\",$number\\],\\[\" \",\"photo\",$number\\],\\[\" \",\"of\",$number\\],\\[\" \",\"a\",$number\\],\\[\" \",\"cat\",$number\\]\\],\"rest\":\"\"" \
        "$folder/$language.html" || fail "no English words"
    grep -qE "\\[\"\",\"一\",$number\\],\\[\"\",\"张\",$number\\],\\[\"\",\"狗\",$number\\]" "$folder/$language.html" || fail "no Chinese words"
    grep -q '"versus_text":"牛"' "$folder/$language.html" || fail "nothing is set against it"
done
right explain -m $clip --method gradcam --text '</script><b>cat' -o "$folder/safe.html" $picture
! grep -q '</script><b>cat' "$folder/safe.html" || fail "a text ends the page's script"

check "maps of texts are measured"
# ends_at FACT ARGUMENT...: the curve of insertion ends at what the whole picture has: what explain says of it
ends_at() {
    local fact=$1
    shift
    right eval --method legrad --metric insertion --set insertion.step=500 --no-baselines --quiet --curves "$folder/curve.npy" "$@" $picture
    local last
    last=$(tail -c 4 "$folder/curve.npy" | od -An -tf4)
    right explain --method legrad --json "$@" $picture
    near "$last" "$(grep -oE "\"$fact\":$number" "$out" | head -1 | cut -d: -f2)" || fail "the curve ends at $last, not at $fact"
}
for kind in clip chinese-clip siglip; do
    ends_at text_value -m $words/$kind --text $dog
    ends_at value -m $words/$kind --text $dog --versus 'a photo of a cat'
    ends_at value -m $words/$kind --text $dog --score dot
done
ends_at text_value --text 'a red star' # the bundled pair
right eval -m $clip --method legrad,rollout --metric all --text $dog --json $picture
out_lines 4
out_has "^\{\"image\":\"$picture\",\"method\":\"legrad\",\"target\":null,\"label\":\"$dog\",\"probability\":null,\"values\":\{\"insertion\":$number,.*\"randomisation\":$number"
wrong "one text is measured at a time" eval -m $clip --method legrad --text cat --text $dog $picture
wrong "--text is empty" eval -m $clip --method legrad --text ' ' $picture
wrong "--versus is for --text" eval -m $clip --method legrad --versus cat --like $picture $picture
wrong "one of them" eval -m $clip --method legrad --text cat --like $picture $picture
wrong "is for --score cosine or dot" eval -m $clip --method legrad --text cat --score logit $picture
wrong "the model has classes" eval -m $model --method legrad --text cat $picture
wrong "--text cannot be given" eval -m $clip --scenes 2 --words en --method legrad --text cat
wrong "it needs --text" eval -m $clip --method legrad $picture
wrong "--among is for --text or --words" eval -m $clip --method surgery --like $picture --among cat $picture
wrong "--among is for --text or --words" eval -m $clip --method surgery --text cat --versus dog --among cow $picture
wrong "legrad compares no texts" eval -m $clip --method legrad --text cat --among "@$folder/none.txt" $picture
# energy ARGUMENT...: of the map that explain makes with the same arguments, and of eval's: the share inside the box
energy() {
    right eval -m $clip --method surgery --metric energy --box 0,0,16,32 --no-baselines --json --text cat "$@" $picture
    sed -n 's/.*"energy":\([^},]*\).*/\1/p' "$out"
}
alone=$(energy) told=$(energy --among "@$folder/behind.txt" --among sky)
[ -n "$alone" ] && [ -n "$told" ] && [ "$alone" != "$told" ] || fail "among others: $alone and $told"
[ "$told" = "$(energy --among grass --among 'a dog' --among sky)" ] || fail "a file and its lines differ"
wrong "no text to be told from" eval -m $clip --method surgery --text cat --among cat $picture
wrong "a text is empty" eval -m $clip --method surgery --text cat --among ' ' $picture
cp "$folder/behind.txt" "$folder/behind.npy"
wrong "would replace the list" eval -m $clip --method surgery --metric deletion --text cat --among "@$folder/behind.npy" \
    --curves "$folder/behind.npy" $picture
refused "none.txt" eval -m $clip --method surgery --text cat --among "@$folder/none.txt" $picture

check "scenes asked for in words"
for language in en zh; do
    right eval -m $clip --scenes 2 --words $language --method legrad --metric pointing,follows --no-baselines --json
    out_has "\"words\":\{\"language\":\"$language\",\"there\":\{\"right\":[0-9]+,\"of\":3\},\"absent\":\{\"right\":[0-9]+,\"of\":53\},\"thing\":\{"
    out_has '"method":"legrad","one":\{"pointing"'
done
right eval -m $clip --scenes 2 --words zh --method legrad,gem --metric insertion --costly 1
out_has 'asked in words \(zh\), as "一颗星星"'
right eval -m $clip --scenes 2 --words en --method maskclip --among 'a star' --among 'a cat' --set smooth=1 --metric pointing
wrong "no texts to be told from are given" eval -m $clip --scenes 2 --words en --method maskclip --set smooth=1
for language in en zh; do
    things=(eval -m $clip --scenes 2 --words $language --method legrad,surgery --metric energy,follows --no-baselines --json)
    right "${things[@]}"
    mv "$out" "$folder/scenes.alone"
    right "${things[@]}" --among-things
    out_has '"words":.*,"among":27\}'
    # legrad compares no texts, so its maps are the same ones; and a map is one of its object still
    for method in legrad surgery; do
        grep "\"$method\"" "$folder/scenes.alone" | sed 's/,"ms".*//' > "$folder/first"
        grep "\"$method\"" "$out" | sed 's/,"ms".*//' > "$folder/second"
        cmp -s "$folder/first" "$folder/second"
        [ $? = "$([ $method = legrad ]; echo $?)" ] || fail "$method: $(cat "$folder/first" "$folder/second")"
    done
done
right eval -m $clip --scenes 2 --words en --method surgery --metric pointing --among-things
out_has 'as "a star", told from all other things$'
wrong "is for --words" eval -m $clip --scenes 2 --method surgery --among-things
wrong "is for --words" eval -m $clip --text cat --method surgery --among-things $picture
wrong "legrad compares no texts" eval -m $clip --scenes 2 --words en --method legrad --among-things
wrong "one of them" eval -m $clip --scenes 2 --words en --method surgery --among cat --among-things
right eval -m $clip --scenes 2 --words en --method maskclip --among-things --set smooth=1 --metric pointing
wrong "is for --scenes" eval -m $clip --words en --method legrad $picture
wrong "the model has classes" eval -m $model --scenes 2 --words en --method legrad
refused "--words en or zh" eval -m $clip --scenes 2 --method rollout

finish
