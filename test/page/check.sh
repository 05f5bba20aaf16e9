#!/bin/bash
# check.sh [TEST...]: tests of the report page in a real browser, Chromium without a window. Run by
# `make check-page`. Python packages go into a virtual environment under build/page; the browser is
# Debian's, which apt installs if this is root and it is not there. Without browser or Python the
# tests fail: a test that did not run is no success. Each TEST is the beginning of a test's name.
# PAGE_SCRIPT=FILE runs another script of Python in the same place (tools/bench/page.py).
set -euo pipefail
cd "$(dirname "$0")/../.."
room=build/page
venv=$room/venv
python=$venv/bin/python
mkdir -p "$room"

stop() {
    printf 'check-page: %s\n' "$*" >&2
    exit 1
}

# install WHAT PACKAGE...: by apt, if there is apt and this is root.
install() {
    local what=$1 log=$room/apt.log
    shift
    if ! command -v apt-get >/dev/null || [ "$(id -u)" != 0 ]; then
        stop "needs $what; Debian, Ubuntu: sudo apt-get install -y $*"
    fi
    echo "installing $*"
    export DEBIAN_FRONTEND=noninteractive
    { apt-get install -y --no-install-recommends "$@" ||
        { apt-get update && apt-get install -y --no-install-recommends "$@"; }; } >"$log" 2>&1 ||
        { tail -n 20 "$log" >&2; stop "apt-get could not install $*"; }
}

find_browser() {
    local name
    for name in chromium-headless-shell chromium chromium-browser google-chrome; do
        command -v "$name" && return
    done
    return 1
}

command -v python3 >/dev/null || install "Python 3" python3 python3-venv
# Debian's Python makes no environments with pip unless python3-venv is there.
python3 -c 'import ensurepip, venv' 2>/dev/null || install "Python's venv" python3-venv
if ! cmp -s test/page/requirements.txt "$venv/requirements.txt"; then
    rm -rf "$venv"
    python3 -m venv "$venv"
    "$python" -m pip install --quiet --disable-pip-version-check -r test/page/requirements.txt ||
        stop "pip could not install test/page/requirements.txt"
    cp test/page/requirements.txt "$venv/requirements.txt"
fi
if ! find_browser >/dev/null; then
    # Not every release has the one without windows.
    package=chromium-headless-shell
    apt-cache show $package >/dev/null 2>&1 || apt-get update >/dev/null 2>&1 || true
    apt-cache show $package >/dev/null 2>&1 || package=chromium
    install "Chromium" $package
fi
browser=$(find_browser) || stop "finds no Chromium"
export PAGE_BROWSER=$browser PAGE_ROOM=$room PYTHONDONTWRITEBYTECODE=1
PYTHONPATH=test/page exec "$python" "${PAGE_SCRIPT:-test/page/run.py}" "$@"
