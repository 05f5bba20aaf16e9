#!/bin/bash
# cli_report.sh: vitx-cli explain with a page as its output: names, exit statuses and messages, the command to
# make the page again, equal bytes, the budget; and the sets of targets and methods that pages are
# made of, in all formats. The page itself is looked at elsewhere.
. test/check.bash
cli=$program
scenes=docs/images/scenes

# ---------------------------------------------------------------- what a page says -----------
# manifest PAGE: its JSON, with the escapes that keep it within the page undone
manifest() {
    tr '\n' ' ' < "$1" | sed -e 's/^.*<script type="application\/json" id="vx-report">//' -e 's/<\/script>.*//' \
        -e 's/\\u003[cC]/</g' -e 's/\\u003[eE]/>/g' -e 's/\\u0026/\&/g'
}
has() { manifest "$1" | grep -qF -- "$2" || fail "the page $1 lacks $2"; }
lacks() { ! grep -qaF -- "$2" "$1" || fail "the page $1 has $2"; }
count() { # count PAGE WORD N: how often the manifest has it
    [ "$(manifest "$1" | grep -oF -- "$2" | wc -l)" = "$3" ] ||
        fail "$1 has $2 $(manifest "$1" | grep -oF -- "$2" | wc -l) times, expected $3"
}
command_of() { # command_of PAGE: how to make it again
    manifest "$1" | sed -e 's/^[^{]*{[^{]*"command":"\(vitx-cli .*\)","model":{.*/\1/' -e 's/\\"/"/g' -e 's/\\\\/\\/g'
    echo
}

# ---------------------------------------------------------------- top1 to top100 -------------
# The classes of the picture, best first: 2 3 0 6 1 5 4.
targets() { grep -o '"target":[0-9]*' "$out" | cut -d: -f2 | tr '\n' ' '; }
is_for() { [ "$(targets)" = "$* " ] || fail "maps of $(targets), expected $*"; }
right explain -m $model --method generic --target top3 --json $picture
is_for 2 3 0
right explain -m $model --method generic --target top1 --json $picture
is_for 2
right explain -m $model --method generic --target top100 --json $picture
is_for 2 3 0 6 1 5 4
check "of several pictures each has its own, whatever runs together"
for batch in 1 3; do
    right explain --method hirescam --target top2 --json --batch $batch $scenes/{one,two,wrong}.png
    targets > "$folder/together.$batch"
done
for name in one two wrong; do
    right classify --top 2 --json $scenes/$name.png
    grep -o '"index":[0-9]*' "$out" | cut -d: -f2 | tr '\n' ' '
done > "$folder/apart"
cmp -s "$folder/apart" "$folder/together.1" || fail "$(cat "$folder/together.1"), not $(cat "$folder/apart")"
cmp -s "$folder/apart" "$folder/together.3" || fail "--batch 3: $(cat "$folder/together.3")"
check "classes that are named, too, are explained once"
right explain -m $model --method generic --target 3 --target top2 --json $picture
is_for 3 2
right explain -m $model --method generic --target top1 --target tench --target top3 --json $picture
is_for 2 0 3 # as they were named
right explain -m $model --method rollout,generic --target top2 --json $picture
is_for 2 2 3 # rollout's map is the same for every class
right explain -m $model --method generic --target top2 --target top3 -o "$folder/{target}.npy" $picture
out_lines 3
for class in 2 3 0; do
    exists "$folder/$class.npy"
done
for ending in png npy json; do
    right explain -m $model --method generic --target top2 -o "$folder/{image}.{target}.$ending" $picture
    exists "$folder/picture.2.$ending"
    exists "$folder/picture.3.$ending"
done
check "the map of a rank is that of its class"
right explain -m $model --method generic --target 2 --target 3 -o "$folder/class.{target}.npy" $picture
cmp -s "$folder/class.3.npy" "$folder/picture.3.npy" || fail "another map"
right explain -m $model --method generic --target top3 --quiet --versus 3 -o "$folder/v{target}.npy" $picture
exists "$folder/v2.npy"
[ -e "$folder/v3.npy" ] && fail "a map of 3 versus 3"
check "... and says that there is none"
run explain -m $model --method generic --target top2 --versus 3 --json $picture
gives 0
err_has "class 3 is that of --versus: no map"
wrong "two maps would be written to" explain -m $model --method generic --target top2 -o "$folder/x.npy" $picture
wrong "--target top0: it takes top1 to top100" explain -m $model --method generic --target top0 --json $picture
wrong "--target top101: it takes top1 to top100" explain -m $model --method generic --target top101 --json $picture
wrong "--target top99999999999: it takes" explain -m $model --method generic --target top99999999999 --json $picture
wrong '"topper" names none of the 7 classes' explain -m $model --method generic --target topper --json $picture
wrong "--skip-existing: {target} of a top class" explain -m $model --method generic --target top2 --skip-existing \
    -o "$folder/{target}.npy" $picture
wrong "--target: the model has no classes" explain -m $models/clip-hf --method rollout --target top2 --json $picture
check "a class that is called top2 is given by its number"
printf 'a\nb\ntop2\nd\ne\nf\ng\n' > "$folder/names"
right explain -m $model --labels "$folder/names" --method generic --target top2 --json $picture
is_for 2 3
right explain -m $model --labels "$folder/names" --method generic --target 2 --json $picture
is_for 2
check "a picture that fails costs the others nothing"
run explain -m $model --method generic --target top2 --json $picture test/check.bash $picture
gives 1
err_lines 1
is_for 2 3 2 3

# ---------------------------------------------------------------- all-fast -------------------
# The library runs the same in test_every_method: no work for a sanitizer.
if [ "$OUT" = build ]; then
    methods() { grep -o '"method":"[^"]*"' "$out" | cut -d'"' -f4 | sort | tr '\n' ' '; }
    right explain -m $model --method all-fast --json $picture
    for name in attention rollout generic grad-rollout gradcam saliency; do
        grep -q "\"method\":\"$name\"" "$out" || fail "all-fast lacks $name"
    done
    for name in rise lime occlusion kernelshap integrated-gradients smoothgrad scorecam; do
        grep -q "\"method\":\"$name\"" "$out" && fail "all-fast has $name"
    done
    [ "$(grep -c '"forwards":0' "$out")" -ge 15 ] || fail "few maps: $(methods)"
    fast=$(methods)
    right explain -m $model --method all-fast,rollout --json $picture
    [ "$(methods)" = "$fast" ] || fail "a method that is named, too, is made twice: $(methods)"
    right explain -m $model --method rise,all-fast --set rise.n=4 --json $picture
    grep -q '"method":"rise"' "$out" || fail "the method that is named is left out"
    check "--set can make a method cheap enough"
    right explain -m $model --method all-fast --set smoothgrad.n=1 --json $picture
    wrong "rise" explain -m $model --method all-fast --set rise.n=many --json $picture
    check "models that cannot run all methods"
    for name in clip-hf dinov2-hf-bare siglip-timm; do
        run explain -m $models/$name --method all-fast --json $picture
        gives 0
        err_has "left out: methods that explain a class, as the model has no classes"
        grep -q '"method":"rollout"' "$out" || grep -q '"method":"attention"' "$out" || fail "$name: $(methods)"
        run explain -m $models/$name --method all-fast --unit 1 --quiet --json $picture
        gives 0
        err_lines 0
        grep -q '"method":"gradcam"' "$out" || fail "$name: $(methods)"
    done
    for name in vit-timm-map-class vit-timm-avg dinov2-timm-registers-swiglu deit-timm-distilled; do
        run explain -m $models/$name --method all-fast --quiet --json $picture
        gives 0
        err_lines 0
        grep -q '"method":"saliency"' "$out" || fail "$name: $(methods)"
    done
    wrong "gradcam explains an answer" explain -m $models/clip-hf --method all-fast,gradcam --json $picture
    check "eval knows the set, too"
    right eval -m $model --method all-fast --metric sparseness --no-baselines $picture
    for name in hirescam rollout; do
        grep -q "^$name" "$out" || fail "all-fast of eval lacks $name: $(cat "$out")"
    done
    grep -q '^rise' "$out" && fail "all-fast of eval has rise"
fi

# ---------------------------------------------------------------- one page -------------------
page=$folder/dog.html
right explain -m $model --method generic,gradcam,rollout --target top2 -o "$page" $picture
out_lines 1
out_has "^$page  1 picture, [0-9]+ kB, attention: all heads$"
exists "$page"
head -c 15 "$page" | grep -qi '^<!doctype html' || fail "no page: $(head -c 60 "$page")"
has "$page" '"name":"picture.png"'
count "$page" '"method":"generic"' 2
count "$page" '"method":"rollout"' 1
has "$page" '"level":"all"'
check "equal bytes twice"
cp "$page" "$folder/first.html"
right explain -m $model --method generic,gradcam,rollout --target top2 -o "$page" $picture
cmp -s "$page" "$folder/first.html" || fail "other bytes"
check "on standard output, too"
right explain -m $model --method generic,gradcam,rollout --target top2 -o - --format html $picture
[ "$(sed 's/ -o [^ ]*//g; s/ --format html//g' "$out" | manifest /dev/stdin)" = \
    "$(sed 's/ -o [^ ]*//g' "$page" | manifest /dev/stdin)" ] || fail "another page"
check "an ending in capitals, or none with --format"
right explain -m $model --method rollout -o "$folder/a.HTML" $picture
right explain -m $model --method rollout --format html -o "$folder/page" $picture
head -c 15 "$folder/page" | grep -qi '^<!doctype html' || fail "no page"
right explain -m $model --method rollout --quiet -o "$folder/a.html" $picture
out_lines 0
check "--json beside the page"
right explain -m $model --method rollout --json -o "$folder/a.html" $picture
out_lines 1
out_has '"method":"rollout"'
exists "$folder/a.html"
check "all layers and heads; options of pictures change nothing"
right explain -m $model --method attention --layer all --head all -o "$folder/a.html" $picture
count "$folder/a.html" '"method":"attention"' 9
right explain -m $model --method rollout --layout side --colorbar -o "$folder/a.html" $picture
# A sanitizer has seen how pages are made.
[ "$OUT" = build ] || { finish; exit; }
check "a picture on standard input"
"$cli" explain -m $model --method rollout -o "$folder/in.html" - < $picture > "$out" 2> "$err" || fail "$(cat "$err")"
has "$folder/in.html" '"name":"stdin"'

# ---------------------------------------------------------------- many pictures --------------
right explain --method generic -o "$folder/gallery.html" $scenes/{one,two,wrong}.png
out_lines 1
out_has "/gallery.html  3 pictures, [0-9.]+ [kM]B, attention: all heads$"
count "$folder/gallery.html" '"method":"generic"' 3
for name in one two wrong; do
    has "$folder/gallery.html" "\"name\":\"$name.png\""
done
right explain --method generic --batch 2 -o "$folder/batch.html" $scenes/{one,two,wrong}.png
[ "$(manifest "$folder/batch.html" | grep -o '"name":"[a-z]*.png"')" = \
    "$(manifest "$folder/gallery.html" | grep -o '"name":"[a-z]*.png"')" ] || fail "another order"
right explain --method all-fast -o "$folder/pages/{folder}/{image}.html" $scenes/{one,two,wrong}.png
out_lines 3
for name in one two wrong; do
    exists "$folder/pages/scenes/$name.html"
    count "$folder/pages/scenes/$name.html" '"still":' 1
done
check "a page says how it alone is made"
command_of "$folder/pages/scenes/two.html" | grep -q " two.png$" || fail "$(command_of "$folder/pages/scenes/two.html")"
lacks "$folder/pages/scenes/two.html" wrong.png
check "pictures of several sizes, each with an input of its own"
right explain -m $model --fit keep --method generic -o "$folder/keep.html" $picture $scenes/one.png test/golden/image/410.jpg
out_lines 1
check "a list of pictures"
printf '%s\n' $scenes/{one,two}.png > "$folder/list.txt"
right explain --method generic -o "$folder/list.html" "@$folder/list.txt"
command_of "$folder/list.html" | grep -q " @list.txt$" || fail "$(command_of "$folder/list.html")"

# ---------------------------------------------------------------- budget ---------------------
size() { wc -c < "$1"; }
for budget in 2 0.6 0.3; do
    right explain --method generic --embed-budget $budget -o "$folder/small.html" $scenes/{one,two,wrong}.png
    [ "$(size "$folder/small.html")" -le "$(echo $budget | awk '{print $1 * 1000000}')" ] ||
        fail "$(size "$folder/small.html") bytes for $budget MB"
done
right explain --method generic --embed-budget 0.3 -o "$folder/small.html" $scenes/{one,two,wrong}.png
grep -q 'attention: all heads' "$out" && fail "all heads within 0.3 MB: $(cat "$out")"
last=999999999
for level in all mean class none; do
    right explain --method generic --embed $level -o "$folder/level.html" $scenes/one.png
    has "$folder/level.html" "\"level\":\"$level\""
    [ "$(size "$folder/level.html")" -lt "$last" ] || fail "$level is no less than the level before"
    last=$(size "$folder/level.html")
done
out_has "attention: none$"
right explain --method generic --embed all --embed-budget 0.05 -o "$folder/level.html" $scenes/one.png
out_has "attention: all heads$"
right explain --method generic --embed auto -o "$folder/level.html" $scenes/one.png

# ---------------------------------------------------------------- how to make it again -------
# A command that is pasted into a shell, in a folder of the files, makes the same page.
mkdir -p "$folder/my secret/c" "$folder/again"
hostile="it's a \"\$(touch x)\" <b>&;é.png"
cp $scenes/one.png "$folder/my secret/c/$hostile"
right explain --method generic --target top2 --title "it's <my> \$title" --set 'generic.start=1' \
    -o "$folder/my secret/hostile.html" "$folder/my secret/c/$hostile"
lacks "$folder/my secret/hostile.html" "$folder"
lacks "$folder/my secret/hostile.html" "my secret"
# shellcheck disable=SC2016 # no dollar is for this shell
has "$folder/my secret/hostile.html" '"title":"it'"'"'s <my> $title"'
command_of "$folder/my secret/hostile.html" > "$folder/again/command"
cp "$folder/my secret/c/$hostile" "$folder/again"
program_at=$(cd "$(dirname "$cli")" && pwd)
(cd "$folder/again" && PATH="$program_at:$PATH" sh -e command) > "$out" 2> "$err" || fail "$(cat "$err" "$folder/again/command")"
[ -e "$folder/again/x" ] && fail "a name was run"
cmp -s "$folder/again/hostile.html" "$folder/my secret/hostile.html" || fail "the command makes another page: $(cat "$folder/again/command")"
check "names of files that are no text, and long ones"
names=("$(printf 'a\nb\tc\033[31m.png')" "$(printf 'bad\377\300\200.png')" "$(printf '\342\200\256gnp.png')" \
    '</script><img src=x onerror=alert(1)>.png' "$(printf 'n%.0s' {1..251}).png")
mkdir "$folder/odd"
for name in "${names[@]}"; do
    cp $scenes/one.png "$folder/odd/${name//\//:}"
done
right explain --method rollout -o "$folder/names.html" "$folder/odd"/*
count "$folder/names.html" '"still":' ${#names[@]}
lacks "$folder/names.html" "<img src=x"
LC_ALL=C.UTF-8 grep -qaxv '.*' "$folder/names.html" && fail "the page is no UTF-8"
LC_ALL=C grep -qa "$(printf '\033')" "$folder/names.html" && fail "the page has a control character"
right explain --method rollout -o "$folder/{image}.page.html" "$folder/odd/${names[1]}"
check "a name that looks like an option, or like a list"
(
    cd "$folder/again" || exit
    for name in -x.png @x.png; do
        cp "$hostile" "./$name"
        PATH="$program_at:$PATH" vitx-cli explain --method rollout -o "x.html" "$folder/again/$name"
        command_of x.html | grep -qx "vitx-cli explain --method rollout -o x.html ./$name" ||
            echo "$name: $(command_of x.html)"
    done
) > "$out" 2> "$err"
grep -q png "$out" && grep -qv '  1 picture' "$out" && fail "$(cat "$out")"
check "--skip-existing is no part of it, as it would make nothing"
right explain --method rollout --skip-existing -o "$folder/skipped.html" $scenes/one.png
command_of "$folder/skipped.html" | grep -q -- --skip && fail "$(command_of "$folder/skipped.html")"
check "the model's and the vector's folder are not told"
right embed -m $models/clip-hf -o "$folder/my secret/v.npy" $picture
right explain -m $models/clip-hf/ --method gradcam --vector "$folder/my secret/v.npy" -o "$folder/v.html" $scenes/one.png
lacks "$folder/v.html" "$folder"
lacks "$folder/v.html" "golden"
has "$folder/v.html" "-m clip-hf "
cp $picture "$folder/my secret/c/other.png"
right explain -m $models/clip-hf --method gradcam --like "$folder/my secret/c/other.png" -o "$folder/v.html" $scenes/one.png
lacks "$folder/v.html" "$folder"
count "$folder/v.html" '"absent":[]' 1
check "hostile class names"
printf '%s\n' '</script><script>alert(1)</script>' '"><img src=x onerror=alert(1)>' '<!--' "$(printf '\342\200\256evil')" \
    "it's & \"quoted\" \\" 'plain' '&amp;' > "$folder/labels"
right explain -m $model --labels "$folder/labels" --method generic --target top7 -o "$folder/labels.html" $picture
lacks "$folder/labels.html" "<script>alert"
lacks "$folder/labels.html" "<img src=x"
LC_ALL=C.UTF-8 grep -qaxv '.*' "$folder/labels.html" && fail "the page is no UTF-8"
[ "$(grep -o '</script' "$folder/labels.html" | wc -l)" = \
    "$(grep -o '<script' "$folder/labels.html" | wc -l)" ] || fail "scripts that are not closed"

# ---------------------------------------------------------------- classes without a map ------
right explain -m $model --method generic -o "$page" $picture
absent() { manifest "$page" | sed 's/.*,"absent":\[//' | grep -o '"target":[0-9]*' | cut -d: -f2 | tr '\n' ' '; }
[ "$(absent)" = "3 0 6 1 " ] || fail "absent: $(absent)"
has "$page" "vitx-cli explain -m vit-timm --method generic -o dog.html --target top1 --target 3 picture.png"
right explain -m $model --method generic --target top2 --target 6 -o "$page" $picture
[ "$(absent)" = "0 1 " ] || fail "absent: $(absent)"
has "$page" "--target top2 --target 6 -o dog.html --target 0 picture.png"
check "a map that no class changes is no reason to name classes"
right explain -m $model --method rollout -o "$page" $picture
[ "$(absent)" = "" ] || fail "absent: $(absent)"
check "many pictures: a class once"
right explain -m $model --method generic -o "$page" $picture $scenes/{one,two,wrong}.png
[ "$(absent | tr ' ' '\n' | sort | uniq -d | wc -l)" -le 1 ] || fail "absent: $(absent)"

# ---------------------------------------------------------------- languages ------------------
right explain --method rollout --lang zh -o "$folder/zh.html" $scenes/one.png
has "$folder/zh.html" '"lang":"zh"'
grep -q '<html lang="zh' "$folder/zh.html" || fail "the page's language is not zh"
right explain --method rollout --lang en -o "$folder/en.html" $scenes/one.png
has "$folder/en.html" '"lang":"en"'
for none in "" "--lang auto"; do
    # shellcheck disable=SC2086
    right explain --method rollout $none -o "$folder/auto.html" $scenes/one.png
    has "$folder/auto.html" '"lang":null'
done
check "a page in a language that the model has no names in, and names from a file"
right explain -m $model --method rollout --lang zh -o "$folder/zh.html" $picture
has "$folder/zh.html" '"label":"great white shark"'
right explain -m $model --labels "$folder/names" --lang zh --method rollout -o "$folder/zh.html" $picture
has "$folder/zh.html" '"label":"top2"'
run explain -m $model --method rollout --lang fr -o "$folder/fr.html" $picture
gives 1
err_has 'no class names in the language "fr"'
wrong "--labels and --lang: one of them" explain -m $model --labels "$folder/names" --lang fr --method rollout \
    -o "$folder/fr.html" $picture
run explain -m $model --method rollout --lang zh -o "$folder/zh.png" $picture
gives 1
err_has 'no class names in the language "zh"'

# ---------------------------------------------------------------- wrong usage ----------------
wrong "a page holds all maps of its pictures, so {method} is no part of its name" explain -m $model --method rollout \
    -o "$folder/{method}.html" $picture
wrong "so {target} is no part of its name; there are {image}, {folder}, {path}" explain -m $model --method rollout \
    -o "$folder/{image}.{target}.html" $picture
wrong "no field {name}; there are {image}, {folder}, {path}" explain -m $model --method rollout -o "$folder/{name}.html" $picture
wrong "two pages would be written to" explain -m $model --method rollout -o "$folder/{image}.html" $picture $picture
wrong "--title, --embed and --embed-budget are for a page" explain -m $model --method rollout --title x -o "$folder/x.png" $picture
wrong "--title, --embed and --embed-budget are for a page" explain -m $model --method rollout --embed all --json $picture
wrong "--title, --embed and --embed-budget are for a page" explain -m $model --method rollout --embed-budget 3 --json $picture
wrong '--embed is "some", it takes auto|all|mean|class|none' explain -m $model --method rollout --embed some -o "$folder/x.html" $picture
wrong "--embed-budget" explain -m $model --method rollout --embed-budget 0 -o "$folder/x.html" $picture
wrong "--embed-budget" explain -m $model --method rollout --embed-budget nan -o "$folder/x.html" $picture
wrong 'no format "htm"; did you mean html?' explain -m $model --method rollout --format htm -o "$folder/x" $picture
wrong ".png, .npy, .json, .html" explain -m $model --method rollout -o "$folder/x.gif" $picture
wrong "--skip-existing is for files" explain -m $model --method rollout --skip-existing --format html -o - $picture
check "a page never replaces a picture"
cp $picture "$folder/own.html"
wrong "own.html: a page would replace the picture" explain -m $model --method rollout -o "$folder/own.html" "$folder/own.html"
wrong "own.html: a page would replace the picture" explain -m $model --method rollout -o "$folder/{image}.html" "$folder/own.html"
cmp -s $picture "$folder/own.html" || fail "the picture is gone"
check "places are looked at before the work"
run explain -m $model --method rollout -o "$folder/none/x.html" $picture
gives 1
err_lines 1
err_has "the folder"
run explain -m $model --method rollout -o "$folder/.html" test/check.bash # a name of a page, too
gives 1

# ---------------------------------------------------------------- failures -------------------
check "pictures that fail are named, and the page holds the others"
run explain -m $model --method generic,rollout -o "$folder/some.html" $picture test/check.bash "$folder/none.png" $picture
gives 1
err_lines 2
err_has "test/check.bash"
err_has "none.png"
out_has "some.html  2 pictures, "
count "$folder/some.html" '"still":' 2
check "no page of nothing"
run explain -m $model --method rollout -o "$folder/nothing.html" test/check.bash
gives 1
err_lines 1
out_lines 0
[ -e "$folder/nothing.html" ] && fail "a page of nothing"
check "a page that cannot be written"
if [ -e /dev/full ]; then
    run explain -m $model --method rollout -o /dev/full --format html $picture
    gives 1
    err_lines 1
fi
check "methods in Chinese"
right methods
methods=$(tail -n +2 "$out" | sed -n 's/^\([a-z][^ ]*\) .*/\1/p')
[ "$(echo "$methods" | wc -l)" -ge 25 ] || fail "methods: $methods"
for method in $methods; do
    grep -q "^  '$method': *'[^']" lib/report/page/terms.js || fail "the page has no Chinese text of $method"
done
check "--skip-existing"
right explain -m $model --method rollout --skip-existing -o "$folder/some.html" $picture
out_lines 0
count "$folder/some.html" '"still":' 2 # as it was
mkdir "$folder/skip"
right explain --method rollout -o "$folder/skip/{image}.html" $scenes/one.png
cp "$folder/skip/one.html" "$folder/skip/before"
right explain --method rollout --skip-existing -o "$folder/skip/{image}.html" $scenes/{one,two}.png
out_lines 1
out_has 'two.html  1 picture'
cmp -s "$folder/skip/one.html" "$folder/skip/before" || fail "the page was made again"

check "Ctrl-C: the page of the pictures that are done"
if env --default-signal=INT true 2> /dev/null; then
    many=()
    for ((i = 0; i < 2000; i++)); do
        many[i]=$picture
    done
    : > "$out"
    env --default-signal=INT "$cli" explain -m $model --device ref --threads 1 --method generic,legrad --json \
        -o "$folder/part.html" "${many[@]}" > "$out" 2> "$err" &
    pid=$!
    for ((i = 0; i < 1200; i++)); do
        if [ "$(wc -l < "$out")" -gt 8 ] || ! kill -0 $pid 2> /dev/null; then
            break
        fi
        sleep 0.05
    done
    kill -INT $pid
    wait $pid
    status=$?
    gives 130
    err_has "vitx-cli: cancelled: "
    exists "$folder/part.html"
    pictures=$(manifest "$folder/part.html" | grep -o '"still":' | wc -l)
    if [ "$pictures" -lt 1 ] || [ "$pictures" -ge 2000 ]; then
        fail "$pictures pictures"
    fi
    # none is cut off: each has its attention
    count "$folder/part.html" '"attention":{"level"' "$pictures"
    tail -c 10 "$folder/part.html" | grep -q '</html>' || fail "the page is not whole"
else
    echo "skipped: Ctrl-C needs env --default-signal"
fi
finish
