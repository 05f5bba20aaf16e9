#!/bin/bash
# cli.sh: vitx-cli from the outside: exit statuses, what goes to which stream, the forms that
# scripts rely on. run.sh exports OUT, the folder of the products. Needs coreutils and grep only.
. test/check.bash
cli=$program

# ---------------------------------------------------------------- help, versions, usage ------
right -h
out_has '^usage: vitx-cli COMMAND'
for command in classify embed explain stats eval methods info bench; do
    out_has "^  $command "
done
right --help
out_has 'Exit status'
out_has '--threads N'
right --version
out_has '^vitx-cli [0-9]+\.[0-9]+\.[0-9]+$'
for command in classify embed explain stats eval methods info bench; do
    right "$command" -h
    out_has "^usage: vitx-cli $command"
    out_has '--model MODEL'
    short=$(wc -l < "$out")
    right "$command" --help
    [ "$(wc -l < "$out")" -gt "$short" ] || fail "the long help is no longer than the short one"
    wrong "no option --nonsense" "$command" --nonsense
    wrong "did you mean --threads?" "$command" --thread 2
    wrong "--threads needs a value" "$command" --threads
    wrong "--quiet takes no value" "$command" --quiet=1
    wrong "no option -x" "$command" -x
done
wrong "no command; there are classify, embed, explain, stats, eval, methods, info, bench; vitx-cli -h says"
wrong "did you mean classify?" clasify
wrong "no command xyzzy" xyzzy
wrong "the command comes before" --json classify
for value in 3x "" " 3" 1e1 257 -1 99999999999999999999; do
    wrong "--threads is \"$value\"" classify --threads "$value" -m $model $picture
done
for value in 0 1025 x; do
    wrong "--batch is" classify --batch $value -m $model $picture
done
for value in 0 3x 1T K -1 1GG 99999999999G; do
    wrong "--budget is" classify --budget $value -m $model $picture
done
wrong "--top is \"0\"" classify --top 0 -m $model $picture
wrong "or all" classify --top some -m $model $picture
wrong "--fit is" classify --fit stretch -m $model $picture
for value in 0 -1 x 40x x40 40x40x40 40.0 ' 40' 1x100000 65536 99999999999; do
    wrong "--size is \"$value\"" classify --size "$value" -m $model $picture
done
wrong 'no device "gpu"; there are cpu' classify --device gpu -m $model $picture
wrong "explain: --alpha is" explain --alpha 1.5 -m $model $picture
wrong "explain: --alpha is" explain --alpha nan -m $model $picture
wrong "explain: --layout is" explain --layout both -m $model $picture
wrong "explain: --scale is" explain --scale log -m $model $picture
wrong "explain: --score is" explain --score softmax -m $model $picture

# ---------------------------------------------------------------- classify -------------------
wrong "needs at least one picture" classify -m $model
right classify -m $model $picture
out_lines 6
out_has "^$picture\$"
out_has '^ +-?[0-9]+\.[0-9]{5}  0\.[0-9]{4}  [0-6]  [a-z ]+$'
right classify -m $model --top=2 -- $picture
out_lines 3
right classify $picture -m$model --top all --threads=1 --batch 4 --quiet
out_lines 8
cp -r $models/vit-hf "$folder/as-it-is"
sed -i 's/"do_resize": true/"do_resize": false/' "$folder/as-it-is/preprocessor_config.json"
run classify -m "$folder/as-it-is" $picture
gives 1
out_lines 0
err_lines 1
err_has "$picture: a picture of 61 x 47 pixels for an input of 20 x 20, and the model's recipe neither resizes nor crops: choose with --fit (squash, crop or pad)"
for fit in squash crop pad keep; do
    right classify -m "$folder/as-it-is" --fit $fit $picture
done
right info -m "$folder/as-it-is"
out_has '^  centre crop +none'
right info --json -m "$folder/as-it-is"
out_has '"resize":"none",.*"crop":false,'
check "a PNG without its end, and one that is cut short"
head -c -12 $picture > "$folder/no-end.png"
right classify -m $model "$folder/no-end.png"
head -c 3000 $picture > "$folder/cut.png"
run classify -m $model "$folder/cut.png"
gives 1
err_has "cut.png: the file is cut short: 3000 bytes"
run classify -m $model --allow-truncated "$folder/cut.png"
gives 0
err_lines 1
err_has "warning: $folder/cut.png: the file is cut short: 3000 bytes, and the picture goes on"
run classify -m $model --max-pixels 2866 $picture # 61 x 47 are 2867
gives 1
err_has "61 x 47 pixels, at most 2866 are accepted"
right classify -m $model --max-pixels 2867 $picture
wrong "--max-pixels" classify -m $model --max-pixels 0 $picture
printf '<!DOCTYPE html><html>' > "$folder/page.npz"
run classify -m "$folder/page.npz" $picture
gives 1
err_has "an HTML page, as servers send one in place of a file, no .npz file"
if [ "$(nproc)" -lt 9 ]; then
    check "more threads than processors"
    run classify -m $model --threads 9 $picture
    gives 0
    err_lines 1
    err_has "warning: 9 threads, but this process may use"
    right classify -m $model --threads 9 --quiet $picture
fi
right classify -m $model --json $picture $picture
out_lines 2
number='-?[0-9]+(\.[0-9]+)?(e-?[0-9]+)?'
prediction="\\{\"index\":[0-6],\"label\":\"[a-z ]+\",\"probability\":$number,\"logit\":$number\\}"
out_has "^\\{\"image\":\"$picture\",\"predictions\":\\[$prediction(,$prediction){4}\\]\\}\$"
right classify -m $models/vit-hf-sharded --json --top 1 $picture
out_has '"label":null'
cp $picture "$folder/a \"b\" c.png"
right classify -m $model --json --top 1 "$folder/a \"b\" c.png"
out_has 'a \\"b\\" c\.png","predictions"'
printf 'one\ntwo\nthree\nfour\nfive\nsix\nseven\n' > "$folder/labels.txt"
right classify -m $model --labels "$folder/labels.txt" $picture
out_has '  (one|two|three|four|five|six|seven)$'
right classify -m $model/model.safetensors $picture
wrong "it has no class names, which --labels can give it" explain -m $models/vit-hf-sharded --method generic --target tench -o "$folder/x.png" $picture

# ---------------------------------------------------------------- embed ----------------------
clip=$models/clip-hf other=test/golden/image/410.jpg
wrong "needs at least one picture" embed -m $clip
wrong "must end in .npy" embed -m $clip -o "$folder/x.png" $picture
wrong "one of them" embed -m $clip --json -o "$folder/x.npy" $picture
run embed -m $model $picture
gives 1
err_has "answers with 7 classes"
run classify -m $clip $picture $picture
gives 1
err_lines 1
err_has "vitx-cli embed"
right embed -m $clip $picture
out_lines 2
out_has "^$number( $number){6}\$"
right embed -m $clip --json --normalize $picture $other
out_lines 2
out_has "^\\{\"image\":\"$picture\",\"embedding\":\\[$number(,$number){6}\\]\\}\$"
right embed -m $clip -o "$folder/v.npy" $picture
out_lines 0
[ "$(stat -c %s "$folder/v.npy")" -eq $((128 + 28)) ] || fail "v.npy is not of 7 numbers"
run embed -m $clip -o "$folder/none.npy" $picture "$folder/missing.png"
gives 1
[ ! -e "$folder/none.npy" ] || fail "a file of half the pictures was written"

check "what is explained of an embedding"
e=(explain -m "$clip" --method gradcam)
wrong "needs --unit, --vector or --like" "${e[@]}" -o "$folder/e.json" $picture
wrong "the model has no classes" "${e[@]}" --target 1 -o "$folder/e.json" $picture
wrong "the model has classes" explain -m $model --method gradcam --unit 1 -o "$folder/e.json" $picture
wrong "the model has no classes" "${e[@]}" --unit 1 --score probability -o "$folder/e.json" $picture
wrong "unit" "${e[@]}" --unit 7 -o "$folder/e.json" $picture
wrong "it takes a number" "${e[@]}" --unit x -o "$folder/e.json" $picture
wrong "versus is 7, the model has 7 numbers in its embedding" "${e[@]}" --unit 1 --versus 7 -o "$folder/e.json" $picture
wrong "that is the unit" "${e[@]}" --unit 1 --versus 1 -o "$folder/e.json" $picture
wrong "one of them" "${e[@]}" --unit 1 --like $other -o "$folder/e.json" $picture
wrong "is for --score cosine or dot" "${e[@]}" --like $other --score logit -o "$folder/e.json" $picture
wrong "is for --vector or --like" "${e[@]}" --unit 1 --score cosine -o "$folder/e.json" $picture
wrong "a vector of 7 numbers is needed" "${e[@]}" --vector test/golden/models/siglip-hf/logits.npy -o "$folder/e.json" $picture
run "${e[@]}" --vector $other -o "$folder/e.json" $picture
gives 1
err_has "no .npy file"
right "${e[@]}" --unit 2 --unit 3 -o "$folder/e.{target}.json" $picture
out_has 'e\.2\.json  gradcam  unit 2$'
grep -q '"target":3,"label":null,"logit":[^,]*,"probability":null,"score":"logit",.*"explains":"unit"' "$folder/e.3.json" || fail "no unit is explained"
right "${e[@]}" --quiet --vector "$folder/v.npy" -o "$folder/e.{target}.json" $picture # its own: no warning
grep -q '"target":null,"label":"[^"]*v.npy","logit":null,"probability":null,"score":"cosine",.*"explains":"vector"' "$folder/e.vector.json" || fail "no vector is explained"
right "${e[@]}" --like $other -o "$folder/e.{target}.json" $picture
out_has "  like $other\$"
grep -q '"explains":"picture"' "$folder/e.like.json" || fail "no picture is explained"
run "${e[@]}" --like $picture -o "$folder/e.self.json" $picture # itself
gives 0
err_lines 1
err_has "gradcam: the cosine is at its maximum, 1, where gradients are 0"
right "${e[@]}" --quiet --like $picture -o "$folder/e.self.json" $picture
cp $other "$folder/like.png"
wrong "would replace the picture" "${e[@]}" --like "$folder/like.png" -o "$folder/like.png" $picture
wrong "would replace the picture" "${e[@]}" --vector "$folder/v.npy" -o "$folder/v.npy" $picture
right "${e[@]}" --vector "$folder/v.npy" --score dot -o "$folder/e.npy" $picture
right explain -m $clip --method rollout -o "$folder/e.png" $picture
out_has "e.png  rollout\$"
right info -m $clip
out_has '^embedding +7 numbers'

check "maps of an embedding, measured"
v=(eval -m "$clip" --method gradcam --no-baselines --metric "deletion,infidelity")
right "${v[@]}" --like $other --json $picture
out_has '"method":"gradcam","target":null,"label":"[^"]+","probability":null,"values":\{"deletion":'
right "${v[@]}" --vector "$folder/v.npy" --score dot --json $picture
right eval -m $clip --method gradcam --metric deletion --like $other $picture
out_has "^random +$number"
wrong "one of them" "${v[@]}" --target 1 --like $other $picture
wrong "is for --vector or --like" "${v[@]}" --score cosine $picture
wrong "a vector of 7 numbers is needed" "${v[@]}" --vector test/golden/models/siglip-hf/logits.npy $picture
wrong "would replace the picture" eval -m $clip --method gradcam --metric deletion --like "$folder/like.png" --curves "$folder/like.png" $picture
wrong "--like cannot be given" eval --method gradcam --scenes 2 --like $other
wrong "it needs --vector, --like, or as --target" eval -m $clip --method gradcam --metric sparseness $picture
run eval -m $clip --method gradcam --metric deletion --target 1 $picture
gives 1
err_has "it needs --vector or --like"
run eval -m $clip --method gradcam --no-baselines --metric sparseness --target 1 --json $picture
out_has '"target":1,"label":null,"probability":null'

check "one bad picture among many, in every batch size"
head -c 100 $picture > "$folder/cut.png"
printf 'no picture\n' > "$folder/text.jpg"
for batch in 1 2 3 16; do
    run classify -m $model --json --top 1 --batch $batch $picture "$folder/cut.png" "$folder/missing.png" "$folder/text.jpg" "$folder" - $picture < /dev/null
    gives 1
    out_lines 2
    err_lines 5
    for bad in cut.png missing.png text.jpg; do
        err_has "vitx-cli: $folder/$bad: "
    done
done

check "the order of the arguments is kept"
for i in 1 2 3 4 5; do
    cp $picture "$folder/$i.png"
done
run classify -m $model --json --top 1 --batch 2 "$folder"/{3,1,5,2,4}.png
gives 0
[ "$(grep -o '[1-5]\.png' "$out" | tr -d '\n')" = 3.png1.png5.png2.png4.png ] || fail "order: $(cat "$out")"

# ---------------------------------------------------------------- the bundled model ----------
right classify --top all $picture
cp "$out" "$folder/bundled"
right classify --top all -m weights/scenes $picture
cmp -s "$out" "$folder/bundled" || fail "the bundled model is not that of weights/scenes"
right info
out_has "^model +$PWD/weights/scenes\$"
out_has '^family +vit, timm names$'
right info --json
out_has "\"bundled\":\\{\"model\":\"$PWD/weights/scenes\",\"family\":\"vit\""
right explain --method rollout -o "$folder/bundled.png" $picture
exists "$folder/bundled.png"
right stats --json $picture
out_has "^\\{\"model\":\"$PWD/weights/scenes\""
right eval --method rollout --metric sparseness $picture
right bench --runs 1 --threads 1
check "a program far from its model says where it looked, unless there is an installed one"
mkdir -p "$folder/far/away"
cp "$cli" "$folder/far/away"
for command in "classify $picture" "explain --method rollout -o $folder/x.png $picture" "stats $picture" "bench --runs 1"; do
    # shellcheck disable=SC2086
    "$folder/far/away/vitx-cli" $command > "$out" 2> "$err"
    status=$?
    if installed=$("$folder/far/away/vitx-cli" info | sed -n 's/^model  *\(\/.*\)/\1/p') && [ -n "$installed" ]; then
        exists "$installed/model.safetensors"
        gives 0
    else
        gives 1
        out_lines 0
        err_lines 1
        err_has "vitx-cli: no bundled model in $folder/far/share/vitx/scenes, $folder/far/weights/scenes, $folder/weights/scenes or "
        err_has "; -m MODEL takes another"
    fi
done
"$folder/far/away/vitx-cli" info --json > "$out" 2> "$err"
status=$?
gives 0
out_has '"bundled":(null|\{.*\})\}$'
"$folder/far/away/vitx-cli" classify -m $model $picture > "$out" 2> "$err"
status=$?
gives 0

# ---------------------------------------------------------------- languages ------------------
cp -r $model "$folder/languages"
printf '丁鲷\n金鱼\n大白鲨\n虎鲨\n双髻鲨\n魟鱼\n母鸡\n' > "$folder/languages/labels.zh.txt"
printf 'Schleie\nGoldfisch\nHai\n' > "$folder/languages/labels.de.txt"
l="-m $folder/languages"
# shellcheck disable=SC2086
{
    right classify $l --lang zh --top all $picture
    out_has '^ +-?[0-9]+\.[0-9]{5}  0\.[0-9]{4}  6  母鸡$'
    right classify $l --lang zh --top all --json $picture
    out_has '"index":2,"label":"大白鲨",'
    right classify $l/model.safetensors --lang zh --top all $picture
    out_has '  金鱼$'
    right classify $l --lang en --top all $picture
    out_has '  6  hen$'
    right explain $l --lang zh --method generic --target 母鸡 --versus 金鱼 -o "$folder/zh.json" $picture
    out_has "^$folder/zh.json  generic  6 母鸡 versus 1 金鱼\$"
    grep -q '"target":6,"label":"母鸡".*"versus":1,' "$folder/zh.json" || fail "zh.json: $(head -c 300 "$folder/zh.json")"
    right eval $l --lang zh --method rollout --metric sparseness --target 大白鲨 --json $picture
    out_has '"target":2,"label":"大白鲨",'
    right stats $l --lang zh $picture
    right bench $l --lang zh --runs 1 --method generic --target 母鸡
    wrong "names none of the 7 classes" explain $l --method generic --target 母鸡 -o "$folder/x.png" $picture
    wrong "names none of the 7 classes" explain $l --lang zh --method generic --target hen -o "$folder/x.png" $picture
    wrong "--labels and --lang: one of them" classify $l --lang zh --labels "$folder/labels.txt" $picture
    wrong "--labels and --lang: one of them" info --lang zh --labels "$folder/labels.txt"
    wrong 'the language "../zh" is none' classify $l --lang ../zh $picture
    wrong "--lang is empty" info --lang=
    wrong 'the language "x_y" is none' info --lang x_y
    check "a language the model does not speak"
    run classify $l --lang fr $picture
    gives 1
    out_lines 0
    err_lines 1
    err_has "vitx-cli: $folder/languages: no class names in the language \"fr\": there is no labels.fr.txt"
    check "a language with too few names"
    run explain $l --lang de --method rollout -o "$folder/x.png" $picture
    gives 1
    out_lines 0
    err_lines 1
    err_has "vitx-cli: $folder/languages/labels.de.txt: 3 class names, but the model has 7 classes"
}

# ---------------------------------------------------------------- models that fail -----------
check "a model that is not there"
run classify -m "$folder/nothing" $picture
gives 1
out_lines 0
err_lines 1
err_has "vitx-cli: $folder/nothing"
check "labels that are not there"
run classify -m $model --labels "$folder/no labels" $picture
gives 1
err_lines 1
err_has "vitx-cli: $folder/no labels: "
check "weights that were cut short"
mkdir "$folder/cut"
cp $model/config.json "$folder/cut"
head -c 20000 $model/model.safetensors > "$folder/cut/model.safetensors"
for command in "classify" "explain --method rollout -o $folder/x.png" "stats" "info" "bench"; do
    files=$picture
    [ "$command" = info ] && files=
    # shellcheck disable=SC2086
    run $command -m "$folder/cut" $files
    gives 1
    out_lines 0
    err_lines 1
    err_has "vitx-cli: $folder/cut/model.safetensors: "
done

# ---------------------------------------------------------------- explain --------------------
x="explain -m $model --method rollout"
wrong "needs --method" explain -m $model -o "$folder/x.png" $picture
# shellcheck disable=SC2086
{
    wrong "needs -o OUT" $x $picture
    wrong "needs at least one picture" $x -o "$folder/x.png"
    wrong "must end in one of .png, .npy, .json" $x -o "$folder/x.gif" $picture
    wrong "must end in one of .png, .npy, .json" $x -o "$folder/png" $picture
    wrong "no field {picture}" $x -o "$folder/{picture}.png" $picture
    wrong "two maps would be written" $x -o "$folder/x.png" $picture $model/../picture.png
    wrong "two maps would be written" $x -o "$folder/x{image}.png" $picture "$folder/../${folder##*/}/1.png" "$folder/1.png"
    wrong "two maps would be written" $x -o "$folder/{target}.png" "$folder/1.png" "$folder/2.png"
    wrong "two maps would be written" $x,attention -o "$folder/{image}.png" $picture
    wrong "two maps would be written" $x -o "$folder/{target}.png" --target 0 --target tench $picture
    wrong "two maps would be written" $x,generic -o "$folder/{image}.{method}.png" --target 1 --target 2 $picture
    wrong "would replace the picture" $x -o "$folder/{image}.png" "$folder/1.png"
    wrong "would replace the picture" $x -o "$folder/./1.png" "$folder/1.png"
    # another picture than the map's own, by another name
    cp $picture "$folder/1.map.png"
    wrong "would replace the picture" $x -o "$folder/{image}.map.png" "$folder/1.png" "$folder/./1.map.png"
    rm "$folder/1.map.png"
    wrong "the model has 3 blocks" $x --layer 99 -o "$folder/x.png" $picture
    wrong "the model has 3 heads" $x --head 3 -o "$folder/x.png" $picture
    wrong "--layer is \"-1\"" $x --layer -1 -o "$folder/x.png" $picture
    wrong "takes no query" explain -m $model --method gradcam --query 3 -o "$folder/x.png" $picture
    wrong "--query" $x --query 26 -o "$folder/x.png" $picture
    wrong "5 rows and 5 columns" $x --query 5,0 -o "$folder/x.png" $picture
    wrong "row,col" $x --query 1,2,3 -o "$folder/x.png" $picture
    wrong "row,col" $x --query 9999999999,1x -o "$folder/x.png" $picture
    wrong "5 rows and 5 columns" $x --query 1,99999999999999999999 -o "$folder/x.png" $picture
    wrong "row,col" $x --query a -o "$folder/x.png" $picture
    wrong "--target 7" $x --target 7 -o "$folder/x.png" $picture
    wrong "--target unicorn" $x --target unicorn -o "$folder/x.png" $picture
    wrong "--versus unicorn" $x --versus unicorn -o "$folder/x.png" $picture
    wrong "--versus is for --score difference" $x --score logit --versus 1 -o "$folder/x.png" $picture
    wrong "compare with no picture" $x --baseline $picture -o "$folder/x.png" $picture
    wrong "did you mean viridis?" $x --colormap viridi -o "$folder/x.png" $picture
    wrong "KEY=VALUE" $x --set discard -o "$folder/x.png" $picture
    wrong "no such option" $x --set colour=red -o "$folder/x.png" $picture
    wrong "explain: rollout: discard=2" $x,attention --set discard=2 -o "$folder/x.{method}.png" $picture
}
wrong "did you mean rollout?" explain -m $model --method rolout -o "$folder/x.png" $picture
wrong 'no method "magic"; there are attention' explain -m $model --method magic -o "$folder/x.png" $picture
wrong "no class token" explain -m $models/vit-timm-no-class-token --method attention --query cls -o "$folder/x.png" $picture
[ -e "$folder/x.png" ] && fail "wrong usage wrote a file"

right explain -m $model --method rollout -o "$folder/map.png" $picture
out_lines 1
out_has "^$folder/map.png  rollout  [0-6] [a-z ]+\$"
exists "$folder/map.png"
right explain -m $model --method rollout --quiet -o "$folder/map.json" $picture
out_lines 0
exists "$folder/map.json"
check "the json of a map"
cp "$folder/map.json" "$out"
out_has "^\\{\"image\":\"$picture\",\"method\":\"rollout\",\"target\":[0-6],\"label\":\"[a-z ]+\",\"logit\":$number,"
out_has '"shape":\[5,5\],"grid":\[5,5\],"picture":\[47,61\],"seen":\['
out_has '"values":\[\[.*\]\]\}$'

right explain -m $model --method attention,rollout --target hen --target 3 --batch 2 --threads 1 \
    -o "$folder/new/{image}/{method}.{target}.npy" "$folder/1.png" "$folder/2.png" "$folder/3.png"
out_lines 12
for i in 1 2 3; do
    for method in attention rollout; do
        for target in 6 3; do
            exists "$folder/new/$i/$method.$target.npy"
        done
    done
done
check "an npy: magic, version 1.0, shape, size"
npy=$folder/new/1/rollout.6.npy
[ "$(head -c 8 "$npy" | od -An -tx1 | tr -d ' ')" = 934e554d50590100 ] || fail "magic bytes"
grep -qaF "{'descr': '<f4', 'fortran_order': False, 'shape': (5, 5), }" "$npy" || fail "header"
[ "$(stat -c %s "$npy")" = $((128 + 4 * 25)) ] || fail "$(stat -c %s "$npy") bytes"
cmp -s "$folder/new/1/rollout.6.npy" "$folder/new/2/rollout.6.npy" || fail "one picture, two maps"

check "one map of a method that knows no class, but for each class's own file"
right explain -m $model --method attention,rollout --target hen --target 3 -o "$folder/{method}.npy" $picture
out_lines 2
right explain -m $model --method rollout --target hen --target 3 -o "$folder/same.json" $picture
out_lines 1
grep -q '"target":6,"label":"hen"' "$folder/same.json" || fail "the map is not of the first class"
right explain -m $model --method rollout --target hen --target 3 -o "$folder/same.{target}.json" $picture
out_lines 2
grep -q '"target":3,' "$folder/same.3.json" || fail "same.3.json is of another class"
check "guesses are heard"
mkdir "$folder/bare"
cp test/golden/models/vit-hf/model.safetensors test/golden/models/vit-hf/config.json "$folder/bare"
run classify -m "$folder/bare" $picture
gives 0
err_lines 1
err_has "vitx-cli: warning: $folder/bare: guessed, since no file beside it says so: mean"
right classify -m "$folder/bare" --quiet $picture
right info -m "$folder/bare" --json --quiet
out_has '"guesses":"mean 0.5'
check "what is explained, and against what"
right explain -m $model --method generic --target 1 -o "$folder/logit.json" $picture
grep -qE '"logit":([^,]+),.*"score":"logit","versus":null,"value":\1,"base_value":null,"completeness_error":null,"forwards":0,' "$folder/logit.json" ||
    fail "no logit is explained: $(head -c 400 "$folder/logit.json")"
right explain -m $model --method generic --target 1 --score probability -o "$folder/p.json" $picture
grep -qE '"probability":([^,]+),"score":"probability","versus":null,"value":\1,' "$folder/p.json" || fail "no probability is explained"
right classify -m $model --outputs sigmoid --json --top 1 $picture
sigmoid=$(sed 's/.*"probability":\([^,]*\),.*/\1/' "$out")
right classify -m $model --json --top 1 $picture
[ "$sigmoid" != "$(sed 's/.*"probability":\([^,]*\),.*/\1/' "$out")" ] || fail "a sigmoid is a softmax"
right classify -m $model --outputs none --json --top 1 $picture
out_has '"probability":null,"logit":-?[0-9]'
right classify -m $model --outputs none --top 1 $picture
out_has '^ +-?[0-9]+\.[0-9]{5}       -  [0-6]  [a-z ]+$'
right info -m $model --outputs sigmoid
out_has '^outputs         sigmoid  \(options\)$'
right info -m $model --json
out_has '"outputs":"softmax"'
wrong "--outputs is" classify -m $model --outputs logits $picture
wrong "plain numbers" explain -m $model --outputs none --method gradcam --score probability -o "$folder/p.json" $picture
right explain -m $model --outputs none --method lime --set n=20 -o "$folder/p.json" $picture
grep -q '"probability":null,"score":"logit"' "$folder/p.json" || fail "a plain number has a probability"
wrong "plain numbers" eval -m $model --outputs none --method gradcam --score probability $picture
right eval -m $model --method gradcam --score logit --metric deletion --json $picture
logit=$(cat "$out")
right eval -m $model --method gradcam --score probability --metric deletion --json $picture
[ "$logit" != "$(cat "$out")" ] || fail "curves of the logit are those of the probability"
for versus in 6 hen; do
    right explain -m $model --method generic --target 1 --versus $versus -o "$folder/versus.$versus.json" $picture
    grep -q '"score":"difference","versus":6,"value":-\?[0-9]' "$folder/versus.$versus.json" || fail "no difference is explained"
done
right explain -m $model --method generic --target 1 --score difference --versus 6 -o "$folder/difference.json" $picture
cmp -s "$folder/difference.json" "$folder/versus.hen.json" || fail "--versus alone is another difference"
cmp -s "$folder/difference.json" "$folder/logit.json" && fail "the difference is the logit"
right explain -m $model --method generic --target 1 --score difference -o "$folder/second.json" $picture
grep -q '"score":"difference","versus":[0-6],' "$folder/second.json" || fail "no second class"
wrong "that is the target" explain -m $model --method generic --target 1 --versus 1 -o "$folder/x.png" $picture
run classify -m $model --top 1 --json $picture
top=$(grep -oE '"index":[0-9]+' "$out" | grep -oE '[0-9]+')
run explain -m $model --method generic,rollout --versus "$top" -o "$folder/x.{method}.npy" $picture
gives 1
out_lines 1
err_lines 1
err_has "$picture: generic: "
check "how values become colours"
for scale in auto max minmax p99 signed signed-p99; do
    right explain -m $model --method rollout --scale $scale -o "$folder/$scale.png" $picture
done
right explain -m $model --method rollout -o "$folder/none.png" $picture
cmp -s "$folder/none.png" "$folder/auto.png" || fail "auto is not the default"
cmp -s "$folder/max.png" "$folder/auto.png" || fail "auto is not max for a rollout"
cmp -s "$folder/max.png" "$folder/signed.png" && fail "signed is max"
right explain -m $model --method rollout --json $picture
most=$(grep -oE '"max":[0-9.e-]+' "$out" | cut -d: -f2)
right explain -m $model --method rollout --scale "0,$most" -o "$folder/range.png" $picture
cmp -s "$folder/max.png" "$folder/range.png" || fail "0 to the maximum is not max"
right explain -m $model --method rollout --scale "-$most,$most" -o "$folder/range.png" $picture
cmp -s "$folder/signed.png" "$folder/range.png" || fail "-maximum to maximum is not signed"
right explain -m $model --method rollout --scale "0,1" -o "$folder/range.png" $picture
cmp -s "$folder/max.png" "$folder/range.png" && fail "0 to 1 is max"
for range in 1,0 0,0 '0,' ,1 '0,1,' 0,x nan,1 0,inf maximum; do
    wrong "two numbers LOW,HIGH" explain -m $model --method rollout --scale "$range" -o "$folder/x.png" $picture
done
for colormap in coolwarm rdbu turbo; do
    right explain -m $model --method rollout --scale signed --colormap $colormap -o "$folder/$colormap.png" $picture
done
cmp -s "$folder/coolwarm.png" "$folder/signed.png" || fail "coolwarm is not the default of --scale signed"
cmp -s "$folder/rdbu.png" "$folder/signed.png" && fail "rdbu is coolwarm"

right explain -m $model --method attention --layer all --head all -o "$folder/all.npy" $picture
grep -qaF "'shape': (3, 3, 5, 5)" "$folder/all.npy" || fail "layers and heads are no leading axes"
right explain -m $model --method attention --layer all --head all --layout side --colorbar --colormap viridis --scale p99 -o "$folder/all.png" $picture
exists "$folder/all.png"
right explain -m $model --method rollout,attention --set discard=0.5 --frame input --layout map --alpha 1 --query 2,3 -o "$folder/{method}.PNG" $picture
exists "$folder/attention.PNG"
right explain -m $model --method attention --query cls --layer 0 --head 2 -o "$folder/cls.npy" $picture
right explain -m $model --method attention --query 0 --layer 0 --head 2 -o "$folder/0.npy" $picture
cmp -s "$folder/cls.npy" "$folder/0.npy" || fail "cls is not token 0"
right explain -m $model --method attention --query 1,0 -o "$folder/patch.npy" $picture
right explain -m $model --method attention --query 6 -o "$folder/6.npy" $picture
cmp -s "$folder/patch.npy" "$folder/6.npy" || fail "patch 1,0 is not token 6"

check "one bad picture does not stop the others"
for batch in 1 4; do
    rm -rf "$folder/some"
    run explain -m $model --method rollout --batch $batch -o "$folder/some/{image}.png" "$folder/1.png" "$folder/text.jpg" "$folder/2.png"
    gives 1
    out_lines 2
    err_lines 1
    err_has "vitx-cli: $folder/text.jpg: "
    exists "$folder/some/2.png"
done

check "a file that cannot be written"
run explain -m $model --method rollout -o /dev/null/x.png $picture
gives 1
out_lines 0
err_lines 1
err_has "/dev/null/x.png"
run explain -m $model --method rollout -o "/dev/null/{image}.png" $picture
gives 1
out_lines 0
err_lines 1
run explain -m $model --method rollout -o "$folder/not/there.png" $picture
gives 1
err_lines 1
err_has "$folder/not/there.png"

check "a budget that is too small"
run explain -m $model --method rollout --budget 100 -o "$folder/x.png" $picture
gives 1
out_lines 0
err_lines 1
err_has "$picture: rollout: "
check "a budget that is too small for one method costs the others nothing"
for batch in 1 3; do
    rm -rf "$folder/some"
    run explain -m $model --method attention,rollout --budget 4000 --batch $batch -o "$folder/some/{image}.{method}.npy" "$folder"/[1-3].png
    gives 1
    out_lines 3
    err_lines 3
    err_has "vitx-cli: $folder/2.png: rollout: "
    exists "$folder/some/3.attention.npy"
    [ -e "$folder/some/3.rollout.npy" ] && fail "a rollout within 4000 bytes"
done

# ---------------------------------------------------------------- stats ----------------------
wrong "needs at least one picture" stats -m $model
wrong "did you mean distance?" stats -m $model --stat distanc $picture
wrong 'no statistic "x"; there are entropy, distance, gini' stats -m $model --stat x $picture
wrong "did you mean viridis?" stats -m $model --colormap viridi $picture
wrong "must end in .png or .json" stats -m $model -o "$folder/x.npy" $picture
wrong "must end in .png or .json" stats -m $model -o "$folder/png" $picture
wrong "would replace the picture" stats -m $model -o "$folder/./1.png" "$folder/1.png"
right stats -m $model $picture
out_lines $((3 + 3 * 3))
out_has '^1 picture, 3 layers x 3 heads, 26 tokens, 1 of them before the patches$'
out_has '^attention alike to all has entropy 3.258, distance '
out_has '^layer  head  entropy  distance    gini   top10  prefix    sink  similarity   focus  pattern$'
out_has '^    2     1 ( +[0-9]+\.[0-9]+){8}  (sink|local|mixed|global)$'
right stats -m $model --stat sink $picture
out_has '^share that the patches give the class token$'
out_has '^mean          head 0    head 1    head 2$'
out_lines 7
right stats -m $model --stat sink --batch 2 "$folder"/[1-3].png
out_has '^spread        head 0    head 1    head 2$'
out_has '^3 pictures, '
out_lines 11
right stats -m $model --json -o "$folder/stats.json" --batch 3 "$folder"/[1-4].png
out_lines 1
out_has "^\\{\"model\":\"$model\",\"pictures\":4,\"layers\":3,\"heads\":3,\"tokens\":26,"
out_has '"statistics":\{"entropy":\{"mean":\[\[[0-9.]+,[0-9.]+,[0-9.]+\],\['
out_has '"warnings":\[\]\}$'
cmp -s "$out" "$folder/stats.json" || fail "-o x.json is not what --json prints"
right stats -m $model --stat focus --colormap inferno -o "$folder/stats.png" $picture
exists "$folder/stats.png"
right classify -m $model --top 1 "$folder/stats.png"
right stats -m $models/vit-timm-oblong $picture
right stats -m $models/deit-hf --device ref --threads 1 $picture
out_has ', 2 of them before the patches$'
check "one bad picture is left out of the statistics"
for batch in 1 4; do
    run stats -m $model --batch $batch "$folder/1.png" "$folder/text.jpg" "$folder/2.png"
    gives 1
    out_has '^2 pictures, '
    err_lines 1
    err_has "vitx-cli: $folder/text.jpg: "
done
run stats -m $model "$folder/text.jpg"
gives 1
out_lines 0
err_lines 1
check "statistics that cannot be written"
run stats -m $model -o /dev/null/x.png $picture
gives 1
out_lines 0 # it is seen before the work
err_lines 1
err_has "/dev/null/x.png"
if [ -e /dev/full ]; then
    ln -s /dev/full "$folder/full.png"
    run stats -m $model -o "$folder/full.png" $picture
    gives 1
    out_lines 12
    err_lines 1
    err_has "$folder/full.png: No space left"
fi
check "a budget too small for one block"
run stats -m $model --budget 100 $picture
gives 1
out_lines 0
err_lines 1
err_has "recording the attention of one block of one picture takes 8112 bytes, the budget is 100"

# ---------------------------------------------------------------- eval -----------------------
wrong "needs at least one picture" eval -m $model --method rollout
wrong "needs --method NAME" eval -m $model $picture
wrong "did you mean rollout?" eval -m $model --method rollut $picture
wrong "did you mean deletion?" eval -m $model --method rollout --metric deletoin $picture
wrong 'no metric "x"; there are insertion, deletion' eval -m $model --method rollout --metric x $picture
wrong 'metric road has no value "best"' eval -m $model --method rollout --metric road.best $picture
wrong "--metric iou needs --mask or --box" eval -m $model --method rollout --metric iou $picture
wrong "--mask and --box: one of them" eval -m $model --method rollout --mask $picture --box 0,0,1,1 $picture
for box in 0,0,5 0,0,5,x 0,0,5,-5 0,0,5,5,5 "" 1.5,0,3,3 0,0,99999,5; do
    wrong "it takes x0,y0,x1,y1" eval -m $model --method rollout --box "$box" $picture
done
wrong "must be larger" eval -m $model --method rollout --box 5,5,5,9 $picture
wrong "--set is \"step\"" eval -m $model --method rollout --set step $picture
wrong 'no metric "iou" was chosen' eval -m $model --method rollout --set iou.x=1 $picture
wrong 'metric deletion has no option "steps"' eval -m $model --method rollout --set deletion.steps=4 $picture
wrong "deletion: step=0: a whole number" eval -m $model --method rollout --set deletion.step=0 $picture
wrong "the chosen methods have no such option" eval -m $model --method rollout --set step=4 $picture
wrong "rollout: discard=1" eval -m $model --method rollout --set discard=1 $picture
wrong "the model has 3 blocks" eval -m $model --method rollout --layer 3 $picture
wrong "--target 7" eval -m $model --method rollout --target 7 $picture
wrong "must end in .png or .npy" eval -m $model --method rollout --curves "$folder/x.json" $picture
wrong "{metric} in the name" eval -m $model --method rollout --curves "$folder/x.png" $picture
wrong "have no curves" eval -m $model --method rollout --metric sparseness --curves "$folder/x.png" $picture
wrong "would replace the picture" eval -m $model --method rollout --metric road --curves "$folder/./1.png" "$folder/1.png"
wrong "--metric follows needs --other" eval -m $model --method rollout --metric follows --box 1,1,9,9 $picture
wrong "--other needs --mask or --box" eval -m $model --method rollout --other $picture $picture
wrong "would replace the picture" eval -m $model --method rollout --metric road --box 1,1,9,9 --other "$folder/2.png" --curves "$folder/2.png" "$folder/1.png"
wrong "rollout: discard=2" eval -m $model --method rollout --set rollout.discard=2 $picture
wrong "the chosen methods have no such option" eval -m $model --method rollout --set rollout.steps=2 $picture
wrong 'nor a method with --method' eval -m $model --method rollout --set rise.n=4 $picture
wrong "the chosen methods have no such option" explain -m $model --method rollout --set rise.n=4 -o "$folder/x.png" $picture
right eval --list
out_has '^insertion-patch$'
out_has '^    --set road.noise=0.01  \(0 to 1\)$'
out_has '^    also       road.morf, road.lerf$'
right eval -m $model --method rollout,generic --metric all $picture
out_has '^1 picture$'
out_has '^         +insertion +deletion +insertion-patch +deletion-patch +road +sensitivity +infidelity +randomisation +sparseness$'
out_has '^better +higher +lower +higher +lower +higher +lower +lower +lower +higher$'
out_has '^rollout +[01]\.[0-9]{3} +[01]\.[0-9]{3} '
out_has '^random .* -  .* -  '
out_has '^centre '
out_lines 8
right eval -m $model --method rollout --metric road,road.morf,road.lerf,road --no-baselines "$folder"/[1-3].png
out_has '^3 pictures: mean \+- standard error$'
out_has '^ +road +road.morf +road.lerf$'
out_has '^rollout +-?[0-9.e-]+ \+- [0-9.e-]+ +[0-9.]+ \+- [0-9.e-]+ '
out_lines 5
right eval -m $model --method rollout,attention --metric deletion,sparseness --set deletion.step=400 --set discard=0.5 --json "$folder"/[1-2].png
out_lines 8
out_has '^\{"image":"[^"]*1.png","method":"rollout","target":[0-6],"label":"[^"]*","probability":0\.[0-9]+,"values":\{"deletion":0\.[0-9]+,"sparseness":0\.[0-9]+,"sparseness.entropy":0\.[0-9]+\}\}$'
out_has '"method":"centre"'
right eval -m $model --method rollout --metric deletion,road --curves "$folder/curves/{metric}.png" $picture
right classify -m $model --top 1 "$folder/curves/deletion.png"
right classify -m $model --top 1 "$folder/curves/road.png"
right eval -m $model --method rollout --metric road --curves "$folder/road.npy" $picture
grep -aq "'shape': (7, 9)" "$folder/road.npy" || fail "the curves of road have another shape"
right eval -m $model --method rollout --metric pointing,energy,iou,roc --box 10,5,30,20 --box 40,30,50,40 $picture
out_has '^rollout +[01]\.000 +0\.[0-9]{3} +0\.[0-9]{3} +0\.[0-9]{3}$'
right eval -m $model --method rollout --box 10,5,30,20 $picture
out_has 'insertion +deletion +road +pointing +energy +iou +roc$'
cp $picture "$folder/mask-1.png"
right eval -m $model --method rollout --metric energy --mask "$folder/mask-{image}.png" "$folder/1.png"
out_has '^rollout +1.000$'
right eval -m $model --method rollout --other "$folder/mask-{image}.png" --box 10,5,30,20 "$folder/1.png"
out_has 'energy +iou +roc +follows$'
out_has '^rollout .* (0\.000|0\.500|1\.000)$'
check "a second mask of another size"
"$cli" explain -m $model --method attention --layout map --frame input --quiet -o "$folder/small.png" $picture
run eval -m $model --method rollout --metric follows --other "$folder/small.png" --box 10,5,30,20 $picture
gives 1
err_lines 1
err_has 'the masks are 61 x 47 and 40 x 40 pixels'
wrong '--score is "best"' eval -m $model --method gradcam --score best $picture
right eval -m $model --method gradcam,rollout --metric energy --box 10,5,30,20 --json $picture
cp "$out" "$folder/logit"
right eval -m $model --method gradcam,rollout --metric energy --box 10,5,30,20 --json --score difference $picture
[ "$(diff "$folder/logit" "$out" | grep -c '^>')" = 1 ] || fail "--score does not change the map of gradcam alone"
right eval -m $model --method all --metric sparseness --set rise.n=8 --set lime.n=8 --set kernelshap.n=50 $picture
out_lines $((2 + 2 + $("$cli" methods --json | wc -l) + 2))
right eval -m $model --method occlusion,rise --metric sparseness --no-baselines --set rise.n=8 --set rise.seed=3 --json $picture
cp "$out" "$folder/own"
right eval -m $model --method occlusion,rise --metric sparseness --no-baselines --set n=8 --set seed=3 --json $picture
cmp -s "$out" "$folder/own" || fail "--set rise.n is not --set n"
check "a mask that lies where the model does not look, and one of another size: the rest is done"
run eval -m $model --method rollout --metric sparseness,iou,roc --box 0,0,1,40 "$folder"/[1-2].png
gives 1
err_lines 4 # two metrics of two pictures, once each
err_has '1.png: iou: the mask is empty where the model looks'
out_has '^rollout +0\.[0-9]+ \+- [0-9.e-]+ +- +-$'
"$cli" explain -m $model --method attention --layout map --frame input --quiet -o "$folder/small.png" $picture
run eval -m $model --method rollout --metric iou --mask "$folder/small.png" $picture
gives 1
err_has 'iou: the mask is 40 x 40 pixels, the picture 61 x 47'
run eval -m $model --method rollout --metric road "$folder/missing.png" $picture
gives 1
err_lines 1
out_has '^1 picture$'
run eval -m $model --method rollout --metric iou --mask "$folder/no-{image}.png" $picture
gives 1
out_lines 0

check "a long evaluation says how long, before the work"
: > "$err"
timeout 60 "$cli" eval -m $model --method rise --set n=1000000 --metric deletion $picture > "$out" 2> "$err" &
for ((i = 0; i < 500; i++)); do
    [ -s "$err" ] && break
    sleep 0.1
done
kill $! 2> /dev/null
wait $! 2> /dev/null
grep -qE '^vitx-cli: eval: about 1000[0-9]{3} forward passes$' "$err" || fail "it says: $(cat "$err")"

# ---------------------------------------------------------------- methods, info --------------
right methods
out_has '^name +cost +what$'
out_has '^attention +1 forward +[a-z]'
out_has '^rollout +1 forward +[a-z]'
awk 'length > 100 { exit 1 }' "$out" || fail "the list is wider than 100 columns"
methods=$(($(grep -c '^[a-z]' "$out") - 1)) # what is wrapped goes on behind blanks
right methods --json
out_lines "$methods"
out_has '^\{"name":"rollout","summary":".*","cost":".*","reference":".*","uses_target":(true|false),"options":\[\{"key":".*\],"is_signed":(true|false),"on_pixels":(true|false)\}$'
right methods rollout
out_has '^rollout$'
out_has '^    cost +1 forward$'
out_has '^    target +the map is the same for every class$'
out_has '^    --set discard=0  \(0 to below 1\)$'
grep -q attention$ "$out" && fail "methods rollout speaks of attention"
right methods rollout attention
out_has '^attention$'
right methods --json attention
out_lines 1
wrong "did you mean rollout?" methods attention rolout
right info
out_has '^version'
out_has '^devices +cpu'
out_has '^formats +png, npy, json'
out_has '^colormaps +turbo, viridis, inferno, jet, grey, coolwarm, rdbu$'
right info --json
out_lines 1
out_has '^\{"version":".*"devices":\["cpu".*"formats":\["png","npy","json"'
for m in "$models"/*/; do
    right info -m "$m"
    out_has '^family'
    out_has '^recipe'
    out_has 'heads fused +[0-9]+ bytes'
    right info --json -m "$m"
    out_lines 1
    out_has '^\{"model":".*"trace_bytes":\{"row":[0-9]+,"fused":[0-9]+,"all":[0-9]+,"all_f16":[0-9]+\}\}$'
done
# Each model's drawing: the picture, its tokens, what the head reads, the answer.
draws() { # model, line of tokens, line of pooling, last line
    right info -m "$models/$1"
    sed -n '3p;5p;7p' "$out" | tr '\n' '|' > "$folder/drawn"
    [ "$(cat "$folder/drawn")" = "  $2|  $3|  $4|" ] || fail "$1 is drawn as $(cat "$folder/drawn")"
}
draws vit-timm "class token + 25 patches, 24 wide" "class token" "7 classes"
draws deit-timm-distilled "class token + distillation token + 25 patches, 24 wide" \
    "class token and distillation token; the mean of both answers" "7 classes"
draws dinov2-hf-registers-swiglu "class token + 4 registers + 25 patches, 24 wide" \
    "class token and mean of the patches, one behind the other" "7 classes"
out_has '^     \|    2 x \[ norm - attention, 3 heads of 8 - add - norm - mlp 32, swiglu - add \]$'
draws vit-timm-registers-gap "4 registers + 25 patches, 24 wide" "mean of the patches" "7 classes"
draws siglip-hf "25 patches, 24 wide" "attention of a learnt query, and its mlp" "embedding of 24 numbers"
draws vit-hf-bare "class token + 25 patches, 24 wide" "class token" "embedding of 24 numbers"
draws vit-hf-margin "class token + 16 patches, 24 wide" "class token" "7 classes"
out_has '^     \|    4 x 4 patches of 5 x 5, a margin is not seen$'
wrong "takes no files" info -m $model $picture

# ---------------------------------------------------------------- bench ----------------------
wrong "did you mean rollout?" bench -m $model --method attention+rolout
wrong "--runs is" bench -m $model --runs 0
wrong "--record is" bench -m $model --record many
wrong "--target unicorn" bench -m $model --target unicorn --method rollout
wrong "the model has 3 blocks" bench -m $model --layer 3 --method rollout
wrong "KEY=VALUE" bench -m $model --method rollout --set discard
wrong "no such option" bench -m $model --method attention --set discard=0.5
wrong "empty name" bench -m $model --method attention++rollout
wrong "bench: rollout: discard=2" bench -m $model --method attention,rollout --set discard=2
right bench -m $model --runs 1 --record all
right bench -m $model --runs 2 --threads 1
out_lines 2
out_has '^what +batch +threads'
out_has '^forward +1 +1 +f32 '
right bench -m $model --runs 2 --threads 1 --batch 3 --json --method rollout,attention+rollout
out_lines 3
row='"batch":3,"threads":1,"precision":"f32","median_ms":[0-9.]+,"min_ms":[0-9.]+,"runs":2,"peak_rss_mb":[0-9.]+,"forwards":[0-9.]+\}'
out_has "^\\{\"what\":\"forward\",$row\$"
out_has "^\\{\"what\":\"rollout\",$row\$"
out_has "^\\{\"what\":\"attention\\+rollout\",$row\$"
grep -q '^{"what":"forward".*,"forwards":1.00}$' "$out" || fail "a forward is not one forward: $(cat "$out")"
right bench -m $model --runs 1 --method rollout,attention+rollout --set discard=0.5 --set fuse=max --target hen --layer 1
out_lines 4
out_has '^what .* forwards$'
right bench -m $model --runs 1 --method attention --layer all
right bench -m $model --runs 1 --ops --method generic
out_has '^peak: [0-9.]+ GFLOP/s in a product, [0-9.]+ GB/s in a copy$'
out_has '^  linear +[0-9.]+ +[0-9.]+ +[0-9.]+ +[0-9.]+ +[0-9.]+ +[0-9.]+$'
out_has '^  linear_bwd '
out_has '^  outside of operations '
right bench -m $model --runs 1 --ops --json
out_has '^\{"what":"forward","op":"linear","calls":13.0,"ms":[0-9.]+,"share":[0-9.]+,"gflops":[0-9.]+,"gbs":[0-9.nul]+,"of_peak":[0-9.]+\}$'
out_has '^\{"what":"forward","op":null,'
right bench -m $model --seconds 0 --json --fit recipe $picture $picture
out_has '"runs":5,'

# ---------------------------------------------------------------- sizes and fits -------------
wrong "an input of height 41: no multiple of the patch's 8 pixels; 40 and 48 are" classify --size 41 -m $model $picture
wrong "width 4: no multiple of the patch's 8 pixels; 8 is" classify --size 40x4 -m $model $picture
wrong 'no way to resample "timn"; did you mean timm?' classify --size 48 --pos-resample timn -m $model $picture
wrong "with --fit keep each picture has a grid of its own" \
    explain -m $model --fit keep --method attention --query 1,1 -o "$folder/q.png" $picture
for fit in recipe squash crop pad keep; do
    for size in 24x48 64; do
        right classify -m $model --fit $fit --size $size --top 1 $picture
        right explain -m $model --fit $fit --size $size --method gradcam,saliency --quiet \
            -o "$folder/$fit.$size.{method}.png" $picture
        exists "$folder/$fit.$size.gradcam.png"
    done
done
right stats -m $model --size 24x48 $picture
out_has ' 19 tokens'
right eval -m $model --size 24x48 --fit pad --method gradcam --metric insertion,road $picture
right bench -m $model --size 24x48 --runs 1 --method rollout
out_lines 3
right info -m $model --size 24x48
out_has 'grid 3 x 6$'
out_has '^tokens +19,'
out_has '^positions +5 x 5, resampled to the grid as timm does$'
out_has '^  input +24 x 48  \(options\)$'
out_has '^  picture 3 x 24 x 48$'
out_has '^     \|    3 x 6 patches of 8 x 8$'
out_has '^activations +[0-9]+ bytes'
right info -m $model --size 24x48 --json --pos-resample hf
out_has '"grid":\[3,6\]'
out_has '"positions":\[5,5\],"pos_resample":"hf","activation_bytes":[0-9]+,'
right info -m $model --json
out_has '"positions":\[5,5\],"pos_resample":null'
right info -m $model --fit keep --max-tokens 99
out_has "each picture's own, of at most 99 tokens"
right classify -m $model --size 48 --json $picture
timm=$(cat "$out")
right classify -m $model --size 48 --json --pos-resample open_clip $picture
[ "$timm" = "$(cat "$out")" ] || fail "open_clip resamples otherwise than timm"
right classify -m $model --size 48 --json --pos-resample jax $picture
[ "$timm" != "$(cat "$out")" ] || fail "--pos-resample changes nothing"
right classify -m $model --json $picture
own=$(cat "$out")
right classify -m $model --json --size 40x40 --pos-resample jax $picture
[ "$own" = "$(cat "$out")" ] || fail "the model's own size is resampled"

check "memory and tokens past the bounds: one line, nothing done"
run classify -m $model --size 480 --memory 100K $picture
gives 1
err_lines 1
err_has "480 x 480 pixels makes 3601 tokens"
err_has "or raise --memory"
run explain -m $model --method rollout --budget 1K -o "$folder/budget.png" $picture
gives 1
err_has "or raise --budget"
run classify -m $model --fit keep --max-tokens 20 --batch 2 $picture $picture
gives 1
err_lines 2
err_has "61 x 47 pixels makes 49 tokens (6 rows of 8 patches), --max-tokens is 20: take a smaller size"

check "pictures of several sizes in one batch"
small=test/golden/image/2_8.png # 11 x 7: one patch
right classify -m $model --fit keep --batch 4 --top 1 $picture $small $picture
out_lines 6
right explain -m $model --fit keep --batch 4 --method gradcam -o "$folder/keep{image}.png" $picture $small
exists "$folder/keeppicture.png"
exists "$folder/keep2_8.png"

check "options that the picture's own grid decides on"
cp $small "$folder/small.png"
run explain -m $model --fit keep --method occlusion,kernelshap --set window=6 --set n=96 -o "$folder/{image}-{method}.npy" \
    $picture "$folder/small.png"
gives 1
out_lines 3
err_lines 1
err_has "small.png: occlusion: window=6: the grid has 1 x 1 patches"
err_lacks "occlusion: occlusion"

check "a picture that no method can explain is reported once"
cp -r $models/vit-hf "$folder/never-resizes"
sed -i 's/"do_resize": true/"do_resize": false/' "$folder/never-resizes/preprocessor_config.json"
for command in "explain -o $folder/{method}.{target}.png --target 0 --target 1" "eval --metric deletion"; do
    # shellcheck disable=SC2086 # several words
    run $command -m "$folder/never-resizes" --method attention,rollout,gradcam $picture
    gives 1
    err_lines 1
    err_has "vitx-cli: $picture: a picture of 61 x 47 pixels"
done

# ---------------------------------------------------------------- what must not be lost ------
check "a picture with the name that a map turns out to get"
cp $picture "$folder/1.2.png"
run explain -m $model --method rollout -o "$folder/{image}.{target}.png" "$folder/1.png" "$folder/1.2.png"
gives 1
err_lines 1
err_has "the map would replace the picture $folder/1.2.png"
cmp -s $picture "$folder/1.2.png" || fail "the picture is gone"
exists "$folder/1.2.2.png"
check "the reason behind a long name"
long=$folder/$(printf 'x/%.0s' {1..600})
run classify -m $model "$long"
gives 1
err_lines 1
err_has ": No such file or directory"
wrong "must end in one of .png" explain -m $model --method rollout -o "$long" $picture
name=$(printf 'x%.0s' {1..251})
right explain -m $model --method rollout -o "$folder/$name.png" $picture
check "a configuration that is a link to nothing"
cp -r $model "$folder/linked"
rm "$folder/linked/config.json"
ln -s nothing "$folder/linked/config.json"
run classify -m "$folder/linked" $picture
gives 1
err_lines 1
err_has "linked/config.json: No such file or directory"

# Without room for OpenBLAS's work buffers (which it would wait for in vain) the rest still works.
# The sanitizers need more address space than that for themselves.
check "little address space"
if [ "$OUT" = build ] && [ "$(uname)" = Linux ]; then
    for room in 120000 200000 300000; do
        (ulimit -v $room && exec timeout 10 "$cli" classify -m $model --threads 2 --top 1 $picture) > "$out" 2> "$err"
        status=$?
        gives 0
        out_has "great white shark"
    done
fi

# ---------------------------------------------------------------- standard output that fails -
check "a full disk"
if [ -e /dev/full ]; then
    "$cli" classify -m $model $picture > /dev/full 2> "$err"
    status=$?
    gives 1
    err_lines 1
    err_has "vitx-cli: standard output: "
    "$cli" --help > /dev/full 2> "$err"
    status=$?
    gives 1
fi
check "a closed standard output"
"$cli" classify -m $model $picture >&- 2> "$err"
status=$?
gives 1
err_lines 1
check "a reader that has gone"
{
    sleep 0.2
    "$cli" classify -m $model $picture 2> "$err"
    echo $? > "$folder/status"
} | true
status=$(cat "$folder/status")
gives 1
err_lines 1
# ---------------------------------------------------------------- progress, Ctrl-C -----------
# Slow enough to watch: the scalar device, and more pictures than it gets through.
pictures=()
for ((i = 0; i < 12000; i++)); do
    pictures[i]=$picture
done
slow=(classify -m "$model" --device ref --threads 1 --batch 50 --top 1 --json)
# cancelled BEGUN ARGUMENT...: vitx-cli, and Ctrl-C once the command BEGUN says that something is done.
cancelled() {
    local begun=$1 pid
    shift
    : > "$out"
    env --default-signal=INT "$cli" "$@" > "$out" 2> "$err" &
    pid=$!
    for ((i = 0; i < 1200; i++)); do
        if $begun || ! kill -0 $pid 2> /dev/null; then
            break
        fi
        sleep 0.05
    done
    kill -INT $pid
    wait $pid
    status=$?
    gives 130 # dead of SIGINT, so that a shell's loop ends with it
    err_lines 1
    err_has "vitx-cli: cancelled: "
}
has_answers() { [ -s "$out" ]; }
has_maps() { compgen -G "$folder/many/*.npy" > /dev/null; }
check "Ctrl-C: what is done stays, one line says so"
if env --default-signal=INT true 2> /dev/null; then
    cancelled has_answers "${slow[@]}" "${pictures[@]}"
    lines=$(wc -l < "$out")
    if [ "$lines" = 0 ] || [ "$lines" = 12000 ] || [ $((lines % 50)) != 0 ]; then
        fail "$lines answers"
    fi
    err_has "cancelled: $lines of 12000 pictures are done"
    [ "$(tail -n 1 "$out" | tail -c 3)" = "]}" ] || fail "the last answer is not whole"
    check "Ctrl-C: finished maps are written"
    mkdir "$folder/many"
    tee "$folder/many"/{100..999}.png < $picture > /dev/null
    cancelled has_maps explain -m $model --device ref --threads 1 --method generic,legrad --target 0 --target 1 --target 2 \
        -o "$folder/many/{image}.{method}.{target}.npy" "$folder/many"/{100..999}.png
    maps=("$folder/many"/*.npy)
    out_lines ${#maps[@]}
    [ ${#maps[@]} -lt 5400 ] || fail "all maps are there"
    for map in "${maps[@]}"; do
        [ "$(wc -c < "$map")" = 228 ] || fail "$map is not whole"
    done
    rm -r "$folder/many"
else
    echo "skipped: Ctrl-C needs env --default-signal"
fi
check "Ctrl-C that whoever started the program wants to be ignored, as a shell does behind &"
"$cli" "${slow[@]}" "${pictures[@]:0:3000}" > "$out" 2> "$err" &
sleep 0.3
kill -INT $!
wait $!
status=$?
gives 0
err_lines 0
out_lines 3000

# terminal ARGUMENT...: vitx-cli with standard error on a terminal; what went there is in $err.
terminal() {
    printf '%q ' "$cli" "$@" > "$folder/command"
    printf '> %q\n' "$out" >> "$folder/command"
    SHELL=/bin/bash script -qec "bash $folder/command" "$folder/typed" > /dev/null < /dev/null
    status=$?
    grep -av '^Script ' "$folder/typed" > "$err"
}
if script -qec true /dev/null > /dev/null 2>&1 < /dev/null; then
    check "a progress bar on a terminal, taken away at the end, and not among the results"
    terminal "${slow[@]}" "${pictures[@]:0:3000}"
    gives 0
    out_lines 3000
    grep -q '\[#' "$out" && fail "the bar is among the answers"
    grep -aqE '[ 0-9]{3}% \[#+\.*\]  [0-9]+:[0-9][0-9] left  [0-9]+/3000 ' "$err" || fail "no bar: $(head -c 300 "$err")"
    tr -d '\n\r' < "$err" | grep -aqF $'\e[K' || fail "the bar was not taken away"
    [ "$(tr -d '\n\r' < "$err" | tail -c 3)" = $'\e[K' ] || fail "the bar is left standing"
    check "no bar with --quiet"
    terminal "${slow[@]}" --quiet "${pictures[@]:0:3000}"
    gives 0
    [ -z "$(tr -d '\n\r' < "$err")" ] || fail "a bar: $(head -c 300 "$err")"
else
    echo "skipped: a progress bar needs script(1)"
fi

# ---------------------------------------------------------------- the real model -------------
data=../shared/data
if [ -e $data/README.md ]; then
    real=$data/models/deit_tiny_patch16_224
    labels=$data/labels/imagenet1k_en_chinese-clip.txt
    right classify -m $real --labels $labels --top 2 --json $data/images/dog.jpg
    out_has '"predictions":\[\{"index":249,.*"logit":7\.705[67]'
    out_has '\},\{"index":444,.*"logit":6\.749[789]'
    right explain -m $real --labels $labels --method rollout --target 249 --target 444 -o "$folder/{image}.{target}.png" $data/images/dog.jpg
    out_lines 2
    exists "$folder/dog.249.png"
    right stats -m $real $data/images/{dog.jpg,both.png}
    out_has '^    1     2 .*  local$'
    out_has '^   11     2 .*  global$'
    right classify -m $real --json --top 1 --batch 3 $data/images/{dog.jpg,both.png,eagle.jpg,el1.png}
    out_lines 4
else
    echo "skipped: the real DeiT-tiny needs ../shared/data, which is not here"
fi

finish
