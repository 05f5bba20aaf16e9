#!/bin/bash
# which-method.sh: makes the tables of docs/which-method.md again, with the bundled model: between the lines
# scenes:begin and scenes:end. Some minutes on an idle machine; its times are of the machine that it runs on. Needs
# build/vitx-cli.
set -euo pipefail
cd "$(dirname "$0")/../.."
page=docs/which-method.md
tables=$(mktemp)
trap 'rm -f "$tables"' EXIT

show() { # show ARGUMENT...: a command and its output
    printf '$ vitx-cli %s\n' "$*"
    build/vitx-cli "$@" --quiet | sed 's/ *$//'
}
{
    echo '```'
    show eval --scenes 100 --costly 5 --method all --set rise.n=1000 --set lime.n=500 --set kernelshap.n=500
    echo
    show eval --scenes 100 --score probability --no-baselines --metric pointing,energy,iou,roc,follows \
        --method grad-rollout,generic,legrad,gradcam,gradcam++,hirescam,saliency
    echo '```'
} > "$tables"
sed -i -e '/<!-- scenes:begin/,/<!-- scenes:end/{/<!-- scenes:/!d}' -e "/<!-- scenes:begin/r $tables" $page
