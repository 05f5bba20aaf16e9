#!/bin/bash
# scenes.sh [OUT [VITX_SCENES]]: draws the scenes of the demo: NAME.png, NAME.K.png with the pixels of its
# Kth object, and objects.txt with a line "NAME.png: OBJECT, OBJECT" for each. Default: docs/images/scenes,
# build/vitx-scenes. test/bundled.sh holds the bundled model to them.
set -euo pipefail
out=${1:-docs/images/scenes} program=${2:-build/vitx-scenes}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

draw() { # draw NAME OPTION...
    local name=$1 picture
    shift
    rm -f "$folder"/*
    "$program" "$@" --count 1 --out "$folder"
    picture=$(sed 's/{"image":"\([^"]*\)\.png".*/\1/' "$folder/scenes.jsonl")
    for file in "$folder/$picture".*; do
        cp "$file" "$out/$name${file#"$folder/$picture"}"
    done
    printf '%s.png: %s\n' "$name" \
        "$(grep -o '"label":"[^"]*"' "$folder/scenes.jsonl" | cut -d'"' -f4 | paste -sd, | sed 's/,/, /g')" >> "$out/objects.txt"
}

mkdir -p "$out"
: > "$out/objects.txt"
# Seed 7 was not trained on.
draw one --seed 7 --first 35 --objects 1    # one object
draw two --seed 7 --first 5 --objects 2     # two
draw wrong --seed 7 --first 790 --objects 1 # one that the model takes for another
