#!/bin/bash
# cli_replace.sh: no output of vitx-cli replaces a file that the command reads: weights, configurations, labels,
# pictures, masks.
. test/check.bash
samples
mkdir "$folder/own" "$folder/links"
cp -r $models/vit-timm "$folder/own/model"
cp -r $models/clip-hf "$folder/own/clip"
printf '0\n' > "$folder/own/model/other.txt"
for i in $(seq 0 6); do echo "class $i"; done > "$folder/labels.txt"
cp "$folder/1.png" "$folder/own/mask.png"
m=$folder/own/model weights=$folder/own/model/model.safetensors
sum() { find "$folder/own" "$folder/labels.txt" -type f -exec cksum {} + | sort; }
before=$(sum)

# kept MESSAGE ARGUMENT...: wrong usage that leaves all files as they were
kept() {
    wrong "$@"
    [ "$(sum)" = "$before" ] || fail "a file was changed"
}
maps=(explain --method rollout)
for format in html png npy json; do
    kept "a file of the model" "${maps[@]}" -m "$m" -o "$weights" --format $format $picture
done
kept "a map would replace a file of the model" "${maps[@]}" -m "$m" -o "$m/config.json" $picture
kept "a map would replace a file of the model" "${maps[@]}" -m "$m" -o "$folder/own/{image}/config.json" "$folder/model.png"
kept "a page would replace a file of the model" "${maps[@]}" -m "$m/" -o "$m/other.txt" --format html $picture
# by another name: through a link to the file, a link to the folder, a hard link
ln -s "$weights" "$folder/links/map.png"
kept "a file of the model" "${maps[@]}" -m "$m" -o "$folder/links/map.png" $picture
ln -s "$m" "$folder/links/model"
kept "a file of the model" "${maps[@]}" -m "$folder/links/model" -o "$m/./model.safetensors" --format png $picture
kept "a file of the model" "${maps[@]}" -m "$m" -o "$folder/links/model/config.json" $picture
ln "$weights" "$folder/links/hard.npy"
kept "a file of the model" "${maps[@]}" -m "$m" -o "$folder/links/hard.npy" $picture
# a model that is a file, and what lies beside it
kept "a file of the model" "${maps[@]}" -m "$weights" -o "$weights" --format png $picture
kept "a file of the model" "${maps[@]}" -m "$weights" -o "$m/config.json" $picture
kept "the labels" "${maps[@]}" -m "$m" --labels "$folder/labels.txt" -o "$folder/labels.txt" --format npy $picture

# the bundled models, beside a program that lies elsewhere: the pair is read where there are texts
mkdir -p "$folder/own/bin" "$folder/own/share/vitx"
cp "$program" "$folder/own/bin/vitx-cli"
cp -r weights/scenes weights/pair "$folder/own/share/vitx"
before=$(sum)
bundled=$folder/own/share/vitx
elsewhere=$program
program=$folder/own/bin/vitx-cli
kept "a map would replace a file of the model" "${maps[@]}" -o "$bundled/scenes/config.json" $picture
kept "a map would replace a file of the model" explain --method gradcam --text 'a cat' -o "$bundled/pair/config.json" $picture
kept "a map would replace a file of the model" search --quiet --text 'a cat' --top 1 --why "$bundled/pair/tokenizer.json" --method gradcam $picture
program=$elsewhere

# a name that only the class completes
cp "$weights" "$m/6"
wrong "a map would replace a file of the model" explain --method gradcam -m "$m" --target 6 -o "$m/{target}" --format npy $picture
cmp -s "$m/6" "$weights" || fail "the file was replaced"
check "a file of the model whose name is the top class"
for i in $(seq 0 6); do ln -f "$weights" "$m/$i"; done
run explain --method gradcam -m "$m" -o "$m/{target}" --format npy $picture
gives 1
err_has "the map would replace a file of the model"
cmp -s "$m/6" "$weights" || fail "the file was replaced"
for i in $(seq 0 6); do rm "$m/$i"; done

# the other commands
kept "the statistics would replace a file of the model" stats -m "$m" -o "$m/config.json" $picture
kept "the statistics would replace a file of the model" stats -m "$m" --format png -o "$weights" $picture
ln "$folder/own/clip/model.safetensors" "$folder/links/vector.npy"
kept "the embeddings would replace a file of the model" embed -m "$folder/own/clip" -o "$folder/links/vector.npy" $picture
kept "curves would replace a file of the model" eval -m "$m" --method rollout --metric deletion --curves "$folder/links/hard.npy" $picture
kept "curves would replace the picture" eval -m "$m" --method rollout --metric deletion --mask "$folder/own/{image}.png" \
    --curves "$folder/own/mask.png" "$folder/mask.png"

# maps and pages in the model's own folder are replaced as anywhere else
right "${maps[@]}" -m "$m" -o "$m/map.png" $picture
right "${maps[@]}" -m "$m" -o "$m/map.png" $picture
# beside a single file so is all that is no model's by its name
right "${maps[@]}" -m "$weights" -o "$m/map.json" $picture
right "${maps[@]}" -m "$weights" -o "$m/map.json" $picture
finish
