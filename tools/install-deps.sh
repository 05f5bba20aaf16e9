#!/bin/sh
# Installs what vitx needs to build and test. Called by make when something is missing.
#
#   install-deps.sh            install what is missing; without root or apt, print the command and stop
#   install-deps.sh --missing  print what is missing, install nothing
#
# Libraries that decode more kinds of pictures, read archives and serve are installed if that can be
# done, and done without if not; WITHOUT holds those that are not wanted (Makefile). With VITX_INSTALLED set they have been
# tried.
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
    pkg-config --exists libutf8proc || need libutf8proc-dev
    # Only Debian gives stb a file for pkg-config; the folder's name is the same everywhere.
    # shellcheck disable=SC2046
    printf '#include <stb/stb_image.h>\n#include <stb/stb_image_write.h>\n' |
        ${CC:-cc} $(pkg-config --cflags libcjson 2>/dev/null) -E -x c - >/dev/null 2>&1 || need libstb-dev
else
    missing=" libopenblas-dev check libstb-dev libcjson-dev zlib1g-dev libpng-dev nettle-dev libutf8proc-dev pkg-config"
fi
command -v c++ >/dev/null 2>&1 || need g++
missing=${missing# }
wanted=""
want() { # want KIND PACKAGE DEBIAN
    case " ${WITHOUT:-} " in *" $1 "*) return ;; esac
    pkg-config --exists "$2" 2>/dev/null || wanted="$wanted $3"
}
if [ -z "${VITX_INSTALLED:-}" ] && command -v apt-get >/dev/null 2>&1 && [ "$(id -u)" = 0 ]; then
    want WEBP libwebp libwebp-dev
    want TIFF libtiff-4 libtiff-dev
    want ARCHIVE libarchive libarchive-dev
    want HTTP libmicrohttpd libmicrohttpd-dev
fi
[ "${1:-}" = --missing ] && { echo "$missing$wanted"; exit 0; }
[ -z "$missing$wanted" ] && exit 0

if command -v apt-get >/dev/null 2>&1 && [ "$(id -u)" = 0 ]; then
    # shellcheck disable=SC2086
    echo installing $missing $wanted
    export DEBIAN_FRONTEND=noninteractive
    log=$(mktemp) || exit 1
    # A first attempt with the package lists at hand; they may be absent or old.
    install() {
        { apt-get install -y --no-install-recommends "$@" ||
          { apt-get update && apt-get install -y --no-install-recommends "$@"; }; } > "$log" 2>&1
    }
    # shellcheck disable=SC2086
    if ! install $missing $wanted; then
        [ -z "$missing" ] || install $missing ||
            { tail -n 20 "$log" >&2; rm -f "$log"; echo "vitx: apt-get could not install: $missing" >&2; exit 1; }
        [ -z "$wanted" ] || echo "vitx: apt-get could not install$wanted: what needs them is left out" >&2
    fi
    rm -f "$log"
    left=$(VITX_INSTALLED=1 "$0" --missing)
    [ -z "$left" ] && exit 0
    echo "vitx: installed, but pkg-config or the compiler does not find it: $left" >&2
    exit 1
fi
cat >&2 <<EOF
vitx needs packages that are not installed: $missing
Install them and run make again:
  Debian, Ubuntu:  sudo apt-get install -y libopenblas-dev check libstb-dev libcjson-dev zlib1g-dev libpng-dev nettle-dev libutf8proc-dev pkg-config g++
                   and, for more kinds of pictures, libwebp-dev libtiff-dev libavif-dev libheif-dev,
                   for batch from archives libarchive-dev, for serve libmicrohttpd-dev
  Fedora:          sudo dnf install -y openblas-devel check-devel stb_image-devel stb_image_write-devel cjson-devel zlib-devel libpng-devel nettle-devel utf8proc-devel pkgconf-pkg-config gcc-c++
                   and libwebp-devel libtiff-devel libavif-devel libheif-devel libarchive-devel libmicrohttpd-devel
  Homebrew:        brew install openblas check cjson zlib libpng nettle utf8proc pkgconf webp libtiff libavif libheif libarchive libmicrohttpd
                   export PKG_CONFIG_PATH="\$(brew --prefix openblas)/lib/pkgconfig:\$(brew --prefix zlib)/lib/pkgconfig:\$(brew --prefix libarchive)/lib/pkgconfig"
                   and, because there is no formula for stb, stb_image.h and stb_image_write.h
                   from https://github.com/nothings/stb into "\$(brew --prefix)/include/stb"
EOF
exit 1
