#!/bin/bash
# cli_cuda.sh: every command of vitx-cli on the device cuda, beside the cpu: classes, embeddings, maps of each kind of
# method, statistics, metrics, a page, times. The host twin (docs/cuda.md) is the plug-in in the place of a GPU's
# (test/plugin/twin.c), which ends the program at an operation that is given memory that no GPU reads.
. test/check.bash
: "${BUILD:=build/release}"
version=$("$program" --version | sed -n '1s/.* //p')
bin=$folder/bin
mkdir -p "$bin"
cp "$program" "$bin"
ln -s "$(realpath "$BUILD/plugin/libvitx-twin.so")" "$bin/libvitx-cuda.so.${version%%.*}"
program=$bin/vitx-cli

# both FILE COMMAND...: on each device; standard output as FILE.cpu, FILE.cuda. @ is the device's name.
both() {
    local file=$1 device
    shift
    for device in cpu cuda; do
        run "${@//@/$device}" --device "$device" --threads 1
        gives 0
        err_lines 0
        cp "$out" "$folder/$file.$device"
    done
}
# near LIMIT FILE FILE: arrays of floats, their numbers at most so far apart, in units of the largest.
near() {
    paste <(od -An -v -tf4 -w4 -j128 "$2") <(od -An -v -tf4 -w4 -j128 "$3") | awk -v limit="$1" '
        { far = $1 - $2; far = far < 0 ? -far : far; size = $1 < 0 ? -$1 : $1
          most = far > most ? far : most; largest = size > largest ? size : largest }
        END { exit !(NR > 0 && largest > 0 && most <= limit * largest) }' || fail "$2 and $3 differ"
}
# The same words where numbers may differ in their last digit: those of a table without its decimals.
same_words() {
    cmp -s <(sed 's/-\?[0-9.]*[0-9]//g' "$folder/$1.cpu") <(sed 's/-\?[0-9.]*[0-9]//g' "$folder/$1.cuda") ||
        fail "$(diff "$folder/$1.cpu" "$folder/$1.cuda" | head -n 4)"
}

check "the device is there"
run info
gives 0
out_has '^devices     cuda, cpu, ref$'
run info --device cuda
gives 0
out_has '^precisions  f32 .*bf16x3.*bf16.*f16'

for precision in f32 bf16x3 bf16 f16; do
    check "classes in $precision"
    run classify -m "$model" --top 1 --device cuda --precision $precision "$picture"
    gives 0
    out_has 'great white shark'
done

check "an embedding"
both vector embed -m $models/clip-hf -o "$folder/vector.@.npy" "$picture"
near 1e-4 "$folder/vector.cpu.npy" "$folder/vector.cuda.npy"

for method in rollout gradcam generic legrad smoothgrad integrated-gradients rise scorecam occlusion kernelshap; do
    check "a map by $method"
    set=()
    case $method in
        smoothgrad | rise | kernelshap) set=(--set n=60) ;;
        integrated-gradients) set=(--set steps=5) ;;
    esac
    both map explain -m "$model" --method $method "${set[@]}" -o "$folder/map.@.npy" "$picture"
    near 1e-3 "$folder/map.cpu.npy" "$folder/map.cuda.npy"
done

check "a page"
both page explain -m "$model" --method rollout,gradcam -o "$folder/why.@.html" "$picture"
[ "$(wc -c < "$folder/why.cuda.html")" -gt 100000 ] || fail "why.cuda.html is short"

check "statistics"
both table stats -m "$model" "$picture"
same_words table

check "metrics"
both table eval -m "$model" --method rollout "$picture"
same_words table

check "times"
run bench -m "$model" --device cuda --runs 1 --method rollout,gradcam
gives 0
out_has '^forward .* f32 '
out_has '^gradcam '

finish
