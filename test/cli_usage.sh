#!/bin/bash
# cli_usage.sh: vitx-cli's help and usage, models that fail, names of files, and a standard output that fails.
. test/check.bash
cli=$program
samples

# ---------------------------------------------------------------- help, versions, usage ------
right -h
out_has '^usage: vitx-cli COMMAND'
for command in classify embed explain stats eval serve methods info bench; do
    out_has "^  $command "
done
right --help
out_has 'Exit status'
out_has '--threads N'
right --version
out_has '^vitx-cli [0-9]+\.[0-9]+\.[0-9]+$'
out_has '^pictures: JPEG, PNG, BMP, GIF, PNM'
for command in classify embed explain stats eval serve methods info bench; do
    right "$command" -h
    out_has "^usage: vitx-cli $command"
    out_has '--model (\[NAME=\])?MODEL'
    short=$(wc -l < "$out")
    right "$command" --help
    [ "$(wc -l < "$out")" -gt "$short" ] || fail "the long help is no longer than the short one"
    wrong "no option --nonsense" "$command" --nonsense
    wrong "did you mean --threads?" "$command" --thread 2
    wrong "--threads needs a value" "$command" --threads
    wrong "--quiet takes no value" "$command" --quiet=1
    wrong "no option -x" "$command" -x
done
wrong "no command; there are classify, embed, search, explain, stats, batch, eval, serve, methods, info, bench; vitx-cli -h says"
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
wrong 'no device "gpu"; there are auto, cuda, cpu, ref' classify --device gpu -m $model $picture
wrong "explain: --alpha is" explain --alpha 1.5 -m $model $picture
wrong "explain: --alpha is" explain --alpha nan -m $model $picture
wrong "explain: --layout is" explain --layout both -m $model $picture
wrong "explain: --scale is" explain --scale log -m $model $picture
wrong "explain: --score is" explain --score softmax -m $model $picture

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

finish
