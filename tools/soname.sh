#!/bin/sh
# soname.sh CC PACKAGE SYMBOL: the name under which the dynamic loader finds the shared library
# that `pkg-config --libs PACKAGE` gives, found by linking a program that uses SYMBOL.
set -u
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
printf 'void %s(void); int main(void) { %s(); return 0; }\n' "$3" "$3" > "$dir/probe.c"
# shellcheck disable=SC2046
$1 -w -o "$dir/probe" "$dir/probe.c" $(pkg-config --libs "$2") 2>/dev/null || exit 0
if command -v readelf >/dev/null; then
    readelf -d "$dir/probe" | sed -n 's/.*(NEEDED).*\[\(.*'"$2"'.*\)\].*/\1/p' | head -n 1
else
    otool -L "$dir/probe" | sed -n 's/^[[:space:]]*\([^ ]*'"$2"'[^ ]*\).*/\1/p' | head -n 1
fi
