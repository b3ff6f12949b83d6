#!/usr/bin/env bash
# Run commands in a fresh clone of this repository inside a bare Debian 12, where nothing is
# installed.
#
# usage: sudo tools/bare_debian.sh FOLDER [COMMAND]...     (default: ./demo ./check)
#
# FOLDER/root becomes the Debian (debootstrap, minbase) unless it is there already, so that a second
# run is not bare; remove FOLDER for that.  The clone is of the last commit.  What this machine needs
# to reach its package registries goes along: apt's and pip's configuration, proxies, certificates,
# name servers, and the folders that pip's configuration names (read-only).  The folder
# ../shared/data is shown beside the clone if it is there.
set -euo pipefail
case ${1:-} in
-h | --help)
    sed -n '2,/^set -euo/{/^set/d;s/^# \{0,1\}//;p}' "$0"
    exit 0
    ;;
esac
here=$(cd "$(dirname "$0")/.." && pwd)
suite=bookworm
mirror=${MIRROR:-http://deb.debian.org/debian}

if [ $# -lt 1 ] || [ "$(id -u)" -ne 0 ]; then
    echo "usage: sudo tools/bare_debian.sh FOLDER [COMMAND]..." >&2
    exit 2
fi
mkdir -p "$1"
folder=$(cd "$1" && pwd)
root=$folder/root
shift
[ $# -gt 0 ] || set -- ./demo ./check

if ! command -v debootstrap >/dev/null; then
    echo "debootstrap is missing: apt-get install debootstrap" >&2
    exit 1
fi
[ -e "$root/etc/debian_version" ] || debootstrap --variant=minbase "$suite" "$root" "$mirror"

mounts=()
leave() {
    local i
    for ((i = ${#mounts[@]} - 1; i >= 0; i--)); do
        umount "${mounts[i]}" || umount -l "${mounts[i]}" || true
    done
}
trap leave EXIT

# show SOURCE [OPTIONS]: the same path inside the root.
show() {
    mkdir -p "$root$1"
    mount --bind "$1" "$root$1"
    mounts+=("$root$1")
    [ -z "${2:-}" ] || mount -o "remount,bind,$2" "$root$1"
}
mount -t proc proc "$root/proc" && mounts+=("$root/proc")
show /dev
show /sys ro

# Files of this machine that say how registries are reached; certificates of its own with them.
copy() {
    [ -e "$1" ] || return 0
    mkdir -p "$root$(dirname "$1")"
    cp -rL "$1" "$root$(dirname "$1")/"
}
for path in /etc/resolv.conf /etc/hosts /etc/pip.conf /etc/xdg/pip /usr/local/share/ca-certificates \
    /etc/ssl/certs/ca-certificates.crt /etc/apt/apt.conf.d/*proxy*; do
    copy "$path"
done
# Installing ca-certificates writes the bundle anew: from this folder too.
mkdir -p "$root/usr/local/share/ca-certificates"
awk -v folder="$root/usr/local/share/ca-certificates" '
    /BEGIN CERTIFICATE/ { file = sprintf("%s/machine-%d.crt", folder, ++n) }
    file != "" { print >file }
    /END CERTIFICATE/ { close(file); file = "" }' /etc/ssl/certs/ca-certificates.crt
mkdir -p "$root/root/.config"
[ ! -e "${HOME:-/root}/.config/pip" ] || cp -rL "${HOME:-/root}/.config/pip" "$root/root/.config/"

# Folders that pip is told to look into.
pip_settings=$(env | grep '^PIP_' || true; cat /etc/pip.conf /etc/xdg/pip/* \
    "${HOME:-/root}"/.config/pip/* 2>/dev/null || true)
while IFS= read -r path; do
    [ "${path##*/}" != simple ] || path=${path%/*} # an index: its files lie beside it
    [ ! -d "$path" ] || mountpoint -q "$root$path" || show "$path" ro
done < <(grep -oE '(file://)?/[^][:space:],"]+' <<<"$pip_settings" | sed 's,^file://,,' | sort -u)

clone=$root/srv/repository
rm -rf "$clone"
git clone --quiet "$here" "$clone"
if [ -d "$here/../shared/data" ]; then
    mkdir -p "$root/srv/shared/data"
    mount --bind "$here/../shared/data" "$root/srv/shared/data"
    mounts+=("$root/srv/shared/data")
fi

# The environment: nothing but what the registries need.
variables=(HOME=/root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
    LANG=C.UTF-8 "TERM=${TERM:-dumb}")
while IFS= read -r setting; do
    variables+=("$setting")
done < <(env | grep -E '^(PIP_[A-Z_]*|SSL_CERT_FILE|SSL_CERT_DIR|https?_proxy|HTTPS?_PROXY|no_proxy|NO_PROXY|CI)=' || true)

for command in "$@"; do
    printf '\n#### bare Debian: %s\n' "$command"
    chroot "$root" env -i "${variables[@]}" bash -c "cd /srv/repository && $command" </dev/null
done
