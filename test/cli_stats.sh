#!/bin/bash
# cli_stats.sh: vitx-cli stats.
. test/check.bash
samples

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

finish
