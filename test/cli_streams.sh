#!/bin/bash
# cli_streams.sh: vitx-cli with pictures on standard input and in pipes.
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

finish
