#!/bin/sh
# Installs what vitx needs to build and test. Called by make when something is missing.
#
#   install-deps.sh            install what is missing; without root or apt, print the command and stop
#   install-deps.sh --missing  print what is missing, install nothing
set -u

missing=""
need() { case " $missing " in *" $1 "*) ;; *) missing="$missing $1" ;; esac; }
if command -v pkg-config >/dev/null 2>&1; then
    pkg-config --exists openblas || need libopenblas-dev
    pkg-config --exists check || need check
    pkg-config --exists stb || need libstb-dev
    pkg-config --exists libcjson || need libcjson-dev
    pkg-config --exists zlib || need zlib1g-dev
else
    missing=" libopenblas-dev check libstb-dev libcjson-dev zlib1g-dev pkg-config"
fi
command -v c++ >/dev/null 2>&1 || need g++
missing=${missing# }
[ "${1:-}" = --missing ] && { echo "$missing"; exit 0; }
[ -z "$missing" ] && exit 0

if command -v apt-get >/dev/null 2>&1 && [ "$(id -u)" = 0 ]; then
    echo "installing $missing"
    export DEBIAN_FRONTEND=noninteractive
    log=$(mktemp) || exit 1
    # A first attempt with the package lists at hand; they may be absent or old.
    # shellcheck disable=SC2086
    { apt-get install -y --no-install-recommends $missing ||
      { apt-get update && apt-get install -y --no-install-recommends $missing; }; } > "$log" 2>&1 ||
        { tail -n 20 "$log" >&2; rm -f "$log"; echo "vitx: apt-get could not install: $missing" >&2; exit 1; }
    rm -f "$log"
    exit 0
fi
cat >&2 <<EOF
vitx needs packages that are not installed: $missing
Install them and run make again:
  Debian, Ubuntu:  sudo apt-get install -y libopenblas-dev check libstb-dev libcjson-dev zlib1g-dev pkg-config g++
  Fedora:          sudo dnf install -y openblas-devel check-devel stb-devel cjson-devel zlib-devel pkgconf-pkg-config gcc-c++
  macOS:           brew install openblas check stb cjson zlib pkgconf
EOF
exit 1
