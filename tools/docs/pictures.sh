#!/bin/bash
# pictures.sh MODEL: makes the pictures of docs/methods with the real DeiT-tiny, two for each method that follows a
# target: the cat, then the coffee; and those of README.md with the bundled model. docs/images/pair.jpg is put
# together from two pictures of scikit-image's data that are in the public domain (CC0): chelsea by Stefan van der
# Walt, coffee by Rachel Michetti. Needs build/vitx-cli.
set -euo pipefail
cd "$(dirname "$0")/../.."
model=${1:?usage: tools/docs/pictures.sh MODEL}
out=docs/methods/images
mkdir -p "$out"

explain() { # explain METHOD OUT [OPTION...]
    local method=$1 file=$2
    shift 2
    build/vitx-cli explain -m "$model" --fit squash --method "$method" -o "$file" --quiet "$@" docs/images/pair.jpg
}

build/vitx-cli methods --json | sed -n 's/.*"name":"\([^"]*\)".*"uses_target":\([a-z01]*\).*/\1 \2/p' |
    while read -r method follows; do
        few=() # samples enough for a picture; what it needs beside
        case $method in rise | kernelshap) few=(--set n=1000) ;; features) few=(--layout side) ;; esac
        case $follows in
            true | 1)
                explain "$method" "$out/$method.png" --target 285 "${few[@]}"
                explain "$method" "$out/$method.coffee.png" --target 967 "${few[@]}"
                ;;
            *) explain "$method" "$out/$method.png" "${few[@]}" ;;
        esac
    done

# README.md's, of the bundled model and the scenes of the demo.
bundled() { # bundled SCENE NAME OPTION...
    local scene=$1 name=$2
    shift 2
    build/vitx-cli explain --method hirescam --quiet -o "docs/images/demo.$name.png" "$@" "docs/images/scenes/$scene.png"
}
bundled wrong answer --target 'fir tree' --versus 'ice cream'
# ... and of the bundled pair
while read -r name text; do
    build/vitx-cli explain --method hirescam --quiet --text "$text" -o "docs/images/words.$name.png" docs/images/scenes/two.png
done <<< 'en a cactus
zh 一棵杉树'
