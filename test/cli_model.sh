#!/bin/bash
# cli_model.sh: which model and which language vitx-cli takes.
. test/check.bash
cli=$program

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

# ---------------------------------------------------------------- names ----------------------
mkdir "$folder/bare"
cp $model/model.safetensors "$folder/bare/weights of mine.safetensors"
check "heads that nothing says"
run classify -m "$folder/bare" $picture
gives 1
err_lines 1
err_has 'share the width of 24'
err_has ', or with --heads'
right info --quiet -m "$folder/bare" --heads 3
out_has '^heads           3  \(options\)$'
out_has '^classifier      head.weight$'
right info --quiet -m "$folder/bare" --heads 3 --ignore 'head.*'
out_has '^embedding       24 numbers, no classes$'
out_has '^left out        by request \(head.bias and 1 more\)$'
wrong "--ignore: \"nothing\" fits the name of no tensor" info -m $model --ignore nothing

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

# ---------------------------------------------------------------- PyTorch's files --------------
torch=$folder/torch tidy=$models/vit-timm-2x2-avg
mkdir "$torch"
cp $tidy/config.json "$torch"
cp test/golden/torch/train-2.1.2.pth.tar "$torch/model_best.pth.tar"
check "a file with two networks"
run info -m "$torch"
gives 1
out_lines 0
err_lines 1
err_has "has weights under several keys: state_dict (32 tensors), state_dict_ema (32 tensors). Say which with --weights-key"
right info -m "$torch" --weights-key state_dict
out_has '^container       PyTorch zip, key state_dict$'
right info --json -m "$torch" --weights-key state_dict_ema
out_has '"container":"PyTorch zip, key state_dict_ema",'
right classify -m $tidy --json $picture
sed 's/"model":"[^"]*"//' "$out" > "$folder/tidy"
right classify -m "$torch" --weights-key state_dict --json $picture
sed 's/"model":"[^"]*"//' "$out" | cmp -s - "$folder/tidy" || fail "other numbers than those of the tidy file"
wrong "--weights-key is empty" info --weights-key=
check "a key of a file without keys"
run info -m $tidy --weights-key model
gives 2
err_lines 1
err_has '--weights-key is "model", but safetensors files have no keys'
cp test/golden/torch/harm.pth "$torch/model_best.pth.tar"
check "a pickle that calls a program"
run classify -m "$torch" $picture
gives 1
out_lines 0
err_lines 1
err_has "its pickle asks to run os.system; vitx runs nothing"
err_lacks "must never run"
right info -m $models/vit-npz
out_has '^container       NumPy .npz$'

finish
