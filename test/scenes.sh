#!/bin/bash
# scenes.sh: vitx-scenes from the outside, and vitx-cli eval --scenes with the bundled model. Needs awk, too.
#
# test/scenes.sh --write writes what it compares with, test/golden/scenes/, again: after a change of the scenes or of the
# bundled model. BUILD is the folder of the test programs.
. test/check.bash
: "${BUILD:=build/release}"
golden=test/golden/scenes
cli=$program scenes=$OUT/vitx-scenes
measured=(eval --scenes 20 --costly 1 --method "rollout,generic,gradcam,saliency,occlusion" --json)

without_time() { sed 's/,"ms":[^}]*//' "$1"; }

if [ "${1:-}" = --write ]; then
    "$BUILD/test_scenes" --write && "$cli" "${measured[@]}" > "$out" && without_time "$out" > $golden/eval.jsonl
    exit
fi

# ---------------------------------------------------------------- vitx-scenes ----------------
program=$scenes
right --help
out_has '^usage: vitx-scenes '
right --classes
classes=$(wc -l < "$out")
[ "$classes" -ge 20 ] || fail "$classes classes"
[ "$(cut -f 1 "$out")" = "$(seq 0 $((classes - 1)))" ] || fail "the classes are not numbered"
[ "$(cut -f 2 "$out" | sort -u | wc -l)" = "$classes" ] || fail "two classes of one name"
out_has '^0	[a-z ]+	[^	]+$'

right --sentences
cp "$out" "$folder/sentences"
facts=$(($(tail -1 "$out" | cut -f 1) + 1))
[ "$(cut -f 1 "$out" | uniq)" = "$(seq 0 $((facts - 1)))" ] || fail "the facts are not numbered"
[ "$(cut -f 2 "$out" | sort -u | paste -sd ' ')" = "colour count place relation thing" ] || fail "other kinds of facts"
[ "$(cut -f 1-6 "$out" | sort -u | wc -l)" = "$(wc -l < "$out")" ] || fail "a form of a fact twice"
out_has '^16	thing	0	16	0	0	cat	猫$'

one_of="one of --out FOLDER, --raw, --classes and --sentences is needed"
wrong "$one_of"
wrong "$one_of" --raw --classes
wrong "$one_of" --classes --sentences
wrong "--facts is for --raw" --facts --out "$folder/x"
wrong "$one_of" --raw --out "$folder/x"
wrong "$one_of" --seed 3
for option in --seed --first --count; do
    for value in '' x -1 1.5 1x ' 1' 18446744073709551616; do
        wrong "--help lists the options" --raw $option "$value"
    done
    wrong "--help lists the options" --raw $option
done
for value in '' x 64x 64xx64 64x64x64 x64 -64 64,64 9999999999999999999; do
    wrong "--help lists the options" --raw --size "$value"
done
for value in '' x 1- 1-2-3 -1 one; do
    wrong "--help lists the options" --raw --objects "$value"
done
for value in '' x 0.5x; do
    wrong "--help lists the options" --raw --smallest "$value"
done
wrong "--help lists the options" --raw picture.png
wrong "--help lists the options" --raw --unknown 3
for value in 31 2049 64x31 2049x64 0; do
    wrong "outside what --help says" --raw --size $value
done
for value in 0 4 2-1 0-1 1-4; do
    wrong "outside what --help says" --raw --objects $value
done
for value in 0 1.01 nan inf -1 0.09; do
    wrong "outside what --help says" --raw --smallest $value
    wrong "outside what --help says" --raw --largest $value
done
wrong "outside what --help says" --raw --smallest 0.6 --largest 0.5

# ---------------------------------------------------------------- raw frames -----------------
right --raw --seed 4 --count 5 --size 48x64
cp "$out" "$folder/five"
[ "$(wc -c < "$out")" = $((5 * 4 * 48 * 64)) ] || fail "$(wc -c < "$out") bytes"
right --raw --seed 4 --first 3 --count 2 --size 48x64
cmp -s "$out" <(tail -c $((2 * 4 * 48 * 64)) "$folder/five") || fail "the fourth scene depends on those before"
right --raw --seed 5 --count 5 --size 48x64
cmp -s "$out" "$folder/five" && fail "another seed draws the same"
right --raw --count 0
[ -s "$out" ] && fail "a scene, where none was asked for"
right --raw --seed 18446744073709551615 --first 18446744073709551615 --count 1 --size 32

right --raw --facts --seed 4 --count 5 --size 48x64
cp "$out" "$folder/facts"
each=$((4 * 48 * 64 + facts))
[ "$(wc -c < "$out")" = $((5 * each)) ] || fail "$(wc -c < "$out") bytes with facts"
tail -c +$((2 * each + 1)) "$folder/facts" | head -c $((4 * 48 * 64)) |
    cmp -s - <(tail -c +$((2 * 4 * 48 * 64 + 1)) "$folder/five" | head -c $((4 * 48 * 64))) || fail "facts change the frames"

# ---------------------------------------------------------------- pictures and masks ---------
right --out "$folder/drawn" --seed 4 --count 6 --size 80x60 --objects 2-3
lines=$folder/drawn/scenes.jsonl
[ "$(wc -l < "$lines")" = 6 ] || fail "$(wc -l < "$lines") lines of scenes.jsonl"
right --out "$folder/again" --seed 4 --count 6 --size 80x60 --objects 2-3
diff -r "$folder/drawn" "$folder/again" > "$out" || fail "drawn again it differs: $(head -3 "$out")"
"$scenes" --raw --seed 4 --count 6 --size 80x60 --objects 2-3 > "$folder/raw"

# objects SCENE: class, mask and visible pixels of each, from scenes.jsonl
objects() {
    sed -n "$(($1 + 1))p" "$lines" | grep -oE '"class":[0-9]+|"mask":"[^"]*"|"visible":[0-9]+' |
        sed 's/.*:"*//; s/"$//' | paste - - -
}
# area MASK PICTURE: the part of the picture that the mask covers, as vitx-cli reads the two
area() {
    "$cli" eval -m $model --fit squash --method rollout --no-baselines --metric energy.area --json --mask "$1" "$2" |
        sed 's/.*"energy.area":\([^,}]*\).*/\1/'
}
for scene in 0 1 5; do
    check "scene $scene: its line, its masks and the frames of --raw"
    image=$folder/drawn/4-00000$scene.png
    # bytes of the frame's last plane: how many pixels show each class
    tail -c +$(((4 * scene + 3) * 80 * 60 + 1)) "$folder/raw" | head -c $((80 * 60)) | od -An -v -tu1 -w1 | sort -n | uniq -c > "$folder/counts"
    [ "$(objects $scene | wc -l)" -ge 2 ] || fail "fewer than two objects"
    [ "$(awk '$2' "$folder/counts" | wc -l)" = "$(objects $scene | wc -l)" ] || fail "other classes in the frame"
    while read -r class mask visible; do
        awk -v class=$((class + 1)) -v n="$visible" '$2 == class && $1 == n { found = 1 } END { exit !found }' "$folder/counts" ||
            fail "$visible pixels of class $class, the frame has $(tr '\n' ';' < "$folder/counts")"
        awk -v a="$(area "$folder/drawn/$mask" "$image")" -v n="$visible" \
            'BEGIN { d = a * 80 * 60 - n; exit !(d * d < 1e-4) }' || fail "$mask does not cover $visible pixels"
    done < <(objects $scene)
done

# ---------------------------------------------------------------- sentences ------------------
"$scenes" --raw --facts --seed 4 --count 6 --size 80x60 --objects 2-3 > "$folder/raw"
each=$((4 * 80 * 60 + facts))
for scene in 0 3; do
    check "scene $scene: its sentences say what its facts are"
    # truth, English, Chinese
    sed -n "$((scene + 1))p" "$lines" | grep -oE '"truth":(true|false),"en":"[^"]*","zh":"[^"]*"' |
        sed -E 's/"truth":([a-z]*),"en":"([^"]*)","zh":"([^"]*)"/\1\t\2\t\3/' > "$folder/said"
    tail -c +$((scene * each + 4 * 80 * 60 + 1)) "$folder/raw" | head -c "$facts" | od -An -v -tu1 -w1 > "$folder/bytes"
    [ "$(wc -l < "$folder/said")" -ge 10 ] || fail "$(wc -l < "$folder/said") sentences"
    awk -F '\t' -v bytes="$folder/bytes" -v sentences="$folder/sentences" '
        BEGIN {
            while ((getline byte < bytes) > 0) truth[n++] = byte + 0
            while ((getline line < sentences) > 0) { split(line, part, "\t"); number[part[7] "\t" part[8]] = part[1] }
        }
        !(($2 "\t" $3) in number) { print "unknown: " $2; next }
        truth[number[$2 "\t" $3]] != ($1 == "true") { print $1 ": " $2 }' "$folder/said" > "$folder/differ"
    [ -s "$folder/differ" ] && fail "$(head -3 "$folder/differ")"
done

# ---------------------------------------------------------------- where it cannot write ------
check "a full disk"
"$scenes" --raw --count 3 > /dev/full 2> "$err"
status=$?
gives 1
err_lines 1
"$scenes" --classes > /dev/full 2> "$err"
status=$?
gives 1
"$scenes" --sentences > /dev/full 2> "$err"
status=$?
gives 1
"$scenes" --raw --facts --count 3 > /dev/full 2> "$err"
status=$?
gives 1
check "a reader that went away"
set +o pipefail
{
    "$scenes" --raw --count 100000 --size 64 2> "$err"
    echo $? > "$folder/status"
} | head -c 100 > /dev/null
status=$(cat "$folder/status")
gives 1
err_lines 1
echo > "$folder/file"
run --out "$folder/file"
check "a folder that is a file"
gives 1
err_lines 1
run --out "$folder/no/such"
check "a folder in a folder that is not there"
gives 1
err_lines 1
mkdir "$folder/taken" "$folder/taken/1-000000.png"
run --out "$folder/taken" --count 1
check "a picture that cannot be written"
gives 1
err_lines 1

# ---------------------------------------------------------------- eval --scenes --------------
program=$cli
wrong "needs --method NAME" eval --scenes 3
wrong "none can be given" eval --scenes 3 --method rollout $picture
wrong "--target cannot be given" eval --scenes 3 --method rollout --target cat
for option in --mask --other; do
    wrong "can be given" eval --scenes 3 --method rollout $option $picture
done
wrong "can be given" eval --scenes 3 --method rollout --box 1,1,9,9
wrong "--seed is for --scenes" eval -m $model --method rollout --seed 3 $picture
wrong "--costly is for --scenes" eval -m $model --method rollout --costly 3 $picture
for value in '' x 0 -1 1000001 1.5; do
    wrong "--scenes is" eval --method rollout --scenes "$value"
done
for value in x -1 2147483648; do
    wrong "--seed is" eval --method rollout --scenes 3 --seed "$value"
done
wrong "--costly is" eval --method rollout --scenes 3 --costly 0
wrong "did you mean follows?" eval --method rollout --scenes 3 --metric folows
wrong "deletion: step=0" eval --method rollout --scenes 3 --set deletion.step=0
wrong "the model has" eval --method rollout --scenes 3 --layer 99
check "a model of other classes"
run eval -m $model --scenes 3 --method rollout
gives 1
err_lines 1
out_lines 0
err_has "vitx-cli: $model: the model does not know the scenes' classes: it has no class \"$("$scenes" --classes | head -1 | cut -f 2)\""

# near FILE FILE DISTANCE: prints where they differ: words, or numbers by more than that
words() { tr '{}":,' '     ' < "$1" | tr -s ' ' '\n'; }
near() {
    paste <(words "$1") <(words "$2") | awk -F '\t' -v most="$3" '
        function number(x) { return x ~ /^-?[0-9][0-9.e+-]*$/ }
        number($1) && number($2) { numbers++; d = $1 - $2; if (d < -most || d > most) print; next }
        $1 != $2
        END { if (numbers < 50) print numbers " numbers" }'
}
case $BUILD in
    *san*) cp $golden/eval.jsonl "$folder/measured" ;; # two minutes there; the release build measures
    *)
        right "${measured[@]}"
        without_time "$out" > "$folder/measured"
        check "the numbers of $golden/eval.jsonl"
        near $golden/eval.jsonl "$folder/measured" 0.001 > "$folder/differ"
        [ -s "$folder/differ" ] && fail "$(head -3 "$folder/differ")"
        ;;
esac
few=(eval --scenes 4 --costly 1 --method "rollout,gradcam,occlusion" --set occlusion.window=4 --set occlusion.stride=4 --json)
case $BUILD in
    *san*) # once, and shorter
        right "${few[@]}" --scenes 2 --threads 3 --batch 3 --quiet
        ;;
    *)
        right "${few[@]}" --threads 1
        without_time "$out" > "$folder/one"
        right "${few[@]}" --threads 1 --batch 3
        without_time "$out" | cmp -s - "$folder/one" || fail "it depends on the batch"
        right "${few[@]}" --threads 3 --quiet
        without_time "$out" > "$folder/three"
        near "$folder/one" "$folder/three" 1e-5 > "$folder/differ"
        [ -s "$folder/differ" ] && fail "it depends on the threads: $(head -3 "$folder/differ")"
        ;;
esac
grep -q '"method":"occlusion","one":{.*"cases":1}.*"two":{.*"cases":2}' "$folder/measured" || fail "costly methods are measured over another number of scenes"
grep -q '"method":"random","one":{.*"cases":10}.*"two":{.*"follows":{"mean":0.5,.*"cases":20}' "$folder/measured" || fail "the map that knows nothing follows"

right eval --lang zh --scenes 3 --seed 5 --method gradcam --metric roc,follows.share --no-baselines
out_has '^3 scenes of seed 5, [0-9]+ x [0-9]+: 2 with one object, 1 with two'
out_has '^the model names the one object of [0-9.]+ %, both of two of [0-9.]+ %$'
out_has '^ +one object +two objects *$'
out_has '^ +roc +roc +follows.share +ms$'
out_has '^gradcam +[01]\.[0-9]{3} +[01]\.[0-9]{3} +[01]\.[0-9]{3} +[0-9.]+$'
out_has '^\+- +0\.[0-9]{3} '
right eval --scenes 2 --method rollout --metric insertion --curves "$folder/curve.npy" --no-baselines
grep -aq "'shape': (2, 9)" "$folder/curve.npy" || fail "the curve has another shape"
out_has '^\+- +- *$' # one case has no standard error
check "a full disk"
"$cli" eval --scenes 1 --method rollout --metric roc > /dev/full 2> "$err"
status=$?
gives 1
finish
