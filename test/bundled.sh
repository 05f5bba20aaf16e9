#!/bin/bash
# bundled.sh: the bundled model says of the demo's pictures what docs/images/scenes/objects.txt says of
# them, and its maps point to different places for different objects. run.sh exports OUT.
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
object() { # object N PICTURE
    sed -n "s/^$2: *//p" $scenes/objects.txt | cut -d, -f"$1" | sed 's/^ *//'
}
answer() { # answer PICTURE: the top class's name
    "$OUT/vitx-cli" classify --top 1 "$scenes/$1" | sed -n '2s/^ *[^ ]*  *[^ ]*  *[^ ]*  //p'
}
# peak PICTURE OBJECT: "row column" of the largest value of its map on the grid
peak() {
    "$OUT/vitx-cli" explain --quiet --method gradcam --target "$2" -o "$folder/map.npy" "$scenes/$1" || return
    local columns
    columns=$(head -c 128 "$folder/map.npy" | LC_ALL=C sed -n "s/.*'shape': ([0-9]*, \([0-9]*\)).*/\1/p")
    od -An -v -t f4 -w4 -j 128 "$folder/map.npy" |
        awk -v w="$columns" 'NR == 1 || $1 > most { most = $1; at = NR - 1 } END { print int(at / w), at % w }'
}

one=$(object 1 one.png) first=$(object 1 two.png) second=$(object 2 two.png) wrong=$(object 1 wrong.png)
[ "$(answer one.png)" = "$one" ] || fail "one.png is $one, the model says $(answer one.png)"
[ -n "$(answer wrong.png)" ] || fail "no answer to wrong.png"
[ "$(answer wrong.png)" != "$wrong" ] || fail "wrong.png is answered rightly"
peaks="$(peak two.png "$first") $(peak two.png "$second")" # two pairs, in patches
[ "$(echo "$peaks" | awk 'NF == 4 { print (($1 - $3) ^ 2 + ($2 - $4) ^ 2 >= 9) }')" = 1 ] ||
    fail "two.png: the maps of $first and $second are largest at $peaks"
exit $failed
