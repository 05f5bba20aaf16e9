#!/bin/bash
# Rules for the kernels of kernels/cuda that no compiler checks (kernels/cuda/gpu.h says why), and
# what nvcc said of them: a kernel that spills more than a few registers is too large.
set -u
bad=0
complain() { echo "$1"; bad=$((bad + 1)); }
shopt -s nullglob

# The kernels and their headers, without comments; gpu.h and runtime_cuda.cu may differ.
kernels=()
for file in kernels/cuda/*.cu kernels/cuda/*.h test/cuda/*.cu; do
    case $file in kernels/cuda/gpu.h | kernels/cuda/runtime.h | *_cuda.cu) continue ;; esac
    kernels+=("$file")
done
[ "${#kernels[@]}" -gt 3 ] || complain "only ${#kernels[@]} sources were found"

bare() { # file:line:text, without comments and strings
    awk '{ if (FNR == 1) inside = 0
           text = $0
           gsub(/"([^"\\]|\\.)*"/, "\"\"", text)
           while (1) {
               if (inside) {
                   end = index(text, "*/")
                   if (!end) { text = ""; break }
                   text = substr(text, end + 2); inside = 0
               }
               start = index(text, "/*")
               if (!start) break
               rest = substr(text, start + 2); end = index(rest, "*/")
               if (end) text = substr(text, 1, start - 1) " " substr(rest, end + 2)
               else { text = substr(text, 1, start - 1); inside = 1; break }
           }
           sub(/\/\/.*/, "", text)
           print FILENAME ":" FNR ":" text }' "$@"
}
never() { # never PATTERN WHY
    local found
    found=$(bare "${kernels[@]}" | grep -E "^[^:]+:[0-9]+:.*($1)") || return 0
    complain "$found"
    complain "^ $2"
}
never '__shared__' 'shared memory is the struct of vx_shared'
never '__activemask|__syncwarp\([^)V]|__match_|__reduce_' 'all lanes of a warp meet'
never '\bthreadIdx\b *=|\bwarpSize\b' 'a warp has VX_WARP lanes'
never '\basm\b' 'instructions are in gpu.h'
never '<<<' 'kernels are launched by VX_LAUNCH'
never '\batomic[A-Z]' 'integers alone are added by vx_atomic_add, so that a result is the same each time'
never '__expf|__logf|__powf|__sinf|__cosf|__fdividef|__frcp|__fsqrt|rsqrtf' 'there is a vx_ function, or a plain one'
never '#[[:space:]]*include[[:space:]]*<(cuda|cub|thrust|mma|iostream|vector|string|algorithm|cmath|type_traits)' \
    'gpu.h alone knows CUDA, and there is no library of C++'
never '\b(new|delete|throw|try|catch|std::)\b' 'C++ without its library'

# Where the twin and the GPU may differ is one header (and the runtimes of both).
if grep -nE '^[[:space:]]*#[[:space:]]*if.*(__CUDACC__|__CUDA_ARCH__)' "${kernels[@]}"; then
    complain "a kernel is the same on both sides"
fi

# What ptxas said, in the build at hand: bytes that a thread puts aside for want of registers. The
# kernels that multiply by instructions for matrices must do without.
most=64
hot='attend_strips|attend_tiles|query_grads|key_grads|grad_products|positive_means'
hot+='|fuse_heads|product_mma'
for file in "${BUILD:-.}"/cuda/kernels/cuda/*.ptxas; do
    awk -v file="$(basename "$file" .ptxas).cu" -v most="$most" -v hot="$hot" '
        /Function properties for|Compiling entry function/ { name = $0; sub(/.*(for|function) .?/, "", name)
                                                              sub(/. for .sm.*/, "", name) }
        / bytes spill stores/ && $5 + 0 > (name ~ hot ? 0 : most) {
            print file ": " name ": " $0; found = 1 }
        END { exit found }' "$file" || complain "^ registers are spilled"
done
[ "$bad" = 0 ]
