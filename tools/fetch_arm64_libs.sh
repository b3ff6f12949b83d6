#!/usr/bin/env bash
# Put the arm64 builds of the libraries we link into FOLDER, for the cross build.
#
# usage: tools/fetch_arm64_libs.sh FOLDER
#
# Uses Debian's packages through a private apt state inside FOLDER: the machine's own list of
# architectures and packages is not touched, and no root is needed.
set -euo pipefail

packages=(libjansson4 libjansson-dev libutf8proc2 libutf8proc-dev libcmocka0 libcmocka-dev)
mkdir -p "$1"
folder=$(cd "$1" && pwd)
[ ! -e "$folder/complete" ] || exit 0

mkdir -p "$folder/apt/state/lists/partial" "$folder/apt/cache/archives/partial" "$folder/deb"
: >"$folder/apt/status"
apt=(apt-get -q -o APT::Architecture=arm64 -o APT::Architectures=arm64
    -o Dir::State="$folder/apt/state" -o Dir::State::status="$folder/apt/status"
    -o Dir::Cache="$folder/apt/cache" -o APT::Sandbox::User=root -o Acquire::Languages=none)
# A third-party source without arm64 may fail here; whether the download works decides.
"${apt[@]}" update </dev/null || true
(cd "$folder/deb" && "${apt[@]}" download "${packages[@]}" </dev/null)
for file in "$folder"/deb/*.deb; do
    dpkg-deb -x "$file" "$folder/root"
done
rm -rf "$folder/apt" "$folder/deb"
: >"$folder/complete"
