#!/bin/bash
# cli_eval.sh: vitx-cli eval.
. test/check.bash
cli=$program
samples

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
wrong "several metrics have curves (insertion, deletion, road): --curves '$folder/x.{metric}.png' writes" \
    eval -m $model --method rollout --curves "$folder/x.png" $picture
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
out_has '^1 picture: no standard errors, which take two pictures or more$'
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
# Object numbers in 16 bits: all of them are inside, though their high bytes are 0.
{ printf 'P5 61 47 65535\n'; head -c 5734 /dev/zero | tr '\0' '\1' | sed 's/\x01\x01/\x00\x01/g'; } > "$folder/numbers.pgm"
right eval -m $model --method rollout --metric energy --mask "$folder/numbers.pgm" --window 0,9000 --quiet "$folder/1.png"
out_has '^rollout +1.000$'
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
out_lines $((2 + 2 + $("$cli" methods --json | grep -c '"channels":0') + 2))
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
out_has '^1 picture: no standard errors, which take two pictures or more$'
run eval -m $model --method rollout --metric iou --mask "$folder/no-{image}.png" $picture
gives 1
out_lines 0

# says WORDS PICTURE...: the first line of errors, before the work
says() {
    local words=$1
    shift
    check "a long evaluation of $# pictures says how long, before the work"
    : > "$err"
    timeout 60 "$cli" eval -m $model --method rise --set n=1000000 --metric deletion "$@" > "$out" 2> "$err" &
    for ((i = 0; i < 500; i++)); do
        [ -s "$err" ] && break
        sleep 0.1
    done
    kill $! 2> /dev/null
    wait $! 2> /dev/null
    grep -qE "^vitx-cli: eval: about $words$" "$err" || fail "it says: $(cat "$err")"
}
says '1000[0-9]{3} forward passes' $picture
says '1000[0-9]{3} forward passes for each picture, 2000[0-9]{3} in all' $picture "$folder/1.png"

finish
