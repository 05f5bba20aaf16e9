#!/bin/sh
# demo.sh [VITX_CLI [PICTURES [OUT]]]: asks the bundled model what is in three pictures, and why. Each
# command is printed before it runs, so that it can be repeated; the maps go to the folder OUT, and the last
# command makes a page of all three pictures, to look at in a browser. PICTURES is what tools/docs/scenes.sh
# makes: one.png (one object), two.png (two), wrong.png (one that the model takes for another), NAME.K.png
# with the pixels of the Kth object, and objects.txt, which names them. Without arguments: the vitx-cli that
# was installed with this script, or else as the shell finds it; the pictures beside this script; ./vitx-demo.
set -eu
here=$(dirname "$0")
bin=$(cd "$here/../../../bin" 2> /dev/null && pwd) || bin= # of PREFIX/share/vitx/demo
if [ $# = 0 ] && [ -x "$bin/vitx-cli" ] && [ "$(command -v vitx-cli)" != "$bin/vitx-cli" ]; then
    PATH=$bin:$PATH
    # shellcheck disable=SC2016 # what is printed is for a shell
    printf '$ PATH="%s:$PATH"\n' "$bin"
fi
cli=${1:-vitx-cli} pictures=${2:-$here} out=${3:-vitx-demo}
page=$out/demo.html lines=$out/.lines maps=
trap 'rm -f "$lines"' EXIT

say() { printf '\n%s\n' "$*"; }
command_line() {
    printf '$'
    for word; do
        case $word in
            *[!A-Za-z0-9_./,=-]*) printf " '%s'" "$word" ;;
            *) printf ' %s' "$word" ;;
        esac
    done
    printf '\n'
}
run() { # run COMMAND...: shows it, and what it prints; keeps the names of the maps that it wrote
    command_line "$@"
    "$@" > "$lines"
    cat "$lines"
    while IFS= read -r line; do # "FILE  METHOD  NUMBER CLASS"
        file=${line%%  *}
        case $file in "$out"/*) maps="$maps
  $file" ;; esac
    done < "$lines"
}
object() { # object N PICTURE: its Nth object
    sed -n "s/^$2: *//p" "$pictures/objects.txt" | cut -d, -f"$1" | sed 's/^ *//'
}

one=$pictures/one.png two=$pictures/two.png wrong=$pictures/wrong.png
first=$(object 1 two.png) second=$(object 2 two.png) truth=$(object 1 wrong.png)
mkdir -p "$out"

say "What is in these pictures? (logit, probability, class, name)"
run "$cli" classify --top 3 "$one" "$two" "$wrong"
run "$cli" classify --top 3 --lang zh "$one"

say "Why? Four methods show where that answer comes from."
run "$cli" explain --method hirescam,generic,rollout,attention --layout side -o "$out/{image}.{method}.png" "$one"

say "Two objects: each class has its own place. Ask for $first, and for $second."
run "$cli" explain --method hirescam --target "$first" --target "$second" --layout side -o "$out/{image}.{target}.png" "$two"

# The second line of classify: logit, probability, class, name.
answer=$("$cli" classify --top 1 "$wrong" | sed -n '2s/^ *[^ ]*  *[^ ]*  *[^ ]*  //p')
if [ "$answer" = "$truth" ]; then
    echo "demo.sh: $wrong is $truth, and the model knows it: there is no mistake to explain" >&2
    exit 1
fi
say "Are such maps right? two.2.png has the pixels of the $second: does the largest value lie on it, and how much of the map?"
run "$cli" eval --method hirescam,generic,rollout,attention --metric pointing,energy --target "$second" --mask "$pictures/two.2.png" "$two"

say "A mistake: this is $truth, the model says $answer. What speaks for $answer and against $truth, and the other way round?"
run "$cli" explain --method hirescam --target "$answer" --versus "$truth" --layout side -o "$out/{image}.answer.png" "$wrong"
run "$cli" explain --method hirescam --target "$truth" --versus "$answer" --layout side -o "$out/{image}.truth.png" "$wrong"

printf '\nThe maps:%s\n' "$maps"

say "All that fast methods say, for the two best answers to each picture, and what every head attends to: one page."
run "$cli" explain --method all-fast --target top2 --title "Three scenes" -o "$page" "$one" "$two" "$wrong"
printf '\nOpen this file in a browser: %s\n' "$page"
