#!/bin/bash
# examples.sh: the C and C++ examples say and write what vitx-cli does, and vitx.hpp gives what the C
# functions give. run.sh exports OUT (the products) and BUILD (the examples).
set -u
: "${OUT:=build}" "${BUILD:=build/release}"
model=test/golden/models/vit-timm picture=test/golden/models/picture.png
folder=$(mktemp -d) || exit 1
trap 'rm -rf "$folder"' EXIT
failed=0

fail() {
    printf 'examples: %s\n' "$*"
    failed=1
}

# A file; of a png what follows its text, in which vitx-cli names the picture's file, too.
data() {
    local at=0
    [[ $1 == *.png ]] && at=$(LC_ALL=C grep -abo -m 1 IDAT "$1" | head -n 1 | cut -d: -f1)
    tail -c +"$((at + 1))" "$1"
}

# vitx-cli's table without the picture's name and without the blanks that align it
"$OUT/vitx-cli" classify -m $model --top 5 $picture > "$folder/table" || fail "vitx-cli classify failed"
sed -e 1d -e 's/^ *//' "$folder/table" > "$folder/want"
[ "$(wc -l < "$folder/want")" = 5 ] || fail "vitx-cli did not print five classes"

for example in example_c example_cpp; do
    for ending in png npy; do
        "$OUT/vitx-cli" explain --quiet -m $model --method rollout -o "$folder/want.$ending" $picture ||
            fail "vitx-cli explain failed"
        "$BUILD/$example" $model $picture "$folder/got.$ending" > "$folder/got" || fail "$example failed"
        diff "$folder/want" "$folder/got" || fail "$example prints something else than vitx-cli"
        cmp <(data "$folder/want.$ending") <(data "$folder/got.$ending") || fail "$example writes another .$ending"
    done
    # A failure is told, and the exit status says so.
    if "$BUILD/$example" $model "$folder/missing.png" "$folder/x.png" > "$folder/got" 2> "$folder/error"; then
        fail "$example succeeds without a picture"
    fi
    grep -q missing.png "$folder/error" || fail "$example does not name the missing picture"
done
# The page of vitx-cli is the same but for the classes without a map, the title and the command.
page() { tr '\n' ' ' < "$1" | sed -e 's/"title":.*"model":/"model":/' -e 's/,"absent":\[.*\]}<.script>/}/' -e 's/<title>[^<]*//'; }
"$BUILD/example_report" $model "$folder/got.html" $picture $picture > "$folder/got" || fail "example_report failed"
grep -qx "$folder/got.html: 2 pictures, $(wc -c < "$folder/got.html") bytes, attention: all" "$folder/got" ||
    fail "example_report prints $(cat "$folder/got")"
"$OUT/vitx-cli" explain --quiet -m $model --method generic,rollout --embed-budget 8 --title "Cats and dogs" \
    -o "$folder/want.html" $picture $picture || fail "vitx-cli explain failed"
cmp <(page "$folder/want.html") <(page "$folder/got.html") || fail "example_report writes another page"
if "$BUILD/example_report" $model "$folder/got.html" "$folder/missing.png" > "$folder/got" 2> "$folder/error"; then
    fail "example_report succeeds without a picture"
fi
grep -q missing.png "$folder/error" || fail "example_report does not name the missing picture"
# Labels that are texts, and the words of the best one.
pair=test/golden/words/chinese-clip view=test/golden/texts/picture.png
"$OUT/vitx-cli" classify -m $pair --label 'a photo of a cat' --label 一张狗的照片。 $view > "$folder/table" || fail "vitx-cli classify failed"
sed -e 1d -e 's/^ *//' "$folder/table" > "$folder/want"
"$BUILD/example_words" $pair $view 'a photo of a cat' 一张狗的照片。 > "$folder/got" || fail "example_words failed"
cmp <(head -n 2 "$folder/got") "$folder/want" || fail "example_words prints something else than vitx-cli"
[ "$(sed -e 1,2d -e 's/^[-+][0-9.]*  //' "$folder/got" | tr -d '\n')" = 一张狗的照片。 ] ||
    fail "example_words prints other words: $(cat "$folder/got")"
if "$BUILD/example_words" $model $view cat > "$folder/got" 2> "$folder/error"; then
    fail "example_words succeeds with a model of classes"
fi
grep -q "classes of its own" "$folder/error" || fail "example_words does not say why"
"$BUILD/face" "$folder" || fail "vitx.hpp is not what the C functions are"
exit $failed
