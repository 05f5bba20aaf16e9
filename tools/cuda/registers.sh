#!/bin/bash
# registers.sh [BUILD]: what ptxas said of each kernel in the plug-in's build, as the table of
# docs/cuda.md: registers of its forms, least to most, and the most bytes that a thread puts aside.
set -eu
cd "$(dirname "$0")/../.."
build=${1:-build/release}
echo '| kernel | forms | registers on sm_80 | on sm_90 | spilled, bytes |'
echo '|---|---|---|---|---|'
cat "$build"/cuda/kernels/cuda/*.ptxas | c++filt | awk '
    /Compiling entry function/ {
        target = $0; sub(/.* for /, "", target); gsub(/[^a-z0-9_]/, "", target)
        name = $0; sub(/.*entry function ./, "", name); sub(/. for .sm.*/, "", name)
        # A kernel that is a loop is named by what it does in the loop.
        if (name ~ /vx_over_/) sub(/.*vx_over_[a-z]+</, "", name)
        gsub(/\(anonymous namespace\)::|_GLOBAL__N__[0-9a-f]+_[a-z_0-9]+::/, "", name)
        sub(/^[0-9]+, /, "", name); sub(/^void /, "", name); sub(/[<>(].*/, "", name)
    }
    / bytes spill stores/ { spilled = $5 }
    / Used [0-9]+ registers/ {
        match($0, /Used [0-9]+/); used = substr($0, RSTART + 5, RLENGTH - 5) + 0
        key = name " " target
        if (!(key in most) || used < least[key]) least[key] = used
        if (used > most[key]) most[key] = used
        if (spilled + 0 > worst[name] + 0) worst[name] = spilled
        names[name] = 1
        forms[key]++
    }
    function range(key) {
        return !(key in most) ? "-" : least[key] == most[key] ? most[key] : least[key] " to " most[key]
    }
    END {
        for (name in names)
            printf "| %s | %d | %s | %s | %d |\n", name, forms[name " sm_80"], range(name " sm_80"),
                range(name " sm_90"), worst[name]
    }' | sort
