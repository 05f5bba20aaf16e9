#!/bin/bash
# bundled.sh: the bundled model knows the classes of vitx-scenes by their names, answers the demo's scenes
# as tools/docs/scenes.sh says, and its maps of a class lie on the pixels of that class's object and on
# those of no other. run.sh exports OUT.
set -u
: "${OUT:=build}"
scenes=docs/images/scenes
folder=$(mktemp -d) || exit 1
trap 'rm -rf "$folder"' EXIT
failed=0

fail() {
    printf 'bundled: %s\n' "$*"
    failed=1
}

# ---------------------------------------------------------------- names ----------------------
"$OUT/vitx-scenes" --classes > "$folder/classes" || fail "vitx-scenes --classes"
names() { # names LANGUAGE: "index<tab>name" of each class
    "$OUT/vitx-cli" classify --lang "$1" --top all $scenes/one.png |
        sed -n 's/^ *[^ ]*  *[^ ]*  *\([0-9]*\)  /\1\t/p' | sort -n
}
names en | cmp -s - <(cut -f 1,2 "$folder/classes") || fail "the classes of config.json are not those of vitx-scenes"
names zh | cmp -s - <(cut -f 1,3 "$folder/classes") || fail "the classes of labels.zh.txt are not those of vitx-scenes"

# ---------------------------------------------------------------- scenes ---------------------
tools/docs/scenes.sh "$folder/scenes" "$OUT/vitx-scenes" || fail "tools/docs/scenes.sh"
# PNG may be packed otherwise by another version of the library that packs it: pixels count. What is made
# of a picture on standard input does not name its file.
pixels() {
    "$OUT/vitx-cli" explain --quiet --method rollout --alpha 0 -o "$2" - < "$1"
}
for file in "$folder"/scenes/*; do
    name=${file##*/}
    if [ "$name" = objects.txt ]; then
        cmp -s "$file" $scenes/objects.txt || fail "objects.txt is not what tools/docs/scenes.sh writes"
    else
        pixels "$file" "$folder/new.png" || fail "$file"
        pixels "$scenes/$name" "$folder/old.png" || fail "$scenes/$name"
        cmp -s "$folder/new.png" "$folder/old.png" || fail "$name is not what tools/docs/scenes.sh draws"
    fi
done

# ---------------------------------------------------------------- answers --------------------
object() { # object N NAME
    sed -n "s/^$2.png: *//p" $scenes/objects.txt | cut -d, -f"$1" | sed 's/^ *//'
}
answer() { # answer NAME: the top class's name
    "$OUT/vitx-cli" classify --top 1 "$scenes/$1.png" | sed -n '2s/^ *[^ ]*  *[^ ]*  *[^ ]*  //p'
}
[ "$(answer one)" = "$(object 1 one)" ] || fail "one.png is $(object 1 one), the model says $(answer one)"
case $(answer wrong) in
    '') fail "no answer to wrong.png" ;;
    "$(object 1 wrong)") fail "wrong.png is answered rightly" ;;
esac

# ---------------------------------------------------------------- maps -----------------------
# points NAME TARGET MASK: 1.000 where the largest value of the map of TARGET lies on the object MASK
points() {
    "$OUT/vitx-cli" eval --no-baselines --method hirescam --metric pointing --target "$(object "$2" "$1")" \
        --mask "$scenes/$1.$3.png" "$scenes/$1.png" | sed -n 's/^hirescam  *//p'
}
[ "$(points one 1 1)" = 1.000 ] || fail "the map of one.png is not largest on its object"
for target in 1 2; do
    for mask in 1 2; do
        want=$([ $target = $mask ] && echo 1.000 || echo 0.000)
        [ "$(points two $target $mask)" = "$want" ] ||
            fail "two.png: on object $mask the map of $(object $target two) gives $(points two $target $mask), not $want"
    done
done
exit $failed
