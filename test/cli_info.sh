#!/bin/bash
# cli_info.sh: vitx-cli methods, info and bench.
. test/check.bash

# ---------------------------------------------------------------- methods, info --------------
right methods
out_has '^name +cost +what$'
out_has '^attention +1 forward +[a-z]'
out_has '^rollout +1 forward +[a-z]'
awk 'length > 100 { exit 1 }' "$out" || fail "the list is wider than 100 columns"
methods=$(($(grep -c '^[a-z]' "$out") - 1)) # what is wrapped goes on behind blanks
right methods --json
out_lines "$methods"
out_has '^\{"name":"rollout","summary":".*","cost":".*","reference":".*","uses_target":(true|false),"options":\[\{"key":".*\],"is_signed":(true|false),"on_pixels":(true|false),"channels":0,"among":false\}$'
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
out_has '^precisions +f32 \([^;]+; default.*, bf16x3 \(.*, bf16 \(.*, int8 \('
out_has '^formats +png, npy, json, html'
out_has '^colormaps +turbo, viridis, inferno, jet, grey, coolwarm, rdbu, cividis$'
right info --json
out_lines 1
out_has '"precisions":\[\{"name":"f32","instructions":"[^"]+","default":true,"auto":(true|false)\},\{"name":"bf16x3",'
[ "$(grep -o '"default":true' "$out" | wc -l)/$(grep -o '"auto":true' "$out" | wc -l)" = 1/1 ] ||
    fail "not one default and one auto: $(cat "$out")"
right info -m test/golden/texts/clip-hf
out_has '^text tower +CLIP: 2 blocks, width 24, 12 tokens, 100 ids$'
right info --json -m test/golden/texts/clip-hf
out_has '"text":"CLIP: 2 blocks, width 24, 12 tokens, 100 ids"'
right info -m test/golden/models/vit-timm
grep -q '^text tower' "$out" && fail "a text tower in timm's file"
right info --json --device ref
out_has '"precisions":\[\{"name":"f32","instructions":"ref","default":true,"auto":true\}\]'
right info --json
out_has '^\{"version":".*"devices":\["cpu".*"formats":\["png","npy","json","html"'
for m in "$models"/*/; do
    quiet=()
    case $m in # no file of theirs says how pictures are made: a warning
    *-mmpretrain*|*-torchvision*) quiet=(--quiet) ;;
    esac
    right info "${quiet[@]}" -m "$m"
    out_has '^family'
    out_has '^recipe'
    out_has 'heads fused +[0-9]+ bytes'
    right info --json "${quiet[@]}" -m "$m"
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
draws siglip-hf "25 patches, 24 wide" "attention of a learnt query, 3 heads of 8" "embedding of 24 numbers"
draws pe-timm-core "class token + 24 patches, 24 wide" "attention of a learnt query, 8 heads of 3" "7 classes"
draws vit-timm-parallel "1 register + 9 patches, 24 wide" "mean of the patches" "7 classes"
out_has '^     \|    2 x \[ norm - attention, 3 heads of 8, and mlp 40, gelu, side by side - add \]$'
draws vit-timm-post-norm "9 patches, 24 wide" "mean of the patches" "7 classes"
out_has '^     \|    2 x \[ attention, 3 heads of 8 - norm - add - mlp 40, gelu - norm - add \]$'
draws vit-timm-diff "class token + 1 register + 24 patches, 24 wide" "class token" "7 classes"
out_has '^     \|    2 x \[ norm - attention, 3 heads of 8 less 3 others - add - norm - mlp 40, gelu - add \]$'
draws vit-timm-twins "class token + 24 patches, 24 wide" "class token" "7 classes"
out_has '^     \|    2 x \[ norms - two attentions, 3 heads of 8 each - add - norms - two mlps 40, gelu - add \]$'
draws sapiens2-timm "class token + 2 registers + 24 patches, 32 wide" "class token" "7 classes"
out_has '^     \|    2 x \[ norm - attention, 4 heads of 8, in some blocks 2 of keys and values - add - '
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
right bench -m $model --runs 1 --json --precision f32,int8,bf16 --method attention
out_lines 6
[ "$(grep -o '"what":"[a-z]*"\|"precision":"[a-z0-9]*"' "$out" | cut -d'"' -f4 | tr '\n' ' ')" = \
    "forward f32 attention f32 forward int8 attention int8 forward bf16 attention bf16 " ] || fail "other rows: $(cat "$out")"
[ "$(grep -c '"what":"forward".*"forwards":1.00' "$out")" = 3 ] || fail "a forward is not one forward: $(cat "$out")"
wrong 'no precision "f8"' bench -m $model --runs 1 --precision f32,f8
wrong "comma" bench -m $model --runs 1 --precision f32,
right bench -m $model --runs 1 --ops --method generic
out_has '^peak: [0-9.]+ GFLOP/s multiplied, [0-9.]+ GB/s copied$'
out_has '^  linear +[0-9.]+ +[0-9.]+ +[0-9.]+ +[0-9.]+ +[0-9.]+ +[0-9.]+$'
out_has '^  linear_bwd '
out_has '^  outside of operations '
right bench -m $model --runs 1 --ops --json
out_has '^\{"what":"forward","op":"linear","calls":13.0,"ms":[0-9.]+,"share":[0-9.]+,"gflops":[0-9.]+,"gbs":[0-9.nul]+,"of_peak":[0-9.]+\}$'
out_has '^\{"what":"forward","op":null,'
right bench -m $model --seconds 0 --json --fit recipe $picture $picture
out_has '"runs":5,'

finish
