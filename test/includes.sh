#!/bin/bash
# Includes go one way: tools -> include/vitx <- lib -> kernels, and inside lib
# base <- image, text <- model <- engine <- words <- explain <- measure <- render <- report. A folder may include itself and the
# folders listed for it here, nothing else.
set -u
declare -A may=(
    [kernels]="kernels"
    [lib/base]="vitx base kernels"
    [lib/image]="vitx base image kernels"
    [lib/text]="vitx base text"
    [lib/model]="vitx base text model kernels"
    [lib/engine]="vitx base image text model engine kernels"
    [lib/words]="vitx base text model engine words kernels"
    [lib/explain]="vitx base image model engine words explain kernels"
    [lib/measure]="vitx base image model engine explain measure kernels"
    [lib/render]="vitx base image model engine explain measure render"
    [lib/report]="vitx base image model engine explain measure render report kernels"
    [tools]="vitx tools"
    [include/vitx]="vitx"
)
# The libraries that few files may know.
declare -A only=([stb_image.h]=lib/image/stb.c [stb_image_write.h]="tools/scenes/png.c lib/report/jpeg.c tools/cli/batch/jpeg.c"
    [cJSON.h]="lib/base/json.c tools/cli/json.c" [png.h]=lib/render/png.c
    [utf8proc.h]=lib/text/unicode.c
    [sha2.h]="lib/base/sha256.c tools/embed/embed.c tools/cli/digest.c"
    [archive.h]=tools/cli/batch/archive.c [microhttpd.h]=tools/cli/serve/http.c)
bad=0 seen=0
complain() { echo "$1"; bad=$((bad + 1)); }

while IFS=: read -r file line text; do
    seen=$((seen + 1))
    name=$(sed -E 's/.*[<"]([^>"]+)[>"].*/\1/' <<< "$text")
    base=${name##*/}
    [ -n "${only[$base]:-}" ] && [ ! -e "${file%/*}/$name" ] && [[ " ${only[$base]} " != *" $file "* ]] &&
        complain "$file:$line: $base may be included by ${only[$base]} alone"
    case $name in
        vitx/* | base/* | image/* | text/* | words/* | model/* | engine/* | explain/* | measure/* | render/* | report/*) target=${name%%/*} ;;
        kernels/* | tools/*) target=${name%%/*} ;;
        *) # a system header, or a neighbour in the same folder
            [[ $text == *'"'* && ! -e ${file%/*}/$name ]] && complain "$file:$line: $name is not beside it"
            continue ;;
    esac
    folder=
    for key in "${!may[@]}"; do
        [[ $file == "$key"/* && ${#key} -gt ${#folder} ]] && folder=$key
    done
    [[ " ${may[$folder]:-} " == *" $target "* ]] || complain "$file:$line: ${folder:-?} may not include $name"
done < <(grep -nE '^[[:space:]]*#[[:space:]]*include' -r include lib kernels tools --include='*.[ch]' --include='*.hpp' \
             --include='*.cu' --include='*.cuh' --include='*.def')

# A method sees the context through its job: it includes explain/, base/ and image/ only, and so does what
# it includes, but for the plan that it writes its needs into. A metric sees the context through its subject.
# closed WHAT FILES...: what of other folders the files include, or the headers of explain/ and measure/ that they include.
closed() {
    local what=$1 file line text headers
    shift
    mapfile -t headers < <(grep -hoE '"(explain|measure)/[a-z_]+\.h"' "$@" | sort -u | tr -d '"' | sed 's,^,lib/,')
    while IFS=: read -r file line text; do
        complain "$file:$line: a $what does not include ${text#*\"}"
    done < <(grep -nE '^#include "(engine|kernels|model)/' "$@" "${headers[@]}" |
                 grep -vE '"(engine/trace|engine/inputs|kernels/device|model/arch)\.h"')
    [ ${#headers[@]} -gt 0 ] || complain "no ${what}s were found"
}
mapfile -t methods < <(grep -lE '^const vx_method vx_method_' lib/explain/*.c)
closed method "${methods[@]}"
mapfile -t metrics < <(grep -lE '^const vx_metric vx_metric_' lib/measure/*.c)
closed metric "${metrics[@]}" lib/measure/{curve,located,plane,impute,rank}.c

# Nothing above kernels/ names a device or an instruction set.
if grep -nE '^[[:space:]]*#[[:space:]]*if.*(CUDA|__AVX|__AMX|__ARM|__aarch64__|__x86_64__)' -r lib include tools; then
    complain "an instruction set is named above kernels/"
fi
# A download is there after a sync. Methods and metrics take both in one call, vx_context_read, so that
# none of them rests on somebody else's sync.
if grep -nE '(->|\.)download[[:space:]]*\(' -r lib/explain lib/measure lib/render lib/report --include='*.[ch]'; then
    complain "a download above engine/: vx_context_read waits for the device as well"
fi
# The library itself neither prints nor ends the process nor reads the environment. (The private
# environment of the loaded OpenBLAS is reached through dlsym, not by calling setenv.)
if grep -nE '(^|[^a-z_"])(printf|puts|fprintf|perror|exit|abort|getenv|setenv|putenv|setlocale|signal|sigaction)[[:space:]]*\(' \
    -r lib kernels --include='*.[ch]' | grep -vE '^\S+\s*(\*|/\*|//)'; then
    complain "the library prints, exits or touches the environment"
fi
[ "$seen" -gt 50 ] || complain "only $seen includes were found"
[ "$bad" = 0 ]
