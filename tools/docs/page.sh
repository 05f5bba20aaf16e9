#!/bin/bash
# page.sh: makes the screenshots of README.md, docs/report.md and docs/gallery.md: the demo's page
# and a gallery of scenes, in a browser without a window. Needs build/vitx-cli; what else it needs
# is installed by test/page/check.sh (Python, Playwright, Chromium).
set -euo pipefail
cd "$(dirname "$0")/../.."
tools/demo.sh build/vitx-cli docs/images/scenes build/demo > /dev/null
build/vitx-cli explain --quiet --method all-fast --target top2 --lang zh --title 三个场景 -o build/demo/zh.html \
    docs/images/scenes/{one,two,wrong}.png
rm -rf build/demo/scenes build/demo/run
build/vitx-scenes --seed 7 --count 400 --out build/demo/scenes > /dev/null
rm build/demo/scenes/*.*.png # the masks
(cd build/demo/scenes && ../../vitx-cli batch --quiet --method hirescam,generic,rollout --gallery --shard-size 64 --out ../run .)
PAGE_SCRIPT=tools/docs/page.py exec test/page/check.sh docs/images en=build/demo/demo.html zh=build/demo/zh.html \
    gallery=build/demo/run/gallery/index.html
