#!/bin/bash
# cli_explain.sh: vitx-cli explain.
. test/check.bash
samples

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
# features: colours, a basis of all pictures
f="explain -m $model --method features"
# shellcheck disable=SC2086
{
    right $f --components 4 -o "$folder/f.npy" $picture
    grep -qaF "'shape': (5, 5, 4)" "$folder/f.npy" || fail "npy of another shape"
    right $f --set raw=yes -o "$folder/f.npy" $picture
    grep -qaF "'shape': (5, 5, 24)" "$folder/f.npy" || fail "raw npy of another shape"
    right $f --json $picture
    out_has '"shape":\[5,5,3\].*"channels":3'
    run $f --set raw=yes -o "$folder/f.png" $picture
    gives 1
    err_has "npy and json hold them"
    right $f --together --set foreground=yes -o "$folder/{image}.f.png" "$folder/1.png" "$folder/2.png"
    out_lines 2
    right $f --layer all --layout side -o "$folder/f.png" $picture
    run $f --together -o "$folder/{image}.f.png" "$folder/1.png" "$folder/none.png"
    gives 1
    err_lines 1
    wrong "for --method features" explain -m $model --method rollout --together -o "$folder/x.png" $picture
    wrong "one basis is of one layer" $f --together --layer all -o "$folder/x.png" $picture
    wrong "reads the pictures twice" $f --together -o "$folder/x.png" -
    wrong "cannot be measured" eval -m $model --method features --metric sparseness $picture
}

# the patches that hold a share of a map
m="explain -m $model --method attention"
# shellcheck disable=SC2086
{
    right $m --mask 60 --json $picture
    out_has '"mask":0.6,'
    out_has '"values":\[\[[01],[01],[01],[01],[01]\],'
    right $m --mask 60 -o "$folder/m.png" $picture
    right $m --mask 60 --layout map --layer all --head all -o "$folder/m.png" $picture
    wrong "--mask is \"0\"" $m --mask 0 -o "$folder/m.png" $picture
    wrong "--mask is for png, npy and json" $m --mask 60 -o "$folder/m.html" $picture
    run $f --mask 60 -o "$folder/m.png" $picture
    gives 1
    err_has "has no mask"
}

# one scale for all pictures: the widest that each alone would have
# shellcheck disable=SC2086
{
    right $m --scale shared --layout map --colorbar -o "$folder/{image}.s.png" "$folder/1.png" "$folder/2.png"
    right $m -o "$folder/{image}.s.npy" --json "$folder/1.png" "$folder/2.png"
    most=$(grep -o '"max":[^,]*' "$out" | cut -d: -f2 | sort -g | tail -1)
    least=$(grep -o '"min":[^,]*' "$out" | cut -d: -f2 | sort -g | head -1)
    same=0
    for low in 0 "$least"; do
        for image in 1 2; do
            right $m --scale "$low,$most" --layout map --colorbar -o "$folder/$image.r.png" "$folder/$image.png"
            cmp -s "$folder/$image.r.png" "$folder/$image.s.png" && same=$((same + 1))
        done
    done
    [ "$same" = 2 ] || fail "--scale shared: $same of 2 pictures have the scale from least to most"
    right explain -m $model --method gradcam,features,saliency --scale shared -o "$folder/{image}.{method}.s.png" "$folder/1.png" "$folder/2.png"
    run $m --scale shared -o "$folder/{image}.s.png" "$folder/1.png" "$folder/none.png"
    gives 1
    err_lines 1
    wrong "reads the pictures twice" $m --scale shared -o "$folder/x.png" -
    wrong "name the classes" explain -m $model --method gradcam --target top2 --scale shared -o "$folder/{target}.png" $picture
    wrong "a page has a choice" $m --scale shared -o "$folder/x.html" $picture
}

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
# patches as squares, or with values between them
wrong "it takes smooth|nearest" explain -m $model --method rollout --interpolate linear -o "$folder/x.png" $picture
right explain -m $model --method rollout --interpolate nearest -o "$folder/nearest.png" $picture
right explain -m $model --method rollout --interpolate smooth -o "$folder/smooth.png" $picture
right explain -m $model --method rollout -o "$folder/default.png" $picture
cmp -s "$folder/smooth.png" "$folder/default.png" || fail "the default is not smooth"
cmp -s "$folder/smooth.png" "$folder/nearest.png" && fail "nearest is smooth"
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

finish
