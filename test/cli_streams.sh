#!/bin/bash
# cli_streams.sh: vitx-cli with pictures on standard input and in pipes, and results on standard output.
. test/check.bash
cli=$program

# fed FILE ARGUMENT...: vitx-cli with FILE on standard input
fed() {
    local file=$1
    shift
    check "vitx-cli $* < $file"
    "$cli" "$@" < "$file" > "$out" 2> "$err"
    status=$?
}

# ---------------------------------------------------------------- pictures -------------------
right classify -m $model --json $picture
sed 's/^{"image":"[^"]*"/{"image":"-"/' "$out" > "$folder/expected"
fed $picture classify -m $model --json -
gives 0
err_lines 0
cmp -s "$out" "$folder/expected" || fail "another answer: $(cat "$out")"
check "a picture in a pipe"
# shellcheck disable=SC2002
cat $picture | "$cli" classify -m $model --json - > "$out" 2> "$err"
cmp -s "$out" "$folder/expected" || fail "another answer: $(cat "$out" "$err")"
check "/dev/stdin, as a file and as a pipe; a pipe with a name"
fed $picture classify -m $model --json /dev/stdin
gives 0
# shellcheck disable=SC2002
cat $picture | "$cli" classify -m $model --json /dev/stdin > "$out" 2> "$err"
sed -i 's/"-"/"\/dev\/stdin"/' "$folder/expected"
cmp -s "$out" "$folder/expected" || fail "another answer: $(cat "$out" "$err")"
mkfifo "$folder/fifo"
cat $picture > "$folder/fifo" &
right classify -m $model --top 1 "$folder/fifo"
check "an embedding of a pipe, the vector of another, a mask, a baseline"
fed $picture embed -m $models/clip-hf --json -
gives 0
fed $picture explain -m $models/clip-hf --method gradcam --like - -o "$folder/like.json" test/golden/image/410.jpg
gives 0
fed $picture explain -m $model --method integrated-gradients --set steps=2 --baseline - -o "$folder/base.json" $picture
gives 0
fed $picture stats -m $model -
gives 0
fed $picture eval -m $model --method rollout --metric sparseness -
gives 0
fed $picture eval -m $model --method rollout --metric energy --mask - $picture
gives 0
right explain -m $model --method rollout -o "$folder/{image}.json" $picture
fed $picture explain -m $model --method rollout -o "$folder/{image}.json" -
gives 0
exists "$folder/stdin.json"
[ "$(sed 's/.*"values"//' "$folder/stdin.json")" = "$(sed 's/.*"values"//' "$folder/picture.json")" ] || fail "another map"

check "standard input that is no picture, empty, or read already"
fed /dev/null classify -m $model -
gives 1
err_lines 1
err_has "vitx-cli: standard input: the file is empty"
fed test/check.bash classify -m $model -
gives 1
err_has "vitx-cli: standard input: not a picture"
fed $picture classify -m $model --json --top 1 - $picture -
gives 1
out_lines 2
err_lines 1
err_has "vitx-cli: standard input: was read already"
check "a closed standard input"
"$cli" classify -m $model - <&- > "$out" 2> "$err"
status=$?
gives 1
err_lines 1
err_has "vitx-cli: standard input: "
check "a file that is called -"
cp $picture "$folder/-"
cp $picture "$folder/x.png"
(cd "$folder" && "$OLDPWD/$cli" classify -m "$OLDPWD/$model" --top 1 ./- x.png > "$out" 2> "$err")
status=$?
gives 0
out_lines 4

# ---------------------------------------------------------------- results --------------------
x=(explain -m "$model" --method)
for format in png npy json; do
    right "${x[@]}" rollout -o "$folder/file.$format" $picture
    right "${x[@]}" rollout -o - --format $format $picture
    cmp -s "$out" "$folder/file.$format" || fail "another $format"
    right "${x[@]}" rollout -o "$folder/plain" --format $format $picture
    cmp -s "$folder/plain" "$folder/file.$format" || fail "another $format behind a name without ending"
done
fed $picture "${x[@]}" rollout -o - --format npy -
gives 0
cmp -s "$out" "$folder/file.npy" || fail "another map of a pipe"
right "${x[@]}" rollout --json $picture
cmp -s "$out" "$folder/file.json" || fail "--json is another json: $(cat "$out")"
right "${x[@]}" rollout,attention --json --target 1 --target hen $picture test/golden/image/410.jpg
out_lines 4
right "${x[@]}" rollout,generic --json --target 1 --target 2 -o "$folder/{method}.{target}.npy" $picture
out_lines 4
exists "$folder/generic.2.npy"
right "${x[@]}" rollout,attention -o - --format json $picture
out_lines 2
wrong "-o - needs --format" "${x[@]}" rollout -o - $picture
wrong "takes one npy, and there are 2" "${x[@]}" rollout,attention -o - --format npy $picture
wrong "takes one png, and there are 2" "${x[@]}" rollout -o - --format png $picture $picture
wrong "one of them" "${x[@]}" rollout -o - --format json --json $picture
wrong "no format" "${x[@]}" rollout -o - --format gif $picture
run "${x[@]}" rollout --json "$folder/nothing" $picture
gives 1
out_lines 1
err_lines 1
right embed -m $models/clip-hf -o "$folder/e.npy" $picture
right embed -m $models/clip-hf -o - $picture
cmp -s "$out" "$folder/e.npy" || fail "another vector"
right stats -m $model --json $picture
cp "$out" "$folder/stats"
right stats -m $model -o - --format json $picture
cmp -s "$out" "$folder/stats" || fail "other statistics"
right stats -m $model -o "$folder/stats.png" $picture
right stats -m $model -o - --format png $picture
cmp -s "$out" "$folder/stats.png" || fail "another heat map"
wrong "-o - needs --format" stats -m $model -o - $picture
if [ -e /dev/full ]; then
    check "a full disk"
    "$cli" "${x[@]}" rollout -o - --format png $picture > /dev/full 2> "$err"
    status=$?
    gives 1
    err_lines 1
    err_has "vitx-cli: standard output: "
    "$cli" "${x[@]}" rollout --json $picture $picture $picture > /dev/full 2> "$err"
    status=$?
    gives 1
    err_lines 1
fi

check "what made a map stands in its json and in its png"
cp -r $model "$folder/model of mine"
cp $picture "$folder/猫.png"
right explain -m "$folder/model of mine/" --method rollout --set discard=0.5 -o "$folder/made.png" --json "$folder/猫.png"
out_has '"model":"model of mine","settings":\{"fuse":"mean","discard":"0.5","start":"0","compat":"none"\},"flip":false,"channels":null,"mask":null,"version":"[0-9.]+","values":'
sed -e 's/,"values":.*/}/' -e 's/猫/\\u732b/' "$out" > "$folder/facts"
grep -ao '{"image":.*"version":"[^"]*"}' "$folder/made.png" | cmp -s - "$folder/facts" || fail "the png says something else"
right classify -m $model "$folder/made.png" # its checksums are right
right explain -m "$folder/model of mine/model.safetensors" --method attn-gradcam --json $picture
cp "$out" "$folder/plain"
right explain -m "$folder/model of mine/model.safetensors" --method attn-gradcam --json --flip $picture
out_has '"flip":true,'
[ "$(sed 's/.*"values"//' "$out")" != "$(sed 's/.*"values"//' "$folder/plain")" ] || fail "--flip changes no value"
right explain -m "$folder/model of mine/model.safetensors" --method attn-gradcam --json $picture
out_has '"model":"model of mine","settings":\{\},'

# ---------------------------------------------------------------- places ---------------------
check "outputs are looked at before the work"
slow=(explain -m "$model" --method rise --set n=1000000)
run "${slow[@]}" -o "$folder/missing/x.png" $picture
gives 1
err_lines 1
err_has "vitx-cli: $folder/missing/x.png: the folder $folder/missing: No such file or directory"
mkdir "$folder/folder.png"
run "${slow[@]}" -o "$folder/folder.png" $picture
gives 1
err_has "vitx-cli: $folder/folder.png: is a folder"
run "${slow[@]}" -o "/dev/null/{image}/x.png" $picture
gives 1
err_lines 1
run "${slow[@]}" -o "$folder/$(printf 'x%.0s' {1..260}).png" $picture
gives 1
err_lines 1
err_has "File name too long"
if [ "$(id -u)" != 0 ]; then
    mkdir -m 555 "$folder/closed"
    for name in closed/x.png "closed/{image}/x.png"; do
        run "${slow[@]}" -o "$folder/$name" $picture
        gives 1
        err_has "the folder $folder/closed: Permission denied"
    done
fi
run stats -m $model -o "$folder/missing/x.png" $picture
gives 1
out_lines 0
err_has "the folder $folder/missing: No such"
run embed -m $models/clip-hf -o "$folder/missing/x.npy" $picture
gives 1
err_has "the folder $folder/missing: No such"
run eval -m $model --method rollout --metric deletion --curves "$folder/folder.png" $picture
gives 1
out_lines 0
err_has "is a folder"
if [ -e /dev/full ]; then
    check "a disk that is full ends the work"
    for batch in 1 2; do
        mkdir -p "$folder/full"
        for i in 1 2 3 4 5; do
            cp $picture "$folder/$i.png"
            ln -sf /dev/full "$folder/full/$i.rollout.npy"
            ln -sf /dev/full "$folder/full/$i.attention.npy"
        done
        run "${x[@]}" rollout,attention --batch $batch -o "$folder/full/{image}.{method}.npy" "$folder"/[1-5].png
        gives 1
        out_lines 0
        err_lines 2
        err_has "vitx-cli: $folder/full/1.rollout.npy: No space left on device"
        err_has "vitx-cli: stopped: the maps of 5 of 5 pictures could not be written"
    done
fi

# ---------------------------------------------------------------- names ----------------------
check "pictures of one name in several folders"
mkdir -p "$folder/set/a" "$folder/set/b"
cp $picture "$folder/set/a/1.png"
cp $picture "$folder/set/b/1.png"
wrong "two maps would be written" "${x[@]}" rollout -o "$folder/maps/{image}.npy" "$folder"/set/*/1.png
right "${x[@]}" rollout -o "$folder/maps/{folder}/{image}.npy" "$folder"/set/*/1.png
exists "$folder/maps/a/1.npy"
exists "$folder/maps/b/1.npy"
(cd "$folder" && "$OLDPWD/$cli" "${x[@]:0:1}" -m "$OLDPWD/$model" --method rollout -o "maps/{folder}.{path}.npy" set/a/1.png ../"${folder##*/}"/./set/b/1.png 1.png) > "$out" 2> "$err"
status=$?
gives 0
exists "$folder/maps/a.set/a/1.npy"
exists "$folder/maps/b.${folder##*/}/set/b/1.npy"
exists "$folder/maps/..1.npy"

check "maps that are there already"
rm -r "$folder/maps"
right "${x[@]}" rollout -o "$folder/maps/{image}.npy" "$folder"/[12].png
touch -d 2001-01-01 "$folder"/maps/[12].npy
for batch in 1 3; do
    rm -f "$folder"/maps/*.attention.npy "$folder/maps/3.npy"
    right "${x[@]}" rollout --batch $batch --skip-existing -o "$folder/maps/{image}.npy" "$folder"/[123].png
    out_lines 1
    out_has "3.npy"
    [ "$folder/maps/1.npy" -ot $picture ] || fail "a map was made again"
done
right "${x[@]}" rollout --skip-existing -o "$folder/maps/{image}.npy" "$folder"/[123].png
out_lines 0
right "${x[@]}" rollout -o "$folder/some/{image}.{method}.npy" "$folder"/[12].png
right "${x[@]}" rollout,attention --batch 3 --skip-existing -o "$folder/some/{image}.{method}.npy" "$folder"/[123].png
out_lines 4
wrong "{target} of a top class" "${x[@]}" rollout --skip-existing -o "$folder/{image}.{target}.npy" $picture
right "${x[@]}" rollout --skip-existing --target 1 -o "$folder/{image}.{target}.npy" $picture

# ---------------------------------------------------------------- lists ----------------------
check "lists of pictures"
printf '%s\n\n%s\r\n' "$folder/1.png" "$folder/2.png" > "$folder/list"
printf '%s' "$folder/3.png" > "$folder/more"
run classify -m $model --json --top 1 "$folder/4.png" @"$folder/list" "$folder/5.png" @"$folder/more"
gives 0
err_lines 0
[ "$(grep -o '[1-5]\.png' "$out" | tr -d '\n')" = 4.png1.png2.png5.png3.png ] || fail "order: $(cat "$out")"
for command in "embed -m $models/clip-hf" "stats -m $model" "eval -m $model --method rollout --metric sparseness" "bench -m $model --runs 1" "${x[*]} rollout -o $folder/{image}.npy"; do
    # shellcheck disable=SC2086
    right $command @"$folder/list"
done
fed "$folder/list" classify -m $model --json @-
gives 0
out_lines 2
cp $picture "$folder/@1.png"
(cd "$folder" && "$OLDPWD/$cli" classify -m "$OLDPWD/$model" --json @1.png) > "$out" 2> "$err"
status=$?
gives 0
out_lines 1
run classify -m $model @"$folder/nothing"
gives 1
err_lines 1
err_has "vitx-cli: $folder/nothing: No such file"
run classify -m $model @"$folder"
gives 1
err_lines 1
run classify -m $model @$picture
gives 1
err_lines 1
err_has "no list of names"
: > "$folder/empty"
wrong "needs at least one picture" classify -m $model @"$folder/empty"

# ---------------------------------------------------------------- readers that go ------------
# gone ARGUMENT...: the reader of standard output goes at once: no word, death by SIGPIPE
gone() {
    check "${program##*/} $* | true"
    mkfifo "$folder/pipe"
    : < "$folder/pipe" &
    (sleep 0.3; exec "$program" "$@") > "$folder/pipe" 2> "$err"
    status=$?
    rm "$folder/pipe"
    gives 141
    err_lines 0
}
bash -c 'kill -PIPE $$'
if [ $? = 141 ]; then # else it is ignored, as in some services
    gone classify -m $model $picture
    gone explain -m $model --method rollout -o - --format npy $picture
    gone explain -m $model --method rollout -o - --format html $picture
    gone stats -m $model --json $picture
    gone methods
fi

# ---------------------------------------------------------------- methods --------------------
right explain -m $model --method all --set rise.n=2 --set lime.n=30 --set kernelshap.n=60 -o "$folder/all/{method}.npy" $picture
out_lines "$("$cli" methods --json | wc -l)"
wrong "two maps would be written" explain -m $model --method all -o "$folder/all.npy" $picture

check "a folder stands for its pictures, in order"
mkdir -p "$folder/tree/b/c" "$folder/tree/.hidden" "$folder/tree/empty"
for name in 2.png a.PNG b/c/1.jpg b/z.png .hidden/x.png .y.png; do
    cp $picture "$folder/tree/$name"
done
echo text > "$folder/tree/notes.txt"
ln -s .. "$folder/tree/b/up"
ln -s ../2.png "$folder/tree/b/link.png"
run classify -m $model --json --top 1 "$folder/5.png" "$folder/tree" "$folder/4.png"
gives 0
err_lines 0
[ "$(sed -E 's/^\{"image":"([^"]*)".*/\1/' "$out" | sed "s#^$folder/##" | tr '\n' ' ')" = \
    "5.png tree/2.png tree/a.PNG tree/b/c/1.jpg tree/b/link.png tree/b/z.png 4.png " ] ||
    fail "order: $(cat "$out")"
echo "$folder/tree/" > "$folder/list"
run classify -m $model --json --top 1 @"$folder/list"
gives 0
out_lines 5
right "${x[@]}" rollout --quiet -o "$folder/maps/{path}.npy" "$folder/tree"
[ "$(find "$folder/maps" -path '*/tree/*' -name '*.npy' | wc -l)" = 5 ] ||
    fail "files: $(find "$folder/maps")"
run classify -m $model "$folder/tree/empty" "$folder/5.png"
gives 1
out_lines 0
err_lines 1
err_has "holds no pictures"
deep=$folder/deep
for i in $(seq 70); do deep=$deep/d; done
mkdir -p "$deep"
run classify -m $model "$folder/deep"
gives 1
err_lines 1
err_has "more than 64 folders in each other"

check "a folder that cannot be read does not cost the others"
cp -r "$folder/deep" "$folder/tree/b"
cant="more than 64 folders in each other"
if [ "$(id -u)" != 0 ]; then # root reads everything
    mkdir -m 000 "$folder/tree/a"
    mkdir "$folder/tree/c"
    cp $picture "$folder/tree/c"
    chmod 444 "$folder/tree/c" # its names can be read, and no more
    cant="Permission denied"
fi
run classify -m $model --json --top 1 "$folder/tree" "$folder/4.png"
gives 1
out_lines 6
err_has "$cant"
err_lines $([ "$(id -u)" = 0 ] && echo 1 || echo 3)
cp "$out" "$folder/answers"
run classify -m $model --json --top 1 "$folder/4.png" @"$folder/list"
gives 1
[ "$(sort "$out")" = "$(sort "$folder/answers")" ] || fail "a list: $(cat "$out")"
clip=$models/clip-hf # answers with an embedding
for command in "embed -m $clip" "explain --quiet -m $model --method rollout --json" "stats -m $model" \
    "eval -m $model --method rollout --metric deletion"; do
    # shellcheck disable=SC2086 # words
    run $command "$folder/tree"
    gives 1
    err_has "$cant"
    [ -s "$out" ] || fail "nothing of the other pictures: $command"
done
run embed -m $clip -o "$folder/tree.npy" "$folder/tree"
gives 1
err_has "not written, since not all pictures could be run"
[ ! -e "$folder/tree.npy" ] || fail "embeddings that lack some pictures'"
run batch --quiet -m $model --out "$folder/batch" "$folder/tree"
gives 1
[ "$(wc -l < "$folder/batch/00000.predictions.jsonl")" -ge 5 ] || fail "not the other pictures"
grep -qF "$cant" "$folder/batch/failed.jsonl" || fail "failed.jsonl: $(cat "$folder/batch/failed.jsonl")"
[ "$(id -u)" = 0 ] || chmod 755 "$folder/tree/a" "$folder/tree/c"

finish
