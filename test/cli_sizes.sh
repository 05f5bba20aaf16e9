#!/bin/bash
# cli_sizes.sh: sizes of inputs and fits, with every command of vitx-cli.
. test/check.bash

wrong "an input of height 41: no multiple of the patch's 8 pixels; 40 and 48 are" classify --size 41 -m $model $picture
wrong "width 4: no multiple of the patch's 8 pixels; 8 is" classify --size 40x4 -m $model $picture
wrong 'no way to resample "timn"; did you mean timm?' classify --size 48 --pos-resample timn -m $model $picture
wrong "each picture has a grid of its own" \
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

{ printf 'P4 1 65535\n'; head -c 65535 /dev/zero; } > "$folder/thin.pbm"
run classify -m $model --fit keep "$folder/thin.pbm"
gives 1
err_has "1 x 65535 pixels makes an input of 8 x 65536 in whole patches; at most 65535 a side are supported"

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

finish
