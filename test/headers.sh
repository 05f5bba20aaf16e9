#!/bin/bash
# headers.sh: every public header compiles alone, as C11 and as C++11, without a warning. CC and
# CXX choose the compilers.
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
# shellcheck disable=SC2086
check vitx.hpp c++ ${CXX:-c++} -std=c++11
exit $failed
