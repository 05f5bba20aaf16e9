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
    pkg-config --exists libcjson || need libcjson-dev
    pkg-config --exists zlib || need zlib1g-dev
    pkg-config --exists libpng || need libpng-dev
    pkg-config --exists nettle || need nettle-dev
    # Only Debian gives stb a file for pkg-config; the folder's name is the same everywhere.
    # shellcheck disable=SC2046
    printf '#include <stb/stb_image.h>\n#include <stb/stb_image_write.h>\n' |
        ${CC:-cc} $(pkg-config --cflags libcjson 2>/dev/null) -E -x c - >/dev/null 2>&1 || need libstb-dev
else
    missing=" libopenblas-dev check libstb-dev libcjson-dev zlib1g-dev libpng-dev nettle-dev pkg-config"
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
    left=$("$0" --missing)
    [ -z "$left" ] && exit 0
    echo "vitx: installed, but pkg-config or the compiler does not find it: $left" >&2
    exit 1
fi
cat >&2 <<EOF
vitx needs packages that are not installed: $missing
Install them and run make again:
  Debian, Ubuntu:  sudo apt-get install -y libopenblas-dev check libstb-dev libcjson-dev zlib1g-dev libpng-dev nettle-dev pkg-config g++
  Fedora:          sudo dnf install -y openblas-devel check-devel stb_image-devel stb_image_write-devel cjson-devel zlib-devel libpng-devel nettle-devel pkgconf-pkg-config gcc-c++
  Homebrew:        brew install openblas check cjson zlib libpng nettle pkgconf
                   export PKG_CONFIG_PATH="\$(brew --prefix openblas)/lib/pkgconfig:\$(brew --prefix zlib)/lib/pkgconfig"
                   and, because there is no formula for stb, stb_image.h and stb_image_write.h
                   from https://github.com/nothings/stb into "\$(brew --prefix)/include/stb"
EOF
exit 1
