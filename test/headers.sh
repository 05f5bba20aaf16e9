#!/bin/bash
# headers.sh: every public header compiles alone, as C11 and as C++11, without a warning, and so
# does a program that uses every _INIT macro; vitx.hpp has every function; every other header
# compiles alone as C11, or as C++17 if it is of the kernels for GPUs. CC and CXX choose the compilers.
set -u
failed=0

check() { # check HEADER LANGUAGE COMPILER...
    local header=$1 language=$2
    shift 2
    # Twice: the guard is tested, too.
    printf '#include <vitx/%s>\n#include <vitx/%s>\n' "$header" "$header" |
        "$@" -x "$language" -Iinclude -Wall -Wextra -Wpedantic -Werror -fsyntax-only - || {
        printf '%s does not compile alone as %s\n' "$header" "$language"
        failed=1
    }
}

for path in include/vitx/*.h; do
    # shellcheck disable=SC2086
    check "$(basename "$path")" c ${CC:-cc} -std=c11
    # shellcheck disable=SC2086
    check "$(basename "$path")" c++ ${CXX:-c++} -std=c++11
done
for path in include/vitx/*.hpp; do
    # shellcheck disable=SC2086
    check "$(basename "$path")" c++ ${CXX:-c++} -std=c++11
done

# vitx.hpp stands before every function that can fail. Those without options have a form with them.
functions=$(sed -n 's/^VITX_API int \(vitx_[a-z_0-9]*\)(.*/\1/p' include/vitx/*.h)
[ "$(wc -w <<< "$functions")" -ge 70 ] || { echo "few functions were found: $functions"; failed=1; }
for name in $functions; do
    case $name in vitx_image_open | vitx_trace_bytes) continue ;; esac
    grep -q "\b$name(" include/vitx/*.hpp || { echo "vitx.hpp lacks $name"; failed=1; }
done

# VITX_MODEL_OPTS_INIT starts a vitx_model_opts.
macros=$(sed -n 's/^#define VITX_\([A-Z_]*\)_INIT .*/\1/p' include/vitx/*.h)
[ "$(wc -w <<< "$macros")" -ge 11 ] || { echo "few _INIT macros were found: $macros"; failed=1; }
program=$(
    printf '#include <vitx/vitx.h>\nint main(void)\n{\n'
    for macro in $macros; do
        printf 'vitx_%s x%s = VITX_%s_INIT;\nif (x%s.struct_size != sizeof(vitx_%s)) return 1;\n' \
            "${macro,,}" "$macro" "$macro" "$macro" "${macro,,}"
    done
    printf 'return 0;\n}\n'
)
strict="-Iinclude -Wall -Wextra -Wpedantic -Wshadow -Wmissing-field-initializers -Werror -fsyntax-only"
for standard in c11 c++11 c++17 c++20; do
    case $standard in c11) compiler="${CC:-cc} -x c" ;; *) compiler="${CXX:-c++} -x c++" ;; esac
    # shellcheck disable=SC2086
    $compiler -std=$standard $strict - <<< "$program" || {
        echo "the _INIT macros do not compile as $standard"
        failed=1
    }
done
# What is written once for every vector width gets one; a font's glyphs are of no use to another file.
# The kernels for GPUs are C++17.
for path in lib/*/*.h kernels/*.h kernels/*/*.h kernels/cuda/host/*.h tools/cli/*.h tools/cli/*/*.h; do
    case $path in
        */gpu_host.h) continue ;; # a part of gpu.h
        kernels/cuda/*) language="${CXX:-c++} -x c++ -std=c++17 -fno-exceptions -fno-rtti" ;;
        *) language="${CC:-cc} -x c -std=c11" ;;
    esac
    # shellcheck disable=SC2086
    said=$(printf '#include "%s"\n' "$path" |
        $language -Iinclude -Ilib -I. -DVX_ISA_NAME=any -DVX_VECTOR_BITS=128 -Wall -Wno-unused -Werror \
            -fsyntax-only - 2>&1) || {
        head -n 5 <<< "$said"
        printf '%s does not compile alone\n' "$path"
        failed=1
    }
done
exit $failed
