#!/bin/bash
# cli_device.sh: vitx-cli's --device: the GPU's plug-in, where it is looked for, and what is said where it or the GPU is
# not there. A plug-in of the tests (test/plugin/fake.c), which is the device ref under the name cuda, takes its place.
. test/check.bash
: "${BUILD:=build/release}"
fake=$(realpath "$BUILD/plugin/libvitx-fake.so")
version=$("$program" --version | sed -n '1s/.* //p')
file=libvitx-cuda.so.${version%%.*}
installed=$(grep -azxE '/.+/vitx' "$program" | tr '\0' '\n' | grep -v '/share/vitx$' | head -n 1)
bin=$folder/home/bin lib=$folder/home/lib/vitx
mkdir -p "$bin/vitx" "$lib"
cp "$program" "$bin"
built=$program program=$bin/vitx-cli
classify=(classify -m "$model" --top 3 --threads 1)

# refused REASON: cuda gives status 1 and one line with the reason; auto is the cpu, and --verbose and info say why.
refused() {
    run "${classify[@]}" --device cuda $picture
    gives 1
    out_lines 0
    err_lines 1
    err_has "vitx-cli: device cuda: "
    err_has "$1"
    run "${classify[@]}" --device auto --verbose $picture
    gives 0
    err_has "info: cpu, f32"
    err_has "debug: device cuda: "
    err_has "$1"
    run info
    gives 0
    out_has "^devices     cpu, ref; cuda is not available: "
    grep -qF -- "$1" "$out" || fail "info does not say $1: $(head -n 2 "$out")"
}
# What else holds without the device.
refused_otherwise() {
    run "${classify[@]}" --device cuda --precision f32 $picture
    gives 1
    err_lines 1
    right "${classify[@]}" $picture
    right "${classify[@]}" --device auto $picture
    right info --json
    out_has '"devices":\["cpu","ref"\],"missing_devices":\{"cuda":"[^"]+"\}'
    run info --device cuda
    gives 1
    err_lines 1
    out_has '^precisions  none$'
}
# accepted KERNELS DEVICE...: it runs there
accepted() {
    local kernels=$1
    shift
    run "${classify[@]}" "$@" --verbose $picture
    gives 0
    err_has "info: cuda, f32, 1 threads: $kernels"
}

check "names of devices"
for name in gpu cud cudaa : CUDA; do
    wrong "no device \"$name\"; there are auto, cuda, cpu, ref" classify --device "$name" -m $model $picture
done
for name in cpu: cpu:x cuda:1x ref:0:0; do
    wrong "--device $name: a number comes behind the colon" classify --device "$name" -m $model $picture
done
for name in cpu:1 cpu:99999 auto:1; do
    run classify --device "$name" -m $model $picture
    gives 1
    out_lines 0
    err_lines 1
    err_has "$name"
done
right "${classify[@]}" --device cpu:0 $picture

check "no plug-in"
if [ -e "$installed/$file" ]; then
    echo "cli_device: skipped what is said without a plug-in: $installed/$file is there"
else
    refused "$file not found beside the library or in $installed"
    check "neither the working folder nor the environment counts"
    for place in . vitx lib; do
        mkdir -p "$folder/elsewhere/$place"
        cp "$fake" "$folder/elsewhere/$place/$file"
    done
    here=$PWD
    cd "$folder/elsewhere" || exit 1
    (exec -a "$folder/elsewhere/vitx-cli" env LD_LIBRARY_PATH="$folder/elsewhere" PWD="$folder/elsewhere" \
        PATH="$folder/elsewhere:$PATH" "$bin/vitx-cli" info) > "$out" 2> "$err"
    (export LD_LIBRARY_PATH=$folder/elsewhere && exec -a "$folder/elsewhere/vitx-cli" "$bin/vitx-cli" info) >> "$out" 2>> "$err"
    cd "$here" || exit 1
    [ "$(grep -c "cuda is not available: $file not found" "$out")" = 2 ] || fail "found: $(grep ^devices "$out")"
fi

check "places, one after the other"
cp "$fake" "$lib/$file"
accepted "fake 0" --device cuda
cp "$BUILD/plugin/libvitx-nothing.so" "$bin/vitx/$file"
refused "vitx/$file is no plug-in of vitx"
ln -s "to nothing" "$bin/$file"
refused "vitx/$file is no plug-in of vitx"
rm "$bin/$file"
cp $picture "$bin/$file"
refused "$bin/$file cannot be loaded: "
rm "$bin/$file"
mkdir "$bin/$file"
refused "$bin/$file cannot be loaded: "
rmdir "$bin/$file"
ln -s "$fake" "$bin/$file"
accepted "fake 0" --device cuda

check "what the plug-in says"
export FAKE_VERSION=other
refused "$bin/$file belongs to another version of vitx"
unset FAKE_VERSION
for FAKE_PROBE in "no NVIDIA driver" "the driver knows CUDA 12.4, this build needs 13.0" "libcuda.so is a stub" \
    "no GPU: no CUDA-capable device is detected" "Tesla T4 has compute capability 7.5, 8.0 is needed"; do
    export FAKE_PROBE
    refused "$FAKE_PROBE"
done
refused_otherwise
unset FAKE_PROBE
failing() { # what it says, arguments
    local says=$1
    shift
    run "$@"
    gives 1
    out_lines 0
    err_lines 1
    err_has "device cuda: $says"
}
export FAKE_MEMORY="2000000000 bytes, 70000 free of 9000000"
failing "$FAKE_MEMORY" "${classify[@]}" --device cuda $picture
failing "$FAKE_MEMORY" "${classify[@]}" --device auto $picture
unset FAKE_MEMORY

check "a GPU"
accepted "fake 0" --device cuda
accepted "fake 0" --device cuda:0
accepted "fake 1" --device cuda:1
accepted "fake 0" --device auto
run "${classify[@]}" --verbose $picture
gives 0
err_has "info: cpu, f32" # a GPU is taken only if it is asked for
run "${classify[@]}" --device cuda:2 $picture
gives 1
err_lines 1
err_has "device cuda:2: no GPU number 2: this machine has 2"
right info
out_has '^devices     cuda, cuda:1, cpu, ref$'
right info --json --device cuda
out_has '"devices":\["cuda","cuda:1","cpu","ref"\],"missing_devices":\{\},"precisions":\[\{"name":"f32","instructions":"cuda"'
wrong 'no precision "f8"' classify --device cuda --precision f8 -m $model $picture
for device in ref cuda; do
    right "${classify[@]}" --device $device --json $picture
    cp "$out" "$folder/$device.json"
    right explain -m $model --method rollout,gradcam --device $device --threads 1 -o "$folder/$device.{method}.npy" $picture
done
cmp -s "$folder/ref.json" "$folder/cuda.json" || fail "cuda's answers are not those of ref"
for method in rollout gradcam; do
    cmp -s "$folder/ref.$method.npy" "$folder/cuda.$method.npy" || fail "cuda's map of $method is not that of ref"
done

check "a program with the shared library"
mkdir "$folder/shared"
cp "$OUT/libvitx.so" "$folder/shared/libvitx.so.${version%%.*}"
cp "$fake" "$folder/shared/$file"
user=$(realpath "$BUILD/plugin_user")
shared() { # folder of the library, from $folder
    (cd "$folder" && FAKE_PROBE="no room" LD_LIBRARY_PATH=$1 "$user") > "$out" 2> "$err"
    status=$?
}
shared "$folder/shared"
[ "$status" != 0 ] || fail "the plug-in is not taken"
err_has "device cuda: no room"
if [ ! -e "$installed/$file" ]; then
    shared shared # no full path
    err_has "not found beside the library"
fi

# ---------------------------------------------------------------- what was built -------------
check "names of CUDA in the library"
nm -D "$OUT/libvitx.so" > "$folder/names" || fail "nm"
[ "$(wc -l < "$folder/names")" -gt 50 ] || fail "only $(wc -l < "$folder/names") names"
! grep -iE 'cuda|cublas| cu[A-Z]' "$folder/names" || fail "the library knows CUDA"
check "the plug-in that was built"
if [ ! -e "$OUT/$file" ]; then
    echo "cli_device: skipped the built plug-in: there is none"
else
    program=$built
    run "${classify[@]}" --device cuda $picture
    if [ "$status" != 0 ]; then
        gives 1
        err_lines 1
        err_has "vitx-cli: device cuda: "
        err_lacks "another version"
        err_lacks "cannot be loaded"
        run "${classify[@]}" $picture
        gives 0
    fi
fi

finish
