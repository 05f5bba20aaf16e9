#!/bin/bash
# The committed inputs of the fuzz targets, among them what has once been found.
set -eu
for target in safetensors npz torch config image heif multipart; do
    [ -x "$BUILD/replay_$target" ] || [ $target != heif ] || continue # built without those libraries
    folders=()
    for folder in "test/fuzz/corpus/$target" "test/golden/$target" "test/golden/$target/kinds"; do
        [ -d "$folder" ] && folders+=("$folder")
    done
    echo "$target: $("$BUILD/replay_$target" "${folders[@]}" 2>&1)"
done
