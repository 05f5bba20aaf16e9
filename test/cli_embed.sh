#!/bin/bash
# cli_embed.sh: vitx-cli embed, and models that answer with an embedding.
. test/check.bash

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
wrong "needs --text, --unit, --vector or --like" "${e[@]}" -o "$folder/e.json" $picture
wrong "the model has no classes" "${e[@]}" --target 1 -o "$folder/e.json" $picture
wrong "the model has classes" explain -m $model --method gradcam --unit 1 -o "$folder/e.json" $picture
wrong "the model has no classes" "${e[@]}" --unit 1 --score probability -o "$folder/e.json" $picture
wrong "unit" "${e[@]}" --unit 7 -o "$folder/e.json" $picture
wrong "it takes a number" "${e[@]}" --unit x -o "$folder/e.json" $picture
wrong "versus is 7, the model has 7 numbers in its embedding" "${e[@]}" --unit 1 --versus 7 -o "$folder/e.json" $picture
wrong "that is the unit" "${e[@]}" --unit 1 --versus 1 -o "$folder/e.json" $picture
wrong "one of them" "${e[@]}" --unit 1 --like $other -o "$folder/e.json" $picture
wrong "is for --score cosine or dot" "${e[@]}" --like $other --score logit -o "$folder/e.json" $picture
wrong "is for --vector, --like or --text" "${e[@]}" --unit 1 --score cosine -o "$folder/e.json" $picture
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
wrong "is for --vector, --like or --text" "${v[@]}" --score cosine $picture
wrong "a vector of 7 numbers is needed" "${v[@]}" --vector test/golden/models/siglip-hf/logits.npy $picture
wrong "would replace the picture" eval -m $clip --method gradcam --metric deletion --like "$folder/like.png" --curves "$folder/like.png" $picture
wrong "--like cannot be given" eval --method gradcam --scenes 2 --like $other
wrong "it needs --text, --vector, --like, or as --target" eval -m $clip --method gradcam --metric sparseness $picture
run eval -m $clip --method gradcam --metric deletion --target 1 $picture
gives 1
err_has "it needs --vector or --like"
run eval -m $clip --method gradcam --no-baselines --metric sparseness --target 1 --json $picture
out_has '"target":1,"label":null,"probability":null'

finish
