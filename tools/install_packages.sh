#!/usr/bin/env bash
# Install those of the named Debian packages that are missing.
#
# usage: tools/install_packages.sh PACKAGE...
#
# A package counts as there when the thing it is wanted for works, wherever that came from.
# Elsewhere than on Debian and its relatives it only says what is missing, and fails.
set -euo pipefail
case ${1:-} in
-h | --help)
    sed -n '2,/^set -euo/{/^set/d;s/^# \{0,1\}//;p}' "$0"
    exit 0
    ;;
esac

# Whether what the project wants of package $1 is there.
is_there() {
    case $1 in
    build-essential) command -v cc && command -v make && echo 'int main(void){return 0;}' |
        cc -x c -fopenmp - -o /dev/null ;;
    clang) echo 'int main(void){return 0;}' | clang -x c - -o /dev/null ;;
    libomp-dev) echo 'int main(void){return 0;}' | clang -x c -fopenmp - -o /dev/null ;;
    cmake) cmake --version ;;
    ninja-build) ninja --version ;;
    git) git --version ;;
    pkg-config) pkg-config --version ;;
    libjansson-dev) pkg-config --atleast-version=2.13 jansson ;;
    libutf8proc-dev) pkg-config --exists libutf8proc ;;
    libcmocka-dev) pkg-config --exists cmocka ;;
    libdnnl-dev) echo '#include <dnnl.h>' | cc -x c -E - ;;
    python3) python3 --version ;;
    python3-pip) python3 -m pip --version ;;
    python3-venv) python3 -c 'import ensurepip, venv' ;;
    ca-certificates) test -s /etc/ssl/certs/ca-certificates.crt ;;
    wordnet-base) test -s /usr/share/wordnet/data.noun ;;
    qemu-user) command -v qemu-aarch64 ;;
    gcc-aarch64-linux-gnu) command -v aarch64-linux-gnu-gcc ;;
    *) dpkg-query -W -f '${Status}' "$1" | grep -q 'ok installed' ;;
    esac >/dev/null 2>&1
}

missing=()
for package in "$@"; do
    is_there "$package" || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

if ! command -v apt-get >/dev/null; then
    echo "missing, please install what your system calls these: ${missing[*]}" >&2
    exit 1
fi
as_root=()
if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null; then
        echo "missing, please install as root: apt-get install ${missing[*]}" >&2
        exit 1
    fi
    as_root=(sudo)
fi
echo "installing: ${missing[*]}"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
export DEBIAN_FRONTEND=noninteractive
if ! { "${as_root[@]}" apt-get -o DPkg::Lock::Timeout=300 update &&
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 \
        install -y --no-install-recommends "${missing[@]}"; } >"$log" 2>&1 </dev/null; then
    tail -n 20 "$log" >&2
    echo "could not install: ${missing[*]}" >&2
    exit 1
fi
for package in "${missing[@]}"; do
    if ! is_there "$package"; then
        echo "installed $package, but it still does not work" >&2
        exit 1
    fi
done
