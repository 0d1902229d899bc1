# Container images for tests, made by umoci of what lies on this machine. Sourced behind integration.sh.
# shellcheck shell=bash

# new_image LAYOUT TAG FOLDER OPTION…: an image with the files of a folder, and umoci's options for its configuration
new_image() {
    local layout=$1 tag=$2 folder=$3
    shift 3
    [[ -e $layout ]] || umoci init --layout "$layout"
    umoci new --image "$layout:$tag"
    umoci insert --rootless --image "$layout:$tag" "$folder" /
    umoci config --image "$layout:$tag" --os linux --architecture amd64 "$@"
}

# A static program that greets and ends with exit code 7.
make_static_image() {
    mkdir static-root
    cat > static.c <<'EOF'
#include <stdio.h>
#include <unistd.h>
#ifndef EXIT_CODE
#define EXIT_CODE 7
#endif
int main(void) {
    printf("hello from pid %d as %d:%d\n", (int)getpid(), (int)getuid(), (int)getgid());
    return EXIT_CODE;
}
EOF
    gcc -O1 -static -o static-root/hello static.c
    new_image "$1" "$2" static-root --config.entrypoint /hello > umoci.log 2>&1 || fail "$(cat umoci.log)"
}

# Everything by busybox; the program prints what it finds, a line each.
make_busybox_image() {
    local root=busybox-root applet
    mkdir -p "$root"/{bin,etc,run/lock,home/app,tmp}
    chmod 1777 "$root"/run/lock "$root"/tmp
    cp "$(command -v busybox)" "$root/bin/busybox"
    for applet in sh id cat stat hostname date sleep ps grep head wc mount nslookup ip ls test kill printf env tr od awk stty; do
        ln -s busybox "$root/bin/$applet"
    done
    printf 'root:x:0:0::/root:/bin/sh\napp:x:1000:1001::/home/app:/bin/sh\n' > "$root/etc/passwd"
    printf 'root:x:0:\napp:x:1001:\nadm:x:4:app\naudio:x:29:app\n' > "$root/etc/group"
    ln -s ../run/nothing/resolv.conf "$root/etc/resolv.conf"
    cat > "$root/bin/checks" <<'EOF'
#!/bin/sh
echo "id $(id)"
echo "pwd $(pwd)"
echo "path $PATH"
echo "home $HOME"
test -e /proc/self && echo 'proc yes'
test -e /sys/kernel && echo 'sys yes'
echo "shm $(stat -c %a /dev/shm) $(awk '$2 == "/dev/shm" { print $3 }' /proc/mounts)"
echo "pts $(awk '$2 == "/dev/pts" { print $3 }' /proc/mounts)"
echo "run $(stat -c %a /run/lock)"
echo "resolver $(grep nameserver /etc/resolv.conf | head -n 1)"
echo "hosts $(awk '$2 == "localhost" { print $1; exit }' /etc/hosts)"
echo "hostname $(hostname) $(awk -v n="$(hostname)" '$2 == n { print $2; exit }' /etc/hosts)"
echo 'stdout opened' > /dev/stdout
( (sleep 0.1 &) &)
sleep 0.5
echo "zombies $(awk '$3 == "Z" { n++ } END { print n + 0 }' /proc/[0-9]*/stat)"
echo "random $(head -c 16 /dev/random | wc -c | tr -d ' ')"
echo "address $(ip -o -4 addr show | awk '$2 == "eth0" { sub("/.*", "", $4); print $4 }')"
echo "unprivileged $(cat /proc/sys/net/ipv4/ip_unprivileged_port_start)"
echo "files $(ulimit -n)"
echo x > /tmp/written && echo "written yes"
echo "clock $(date +%s)"
EOF
    chmod 0755 "$root/bin/checks"
    new_image "$1" "$2" "$root" --config.cmd checks --config.user app --config.env PATH=/opt/bin:/bin \
        --config.workingdir /srv/app > umoci.log 2>&1 || fail "$(cat umoci.log)"
}

# A Debian's nginx that listens on port 80 as somebody who is not root, and stops by SIGQUIT.
make_nginx_image() {
    XDG_CACHE_HOME=${user_cache:?} "$VM2OCI_SOURCE_DIR/tests/support/unpack_packages.sh" nginx-root nginx nginx-common \
        libc6 libcrypt1 libpcre2-8-0 libssl3 zlib1g > packages.log 2>&1 || fail "$(cat packages.log)"
    printf 'root:x:0:0::/root:/bin/sh\nwww-data:x:33:33::/var/www:/usr/sbin/nologin\n' > nginx-root/etc/passwd
    printf 'root:x:0:\nwww-data:x:33:\n' > nginx-root/etc/group
    mkdir -p nginx-root/tmp nginx-root/run nginx-root/var/www/html
    chmod 1777 nginx-root/tmp
    echo 'hello from nginx' > nginx-root/var/www/html/index.html
    cat > nginx-root/etc/nginx/nginx.conf <<'EOF'
pid /tmp/nginx.pid;
error_log /dev/stderr;
events {}
http {
    access_log /dev/stdout;
    client_body_temp_path /tmp/body; proxy_temp_path /tmp/proxy; fastcgi_temp_path /tmp/fastcgi;
    uwsgi_temp_path /tmp/uwsgi; scgi_temp_path /tmp/scgi;
    server { listen 80; root /var/www/html; }
}
EOF
    new_image "$1" "$2" nginx-root --config.entrypoint nginx --config.cmd -g --config.cmd 'daemon off;' \
        --config.user www-data --config.stopsignal SIGQUIT --config.env PATH=/usr/sbin > umoci.log 2>&1 || fail "$(cat umoci.log)"
}

# A program with its C library and nothing else: no shell, no user but a number.
make_shell_less_image() {
    XDG_CACHE_HOME=${user_cache:?} "$VM2OCI_SOURCE_DIR/tests/support/unpack_packages.sh" shell-less-root libc6 \
        > packages.log 2>&1 || fail "$(cat packages.log)"
    gcc -O1 -DEXIT_CODE=0 -o shell-less-root/hello static.c
    new_image "$1" "$2" shell-less-root --config.entrypoint /hello --config.user 65532:65532 > umoci.log 2>&1 || fail "$(cat umoci.log)"
}

# The same image under another tag, with a health check, which tools for OCI images do not write.
# add_health_check LAYOUT TAG NEW-TAG JSON
add_health_check() {
    python3 - "$@" <<'EOF'
import hashlib, json, os, sys
layout, tag, new, check = sys.argv[1:]
blob = lambda digest: os.path.join(layout, "blobs", *digest.split(":"))
def store(value):
    data = json.dumps(value).encode()
    digest = "sha256:" + hashlib.sha256(data).hexdigest()
    with open(blob(digest), "wb") as file:
        file.write(data)
    return {"digest": digest, "size": len(data)}
path = os.path.join(layout, "index.json")
index = json.load(open(path))
name = "org.opencontainers.image.ref.name"
entry = next(m for m in index["manifests"] if m["annotations"][name] == tag)
manifest = json.load(open(blob(entry["digest"])))
config = json.load(open(blob(manifest["config"]["digest"])))
config["config"]["Healthcheck"] = json.loads(check)
manifest["config"].update(store(config))
index["manifests"].append({**entry, **store(manifest), "annotations": {name: new}})
json.dump(index, open(path, "w"))
EOF
}
