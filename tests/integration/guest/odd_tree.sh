#!/usr/bin/env bash
# odd_tree.sh FOLDER: fills a mounted file system with what trees rarely hold. Root.
set -euo pipefail
root=$1
cd "$root"

mkdir plain linear indexed attributes names devices sparse links times
printf 'hello' > plain/hello
: > plain/empty
printf 'tiny' > plain/inline
head -c 100 /dev/urandom > plain/hundred-bytes
head -c 3000000 /dev/urandom > plain/three-megabytes
mkdir plain/deep plain/deep/{1,2,3}
path=plain/deep
for part in $(seq 60); do path=$path/d$part; done
mkdir -p "$path"
printf 'bottom' > "$path/bottom"

for i in $(seq 30); do : > "linear/file-$i"; done
for i in $(seq 2500); do : > "indexed/a-rather-long-name-for-a-file-so-that-the-index-needs-blocks-$i"; done

# Modes, owners and times at their edges.
install -m 4755 /dev/null plain/setuid
install -m 2755 /dev/null plain/setgid
install -d -m 1777 plain/sticky
install -m 0000 /dev/null plain/no-rights
install -o 70000 -g 4294967294 /dev/null plain/large-owner
touch -d '1969-07-20 20:17:40.123456789 UTC' times/before-1970
touch -d '2040-02-03 04:05:06.5 UTC' times/after-2038 2> /dev/null || true
touch -d '1970-01-01 00:00:00 UTC' times/epoch
touch -d '2024-02-29 23:59:59.999999999 UTC' times/nanoseconds

# Links of all kinds.
ln -s hello links/short
ln -s "$(printf 'x%.0s' $(seq 59))" links/59
ln -s "$(printf 'x%.0s' $(seq 60))" links/60
ln -s "$(printf 'y%.0s' $(seq 900))" links/900
ln -s ../../../../etc/passwd links/outwards
ln plain/three-megabytes links/hard
ln links/short links/hard-symlink
ln plain/three-megabytes zz-last-hard

# Names that break tools.
printf 'n' > $'names/new\nline'
printf 'n' > $'names/\xff\xfe not utf-8'
printf 'n' > 'names/ leading and trailing blanks '
printf 'n' > 'names/back\slash"quote*star'
printf 'n' > names/--option
printf 'n' > 'names/üñïçødé'
printf 'n' > "names/$(printf 'l%.0s' $(seq 255))"
printf 'n' > names/.wh.whiteout
mkdir "names/$(printf 'd%.0s' $(seq 200))"
printf 'n' > "names/$(printf 'd%.0s' $(seq 200))/$(printf 'f%.0s' $(seq 200))"

mknod devices/null c 1 3
mknod devices/large-minor b 259 200000
mknod devices/large-major c 500 5
mkfifo devices/fifo
python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind("devices/socket")'

# Holes, blocks beyond holes, allocated blocks that were never written, data that ends in a hole.
truncate -s 100M sparse/all-hole
truncate -s 70M sparse/islands
for at in 0 1 7 33 69; do printf 'island' | dd of=sparse/islands bs=1M seek="$at" conv=notrunc status=none; done
fallocate -l 3M sparse/unwritten 2> /dev/null || truncate -s 3M sparse/unwritten
printf 'written' | dd of=sparse/unwritten bs=1 seek=1000000 conv=notrunc status=none
for i in $(seq 0 2 700); do printf 'x' | dd of=sparse/many-extents bs=4096 seek="$i" conv=notrunc status=none; done

# Attributes: small ones in the inode, many, large ones, lists of access, capabilities.
printf 'a' > attributes/file
setfattr -n user.small -v value attributes/file
setfattr -n user.empty -v '' attributes/file
setfattr -n user.binary -v 0x00ff0a3d00 attributes/file
setfattr -n trusted.hidden -v secret attributes/file
setfattr -n security.test -v label attributes/file
printf 'a' > attributes/many
for i in $(seq 20); do setfattr -n "user.number-$i" -v "the value of number $i" attributes/many 2> /dev/null || break; done
printf 'a' > attributes/large
setfattr -n user.large -v "$(printf 'v%.0s' $(seq 800))" attributes/large 2> /dev/null || true
printf 'a' > attributes/huge
setfattr -n user.huge -v "$(printf 'h%.0s' $(seq 40000))" attributes/huge 2> /dev/null || true
printf 'a' > attributes/access-list
setfacl -m u:1000:r,g:2000:rwx,m::rx attributes/access-list
mkdir attributes/default-list
setfacl -m u:1000:rwx -d -m u:1000:rx,g:4:r attributes/default-list
printf 'a' > attributes/capable
setcap cap_net_raw,cap_net_admin+ep attributes/capable
ln -s file attributes/link
setfattr -h -n trusted.on-link -v yes attributes/link
