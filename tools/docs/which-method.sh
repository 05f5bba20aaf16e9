#!/bin/bash
# which-method.sh: makes the table of docs/which-method.md again, with the bundled model: between the lines
# scenes:begin and scenes:end. Some minutes on an idle machine; its times are of the machine that it runs on. Needs
# build/vitx-cli.
set -euo pipefail
cd "$(dirname "$0")/../.."
page=docs/which-method.md
command=(vitx-cli eval --scenes 100 --costly 5 --method all
    --set rise.n=1000 --set lime.n=500 --set kernelshap.n=500)
table=$(mktemp)
trap 'rm -f "$table"' EXIT

{
    echo '```'
    echo "\$ ${command[*]}"
    "build/${command[0]}" "${command[@]:1}" --quiet | sed 's/ *$//'
    echo '```'
} > "$table"
sed -i -e '/<!-- scenes:begin/,/<!-- scenes:end/{/<!-- scenes:/!d}' -e "/<!-- scenes:begin/r $table" $page
