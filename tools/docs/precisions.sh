#!/bin/bash
# precisions.sh MODEL PICTURE...: makes the table of docs/numerics.md again, between the lines precisions:begin and
# precisions:end: what every precision does to logits and maps, beside f32. Some minutes. Needs build/vitx-cli (or
# the program VITX) and Python 3, which compares.
set -euo pipefail
model=$(realpath "${1:?usage: tools/docs/precisions.sh MODEL PICTURE...}")
shift
mapfile -t pictures < <(realpath "$@")
cd "$(dirname "$0")/../.."
page=docs/numerics.md
program=${VITX:-build/vitx-cli}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
# Fewer samples than their defaults: the same masks for every precision.
few=(--set rise.n=250 --set lime.n=250 --set kernelshap.n=400)
methods=$("$program" methods --json | sed -n 's/.*"name":"\([^"]*\)".*/\1/p' | paste -sd,)
# Methods that take a forward pass for each sample or channel: on the first picture alone.
costly=scorecam,ablationcam,occlusion,rise,lime,kernelshap,smoothgrad,integrated-gradients
cheap=$(tr , '\n' <<< "$methods" | grep -vxF "$(tr , '\n' <<< "$costly")" | paste -sd,)

for precision in f32 bf16x3 bf16 int8; do
    run=(-m "$model" --fit squash --quiet --precision "$precision")
    "$program" classify "${run[@]}" --json --top 1000 "${pictures[@]}" > "$folder/$precision.jsonl"
    # f32's best class for all, so that all explain the same.
    for i in "${!pictures[@]}"; do
        target=$(sed -n "$((i + 1))s/[^[]*\\[{\"index\":\\([0-9]*\\).*/\\1/p" "$folder/f32.jsonl")
        list=$cheap samples=()
        [ "$i" -ge 1 ] || list=$methods samples=("${few[@]}")
        "$program" explain "${run[@]}" --method "$list" --target "$target" "${samples[@]}" \
            -o "$folder/$precision/$i.{method}.npy" "${pictures[i]}"
    done
done

table=$(mktemp)
trap 'rm -rf "$folder" "$table"' EXIT
python3 tools/docs/precisions.py "$folder" > "$table"
sed -i -e '/<!-- precisions:begin/,/<!-- precisions:end/{/<!-- precisions:/!d}' -e "/<!-- precisions:begin/r $table" $page
