#!/bin/bash
# prove.sh [OUT]: what only a GPU can show, in at most 8 minutes, into the folder OUT (build/prove):
#
#   1. the plug-in is built, and with it vitx and the tests, if what they need is on this machine;
#      if it is not, those that lie in build/ already are used (made on another machine of its kind)
#   2. the tests of the device on the GPU in place of its host twin
#   3. compute-sanitizer over the smaller of them: memcheck and racecheck
#   4. a table: vitx beside PyTorch on the same GPU, and both as a share of what a matrix product and
#      a copy reach there
#
# Needs nvcc, compute-sanitizer, and a python3 with PyTorch and timm; no network. A step that fails
# or runs out of its time is said, and the next one begins; then the exit status is 1.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
# A step is this script again, so that `timeout` can end it.
only=
[ "${1:-}" = --step ] && { only=$2 OUT=$3 && shift 3; }
[ -n "$only" ] || OUT=${1:-build/prove}
MAJOR=$(sed -n 's/^.define VITX_VERSION "\([0-9]*\).*/\1/p' include/vitx/base.h)
PLUGIN=build/libvitx-cuda.so.$MAJOR
TESTS=(test_cuda test_cuda_small test_cuda_attention test_cuda_lists test_cuda_passes
    test_cuda_library test_kernels)
MODELS=(vit_base_patch16_224 vit_large_patch16_224 vit_small_patch14_dinov2)
failed=0

# step NAME SECONDS FUNCTION [ARGUMENT...]
step() {
    local name=$1 seconds=$2 start=$SECONDS
    shift 2
    echo "== $name"
    timeout "$seconds" bash "$0" --step "$1" "$OUT" "${@:2}"
    local code=$?
    case $code in
        0) echo "   done in $((SECONDS - start)) s" ;;
        124) echo "   FAILED: more than $seconds s" ;;
        *) echo "   FAILED with status $code after $((SECONDS - start)) s" ;;
    esac
    [ "$code" = 0 ] || failed=1
}

build() {
    if [ -z "$(tools/install-deps.sh --missing)" ]; then
        make -j"$(nproc)" all "${TESTS[@]/#/build/release/}"
    elif [ -x build/release/test_cuda ]; then
        echo "not here: $(tools/install-deps.sh --missing); build/ is used as it is"
        [ -e "$PLUGIN" ]
    else
        echo "not here: $(tools/install-deps.sh --missing), and build/ is empty"
        return 1
    fi &&
        cc -std=c11 -D_POSIX_C_SOURCE=200809L -O2 -Iinclude -o build/clock tools/cuda/clock.c \
            -Lbuild -lvitx -lm -Wl,-rpath,"$PWD/build"
}

on_gpu() {
    local code=0 test
    for test in "${TESTS[@]}"; do
        CK_FORK=no VX_TEST_CUDA=$PLUGIN "build/release/$test" >"$OUT/$test" 2>&1 || code=1
        tail -n 1 "$OUT/$test"
    done
    return "$code"
}

# The whole of one test program at the speed of the sanitizer takes minutes: the small ones.
sanitize() {
    local code=0 tool test
    for tool in memcheck racecheck synccheck; do
        for test in test_cuda_small test_cuda_attention; do
            CK_FORK=no VX_TEST_CUDA=$PLUGIN timeout 45 compute-sanitizer --tool "$tool" --error-exitcode 9 \
                "build/release/$test" >"$OUT/$tool.$test" 2>&1
            case $? in
                0) echo "$tool $test: nothing" ;;
                124) echo "$tool $test: nothing in 45 s" ;;
                *) code=1 && echo "$tool $test: see $OUT/$tool.$test" ;;
            esac
        done
    done
    return "$code"
}

peers() {
    python3 tools/cuda/peers.py "$@" >>"$OUT/figures.jsonl"
}

# vitx's rows: forward passes by clock, maps by the command line.
figures() {
    local model=$1 batch precision what
    python3 tools/cuda/peers.py --save "$OUT/$model" "$model" || return 1
    for batch in 1 8 256; do
        for precision in f32 bf16x3 bf16; do
            for what in "" all fused; do
                # shellcheck disable=SC2086 # no word if there is none
                build/clock "$OUT/$model" cuda "$precision" "$batch" 0.5 $what |
                    sed "s/{/{\"peer\":\"vitx\",\"model\":\"$model\",/" >>"$OUT/figures.jsonl"
            done
        done
    done
    for batch in 1 8; do
        build/vitx-cli bench -m "$OUT/$model" --device cuda --precision f32,bf16 --batch "$batch" --seconds 0.5 \
            --method rollout,gradcam,generic --json |
            sed "s/{/{\"peer\":\"vitx\",\"model\":\"$model\",/" >>"$OUT/figures.jsonl"
    done
}

slow_maps() {
    local model=${MODELS[0]}
    build/vitx-cli bench -m "$OUT/$model" --device cuda --precision bf16 --batch 1 --runs 3 --json \
        --method integrated-gradients,rise --set steps=50 --set n=1000 |
        sed "s/{/{\"peer\":\"vitx\",\"model\":\"$model\",/" >>"$OUT/figures.jsonl"
}

table() {
    python3 tools/cuda/table.py "$OUT/figures.jsonl"
}

if [ -n "$only" ]; then
    "$only" "$@"
    exit
fi
mkdir -p "$OUT" && : >"$OUT/figures.jsonl" || exit 1
exec > >(tee "$OUT/log") 2>&1
nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader || failed=1
step "build" 120 build
step "tests on the GPU" 100 on_gpu
step "compute-sanitizer" 100 sanitize
for model in "${MODELS[@]}"; do
    step "vitx, $model" 40 figures "$model"
done
step "vitx, many passes" 20 slow_maps
step "PyTorch" 60 peers --seconds 0.5 --methods forward,recorded,rollout,gradcam,generic "${MODELS[@]}"
step "PyTorch, many passes" 30 peers --seconds 0.5 --precision bf16 --methods ig50,rise1000 "${MODELS[0]}"
step "torch.compile" 90 peers --seconds 0.5 --precision bf16 --batch 1,256 --methods compiled "${MODELS[0]}"
step "table" 10 table
exit $failed
