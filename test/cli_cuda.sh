#!/bin/bash
# cli_cuda.sh: every command of vitx-cli on the device cuda, beside the cpu: classes, embeddings,
# maps of each kind of method, statistics, metrics, a page, times. The host twin (docs/cuda.md) is
# the plug-in in the place of a GPU's (test/plugin/twin.c), which ends the program at an operation
# that is given memory that no GPU reads.
. test/check.bash
: "${BUILD:=build/release}"
version=$("$program" --version | sed -n '1s/.* //p')
bin=$folder/bin
mkdir -p "$bin"
cp "$program" "$bin"
ln -s "$(realpath "$BUILD/plugin/libvitx-twin.so")" "$bin/libvitx-cuda.so.${version%%.*}"
program=$bin/vitx-cli

# both FILE COMMAND...: on each device; standard output as FILE.cpu, FILE.cuda. @ is the device.
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
# near LIMIT FILE FILE: arrays of floats, at most so far apart, in units of the largest.
near() {
    paste <(od -An -v -tf4 -w4 -j128 "$2") <(od -An -v -tf4 -w4 -j128 "$3") | awk -v limit="$1" '
        { far = $1 - $2; far = far < 0 ? -far : far; size = $1 < 0 ? -$1 : $1
          most = far > most ? far : most; largest = size > largest ? size : largest }
        END { exit !(NR > 0 && largest > 0 && most <= limit * largest) }' || fail "$2 and $3 differ"
}
# same NAME: tables with the same words, and numbers at most two of their last digits apart.
same() {
    paste -d '\n' <(tr -s ' ' '\n' < "$folder/$1.cpu") <(tr -s ' ' '\n' < "$folder/$1.cuda") |
        awk '
        BEGIN { number = "^[-+]?[0-9]+([.][0-9]+)?$" }
        function digits(x) { return x ~ /\./ ? length(x) - index(x, ".") : 0 }
        NR % 2 { cpu = $0; next }
        cpu == $0 { same += cpu ~ /[0-9]/; next }
        cpu !~ number || $0 !~ number { print cpu, $0; exit bad = 1 }
        { far = cpu - $0; far = far < 0 ? -far : far
          if (far > 2.01 / 10 ^ digits(cpu)) { print cpu, $0; exit bad = 1 } }
        END { exit bad || !same }' > "$folder/differ" || fail "$1: $(cat "$folder/differ")"
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

for method in rollout gradcam generic legrad smoothgrad integrated-gradients rise scorecam \
    occlusion kernelshap; do
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
cpu=$(wc -c < "$folder/why.cpu.html") cuda=$(wc -c < "$folder/why.cuda.html")
far=$((100 * (cuda > cpu ? cuda - cpu : cpu - cuda)))
[ "$far" -lt "$cpu" ] || fail "the page has $cuda bytes, that of the cpu $cpu"

check "statistics"
both table stats -m "$model" "$picture"
same table

check "metrics"
both table eval -m "$model" --method rollout "$picture"
same table

check "times"
run bench -m "$model" --device cuda --runs 1 --method rollout,gradcam
gives 0
out_has '^forward .* f32 '
out_has '^gradcam '

# Of a batch that runs together each picture gets its own results, though one of them is none.
check batch
mkdir "$folder/many"
for i in 1 2 4 5; do
    cp "$picture" "$folder/many/$i.png"
done
cp docs/images/scenes/one.png "$folder/many/5.png"
printf 'no picture' > "$folder/many/3.png"
for size in 1 3; do
    run batch -m $model --device cuda --batch $size --quiet --method rollout --name '{path}.{method}.npy' \
        --out "$folder/batch.$size" "$folder/many"
    gives 1
    [ "$(wc -l < "$folder/batch.$size/failed.jsonl")" = 1 ] || fail "$(cat "$folder/batch.$size/failed.jsonl")"
done
for map in $(cd "$folder/batch.1" && find maps -name '*.npy'); do
    near 1e-5 "$folder/batch.1/$map" "$folder/batch.3/$map"
done
[ "$(find "$folder/batch.3/maps" -name '*.npy' | wc -l)" = 4 ] || fail "$(find "$folder/batch.3")"
finish
