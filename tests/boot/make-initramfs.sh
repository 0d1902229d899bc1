#!/usr/bin/env bash
# make-initramfs.sh INIT OUTPUT [--program PATH]... [--module NAME]... [--file SOURCE:TARGET]...
# An initramfs (newc cpio, gzip) whose /init is the shell script INIT, run by busybox. A program brings its shared
# libraries along; a module of the newest kernel in /boot brings what it depends on, listed in /modules in load order.
set -euo pipefail

init=$1 output=$2
shift 2
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
mkdir -p "$root"/{bin,sbin,dev,proc,sys,tmp,lib/modules,usr/share}
busybox=$(command -v busybox)
cp "$busybox" "$root/bin/busybox"
for applet in $("$busybox" --list); do
    [ "$applet" = busybox ] || ln -sf /bin/busybox "$root/bin/$applet"
done
install -m 0755 "$init" "$root/init"

kernels=(/boot/vmlinuz-*)
version=${kernels[-1]#/boot/vmlinuz-}
: > "$root/modules"

copy_program() {
    local program=$1 library
    install -D -m 0755 "$program" "$root$program"
    ldd "$program" 2> /dev/null | grep -o '/[^ ]*' | while read -r library; do
        [ -e "$root$library" ] || install -D -m 0755 "$library" "$root$library"
    done || true
}

copy_module() {
    local path
    modprobe --set-version "$version" --show-depends "$1" | sed -n 's/^insmod //p' | while read -r path _; do
        [ -e "$root/lib/modules/$(basename "$path")" ] && continue
        cp "$path" "$root/lib/modules/"
        echo "/lib/modules/$(basename "$path")" >> "$root/modules"
    done
}

while [ $# -gt 0 ]; do
    case $1 in
    --program) copy_program "$2" ;;
    --module) copy_module "$2" ;;
    --file) install -D "${2%%:*}" "$root${2#*:}" ;;
    *) echo "make-initramfs.sh: unknown option $1" >&2; exit 2 ;;
    esac
    shift 2
done

(cd "$root" && find . -print0 | sort -z | cpio --null --create --format=newc --owner=0:0 --quiet) | gzip -1 > "$output"
