#!/bin/bash
# install.sh: what `make install` installs works wherever it is moved to, the bundled model and the
# demo with it, and `make uninstall` takes it away. run.sh exports OUT (the products) and BUILD.
set -u
: "${OUT:=build}" "${BUILD:=build/release}"
folder=$(mktemp -d) || exit 1
trap 'rm -rf "$folder"' EXIT
root=$folder/root moved="$folder/another place" failed=0

fail() {
    printf 'install: %s\n' "$*"
    failed=1
}
# What is to be installed has been built: -o all keeps make from building it another way.
make_() {
    env -u MAKEFLAGS -u LIBDIR -u DATADIR make -o all CONFIG="${BUILD##*/}" DESTDIR="$root" PREFIX=/opt/vitx "$@" \
        > "$folder/log" 2>&1 || fail "make $*: $(cat "$folder/log")"
}
# fails WHAT COMMAND...
fails() {
    local what=$1
    shift
    "$@" > "$folder/log" 2>&1 && fail "the demo succeeds with $what"
}

make_ install
for program in vitx-cli vitx-scenes; do
    cmp -s "$OUT/$program" "$root/opt/vitx/bin/$program" || fail "$program is not what was built"
done
library=$(echo "$root"/opt/vitx/lib/libvitx.so.*.*)
bytes=$(stat -c %s "$library")
# Nothing large comes into the library unseen: a table, or code that was meant to be left out.
[ "${BUILD##*/}" != release ] || [ "$bytes" -le 1150000 ] ||
    fail "$library has $bytes bytes, 1150000 at most"
[ "$(nm -D --defined-only "$library" | awk '{print $3}' | sort)" = \
    "$(nm -D --defined-only "$OUT/libvitx.so" | awk '{print $3}' | sort)" ] || fail "a name was stripped off"
# The plug-in of the device cuda, if it was built, where it is found.
plugin=$(basename "$(echo "$OUT"/libvitx-cuda.so.*)")
if [ -e "$OUT/$plugin" ]; then
    [ -s "$root/opt/vitx/lib/vitx/$plugin" ] || fail "lib/vitx/$plugin is not there"
    make_ install CUDA=0 DESTDIR="$folder/without"
    [ -e "$folder/without/opt/vitx/lib/vitx" ] && fail "CUDA=0 installs the plug-in"
fi
for file in model.safetensors config.json labels.zh.txt README.md; do
    cmp "weights/scenes/$file" "$root/opt/vitx/share/vitx/scenes/$file" || fail "$file of the model"
done
for file in model.safetensors config.json preprocessor_config.json tokenizer.json tokenizer_config.json README.md; do
    cmp "weights/pair/$file" "$root/opt/vitx/share/vitx/pair/$file" || fail "$file of the pair"
done
for file in README.md imagenet80.txt simple7.txt zh80.txt zh7.txt; do
    cmp "weights/templates/$file" "$root/opt/vitx/share/vitx/templates/$file" || fail "$file of the templates"
done

# ---------------------------------------------------------------- moved ----------------------
mv "$root/opt/vitx" "$moved"
cd "$folder" || exit 1
"$moved/bin/vitx-cli" info > found || fail "info without -m"
grep -qxE "model +$moved/share/vitx/scenes" found || fail "another model: $(grep ^model found)"
[ ! -e "$moved/lib/vitx/$plugin" ] || ! grep -q "^devices.*$plugin not found" found || fail "the plug-in is not found"
ln -s "$moved/bin/vitx-cli" link
./link info | cmp -s - found || fail "through a link another model is found"

# ---------------------------------------------------------------- the demo -------------------
demo=$moved/share/vitx/demo
PATH="$moved/bin:$PATH" sh "$demo/demo.sh" > told 2> error || fail "the demo: $(cat error)"
[ -s error ] && fail "the demo complains: $(cat error)"
cp told with-path
(sh "$demo/demo.sh") > told 2> error || fail "the demo without PATH: $(cat error)"
grep -v '^\$ PATH=' told | cmp -s - with-path || fail "the demo without PATH says something else"
grep -qxF "\$ PATH=\"$moved/bin:\$PATH\"" told || fail "it does not say where the program is"
cp with-path told
maps=(vitx-demo/*.png)
[ ${#maps[@]} = 8 ] || fail "${#maps[@]} maps, expected 8: ${maps[*]}"
for map in "${maps[@]}"; do
    grep -qx "  $map" told || fail "$map is not named at the end"
done
"$moved/bin/vitx-cli" classify --quiet "${maps[@]}" > log || fail "a map is no picture"
cmp -s vitx-demo/wrong.answer.png vitx-demo/wrong.truth.png && fail "one map for both answers"
page=vitx-demo/demo.html
for name in one two wrong; do
    grep -qF "\"name\":\"$name.png\"" $page || fail "$name.png is not on the page"
done
grep -qF "$moved" $page && fail "the page tells where the demo lies"
cp $page page
[ "$(tail -n 1 told)" = "Open this file in a browser: $page" ] || fail "the last line is $(tail -n 1 told)"
[ "$(find vitx-demo -type f | wc -l)" = 9 ] || fail "more than maps and a page: $(find vitx-demo)"

# Each command that it prints can be repeated.
mkdir again
grep '^\$ vitx-cli' told | sed 's/^\$ //' > again/commands
[ "$(wc -l < again/commands)" = 8 ] || fail "not eight commands: $(cat again/commands)"
rm "${maps[@]}" $page
PATH="$moved/bin:$PATH" sh -e again/commands > log 2>&1 || fail "its commands: $(cat log)"
[ "$(compgen -G 'vitx-demo/*.png' | wc -l)" = 8 ] || fail "its commands write other maps"
cmp -s page $page || fail "its commands write another page"

fails "no pictures" sh "$demo/demo.sh" "$moved/bin/vitx-cli" "$folder" out
fails "a program that fails" sh "$demo/demo.sh" false "$demo" out
fails "a folder that cannot be made" sh "$demo/demo.sh" "$moved/bin/vitx-cli" "$demo" "$folder/told/out"
cp -r "$demo" right
answer=$("$moved/bin/vitx-cli" classify --top 1 right/wrong.png | sed -n '2s/^ *[^ ]*  *[^ ]*  *[^ ]*  //p')
printf 'one.png: %s\ntwo.png: 0, 1\nwrong.png: %s\n' "$answer" "$answer" > right/objects.txt
fails "a mistake that is none" sh "$demo/demo.sh" "$moved/bin/vitx-cli" right out
grep -q "there is no mistake to explain" log || fail "it says: $(tail -n 1 log)"

# ---------------------------------------------------------------- uninstalled ----------------
mv "$moved" "$root/opt/vitx"
touch "$root/opt/vitx/share/vitx/scenes/mine"
cd "$OLDPWD" || exit 1
make_ uninstall
[ "$(find "$root" ! -type d)" = "$root/opt/vitx/share/vitx/scenes/mine" ] || fail "left: $(find "$root" ! -type d)"
rm "$root/opt/vitx/share/vitx/scenes/mine"
make_ uninstall
[ -e "$root/opt/vitx/share/vitx" ] && fail "share/vitx is left"
exit $failed
