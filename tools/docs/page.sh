#!/bin/bash
# page.sh: makes the screenshots of README.md and docs/report.md: the demo's page, in a browser without a
# window. Needs build/vitx-cli; what else it needs is installed by test/page/check.sh (Python, Playwright,
# Chromium).
set -euo pipefail
cd "$(dirname "$0")/../.."
tools/demo.sh build/vitx-cli docs/images/scenes build/demo > /dev/null
build/vitx-cli explain --quiet --method all-fast --target top2 --lang zh --title 三个场景 -o build/demo/zh.html \
    docs/images/scenes/{one,two,wrong}.png
PAGE_SCRIPT=tools/docs/page.py exec test/page/check.sh docs/images en=build/demo/demo.html zh=build/demo/zh.html
