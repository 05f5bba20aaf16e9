#!/bin/bash
# No line of the sources is longer than 100 characters. Tables of data made by a script are no text
# for people.
set -u
long=$(find include lib kernels tools/cli tools/scenes tools/bench tools/embed test docs/examples \
    '(' -name '*.[ch]' -o -name '*.[ch]pp' -o -name '*.cu' -o -name '*.def' -o -name '*.css' -o -name '*.js' -o -name '*.html' ')' \
    ! -name '*_data.h' ! -name font.h -exec env LC_ALL=C.UTF-8 grep -HnE '.{101}' {} + |
    cut -d: -f1,2)
[ -z "$long" ] && exit
while read -r line; do
    echo "$line: longer than 100 characters"
done <<<"$long"
exit 1
