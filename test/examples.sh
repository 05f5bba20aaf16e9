#!/bin/bash
# examples.sh: the C and the C++ example say and write what vitx-cli does, and vitx.hpp gives what the C
# functions give. run.sh exports OUT (the
# products) and BUILD (the examples).
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
        cmp "$folder/want.$ending" "$folder/got.$ending" || fail "$example writes another .$ending"
    done
    # A failure is told, and the exit status says so.
    if "$BUILD/$example" $model "$folder/missing.png" "$folder/x.png" > "$folder/got" 2> "$folder/error"; then
        fail "$example succeeds without a picture"
    fi
    grep -q missing.png "$folder/error" || fail "$example does not name the missing picture"
done
"$BUILD/face" || fail "vitx.hpp is not what the C functions are"
exit $failed
