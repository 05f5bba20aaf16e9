#!/bin/bash
# cli_classify.sh: vitx-cli classify, and the real model.
. test/check.bash
samples

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
check "16 bits through a window, and the pages of a TIFF"
wide=test/golden/image/ten_bits.png pages=test/golden/image/kinds/pages.tif
run classify -m $model $wide
gives 0
err_has "warning: $wide: 16-bit samples from 0 to 960 of 65535"
cp "$out" "$folder/dark"
right classify -m $model --window 0,960 $wide
cmp -s "$out" "$folder/dark" && fail "the window changes nothing"
right classify -m $model --window -960,0.5e3 $wide
run classify -m $model --window 0,960 $picture
gives 0
err_has "warning: $picture: its samples have 8 bits: the window changes nothing"
for window in 3 "3," ",3" 3,2 1,1 x,y 1,2,3 "" 0,nan -inf,1; do
    wrong "--window is \"$window\", it takes two numbers, the greater one last" classify --window "$window" -m $model $wide
done
run classify -m $model --page 2 $picture
gives 1
err_has "$picture: page 2 is asked for; only a TIFF has pages, this is a PNG"
wrong "--page is \"0\"" classify --page 0 -m $model $picture
if "$program" --version | grep -q 'TIFF.*; built\|TIFF[^;]*$'; then
    right classify -m $model $pages
    cp "$out" "$folder/first"
    right classify -m $model --page 1 $pages
    cmp -s "$out" "$folder/first" || fail "page 1 is not the first"
    right classify -m $model --page 3 $pages
    cmp -s "$out" "$folder/first" && fail "page 3 is the first"
    run classify -m $model --page 4 $pages
    gives 1
    err_has "page 4 is asked for, the TIFF has 3"
    right explain -m $model --method attention --page 2 -o "$folder/page2.png" $pages
    exists "$folder/page2.png"
    right explain -m $model --method attention -o "$folder/pages.html" $pages test/golden/image/kinds/lossy.webp test/golden/image/kinds/plain.gif
    exists "$folder/pages.html"
else
    run classify -m $model $pages
    gives 1
    err_has "$pages: a TIFF picture, and this vitx was built without libtiff"
fi
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

check "one bad picture among many, in every batch size"
head -c 100 $picture > "$folder/cut.png"
: > "$folder/empty.png"
for batch in 1 2 3 16; do
    run classify -m $model --json --top 1 --batch $batch $picture "$folder/cut.png" \
        "$folder/missing.png" "$folder/text.jpg" "$folder/empty.png" - $picture < /dev/null
    gives 1
    out_lines 2
    err_lines 5
    for bad in cut.png missing.png text.jpg empty.png; do
        err_has "vitx-cli: $folder/$bad: "
    done
done

check "the order of the arguments is kept"
run classify -m $model --json --top 1 --batch 2 "$folder"/{3,1,5,2,4}.png
gives 0
[ "$(grep -o '[1-5]\.png' "$out" | tr -d '\n')" = 3.png1.png5.png2.png4.png ] || fail "order: $(cat "$out")"

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
