#!/usr/bin/env bash
# Container images as micro-VMs with our own kernel: a static program FROM scratch, a busybox in the manner of small
# distributions, one without a shell, and a Debian with nginx. What is checked of them was reported elsewhere as a bug of
# those who build such machines by hand; each is named where it is checked.
source "$VM2OCI_SOURCE_DIR/tests/support/integration.sh"
source "$VM2OCI_SOURCE_DIR/tests/support/container_images.sh"
require_tool umoci jq gcc busybox curl mke2fs python3 qemu-system-x86_64 tar
arch=$(uname -m)
kernel=$(XDG_CACHE_HOME=$user_cache "$VM2OCI_SOURCE_DIR/guest-kernel/build.sh" 2> build.log) || fail "$(tail -n 20 build.log)"
install -D "$VM2OCI" prefix/bin/vm2oci
mkdir -p prefix/share/vm2oci/guest-kernel
cp "${VM2OCI%/*/*/*}/share/vm2oci/vm2oci-agent" prefix/share/vm2oci/
cp -r "$kernel" "prefix/share/vm2oci/guest-kernel/$arch"
vm2oci=$PWD/prefix/bin/vm2oci

# run EXIT OPTION… IMAGE [COMMAND…]: standard output in `stdout`
run() {
    local expected=$1
    shift
    expect_exit "$expected" nice "$vm2oci" run --accel tcg --quiet "$@" < /dev/null
}
boot() { # EXIT OPTION… IMAGE
    local expected=$1
    shift
    local status=0
    nice "$vm2oci" boot --accel tcg --json --report report "$@" > stdout 2> stderr || status=$?
    jq -r '"   " + .summary' stdout
    [[ $status -eq $expected ]] || fail "exit status $status instead of $expected: $(cat stderr; tail -n 15 report/console.log)"
}

step 'a static program FROM scratch, by a bundle and by itself'
make_static_image images static
"$vm2oci" convert --quiet --as bundle oci:images:static oci:bundles:static > /dev/null
boot 4 oci:bundles:static --expect 'hello from pid [0-9]+ as 0:0'
expect_equal program-failed "$(jq -r .verdict.rule stdout)" 'the rule for exit code 7'
boot 0 oci:bundles:static --expect 'hello from pid' --ignore program-failed
run 7 oci:bundles:static
expect_match '^hello from pid [0-9]+ as 0:0$' "$(cat stdout)" 'what the program printed'
run 7 oci:images:static
expect_match '^hello from pid [0-9]+ as 0:0$' "$(cat stdout)" 'what the program printed, from the image itself'

step 'an image without a shell, whose user is a number'
make_shell_less_image images shell-less
"$vm2oci" convert --quiet --as bundle oci:images:shell-less oci:bundles:shell-less > /dev/null
expect_exit 2 "$vm2oci" convert --quiet --as bundle --kernel guest oci:images:shell-less oci:bundles:no
boot 0 oci:bundles:shell-less --expect 'hello from pid [0-9]+ as 65532:65532'

step 'a Debian with nginx, on port 80 as www-data'
make_nginx_image images nginx
"$vm2oci" convert --quiet --as bundle oci:images:nginx oci:bundles:nginx > /dev/null
port=$((20000 + RANDOM % 20000))
boot 0 oci:bundles:nginx --network user --forward "$port:80"
nice "$vm2oci" run --accel tcg --quiet --network user --forward "$port:80" oci:bundles:nginx < /dev/null > nginx.out 2> nginx.err &
pid=$!
background_pids+=("$pid")
tries=0
until curl --silent --show-error --max-time 5 "http://127.0.0.1:$port/" > page 2> curl.log; do
    ((tries++ < 120)) || fail "nginx does not answer: $(cat curl.log nginx.out nginx.err)"
    sleep 0.5
done
expect_equal 'hello from nginx' "$(cat page)" 'the page'
kill -QUIT "$pid"
status=0
wait "$pid" || status=$?
expect_equal 0 "$status" 'the exit code of nginx after SIGQUIT'
expect_match 'GET / HTTP' "$(cat nginx.out)" 'what nginx writes to /dev/stdout'

step 'what a program finds'
make_busybox_image images checks
"$vm2oci" convert --quiet --as bundle oci:images:checks oci:bundles:checks > /dev/null
for root in ext4 erofs; do
    if [[ $root == erofs ]]; then
        "$vm2oci" convert --quiet --as bundle --root erofs --verity oci:images:checks oci:bundles:checks > /dev/null
    fi
    run 0 --network user oci:bundles:checks
    check() { # REPORT REGEX: a line that must be there
        grep -Eqx "$2" stdout || fail "$root: $1: no line is '$2' in: $(cat stdout)"
    }
    check 'kata-containers/kata-containers#1500: supplementary groups' 'id uid=1000\(app\) gid=1001\(app\) groups=4\(adm\),29\(audio\),1001\(app\).*'
    check 'apple/containerization#591: a working folder that is not there' 'pwd /srv/app'
    check 'tinylabscom/mvm#2788, containers/krunvm#20, containers/crun#1685: PATH of the image, which finds the program' 'path /opt/bin:/bin'
    check 'tinylabscom/mvm#2788: HOME of the user' 'home /home/app'
    check 'containers/krunvm#16: an image without /proc' 'proc yes'
    check 'containers/krunvm#16: an image without /sys' 'sys yes'
    check 'lensapp/lens-sandbox#351: /dev/shm' 'shm 1777 tmpfs'
    check 'buildbuddy-io/buildbuddy#7104: /dev/pts' 'pts devpts'
    check 'lensapp/lens-sandbox#2: what the image has in /run' 'run 1777'
    check 'wolfi-dev/os#56962: a resolv.conf that is a broken link' 'resolver nameserver 10\.0\.2\.3'
    check 'NilsIrl/dockerc#33: /etc/hosts' 'hosts 127\.0\.0\.1'
    check 'the machine knows its own name' 'hostname micro-vm micro-vm'
    check 'moby/moby#31243: /dev/stdout of a user that is not root' 'stdout opened'
    check 'FRRouting/frr#8788: orphans that nobody waits for' 'zombies 0'
    check 'weaveworks/ignite#613: random numbers' 'random 16'
    check 'the address by DHCP' 'address 10\.0\.2\.15'
    check 'ports below 1024 for everybody' 'unprivileged 0'
    check 'open files' 'files 1048576'
    check 'writes' 'written yes'
    clock=$(sed -n 's/^clock //p' stdout)
    now=$(date +%s)
    ((clock > now - 600 && clock < now + 600)) || fail "the clock says $clock, and it is $now"
done

step 'an address that the user gives, and none'
run 0 --network user --ip 10.0.2.77::10.0.2.2:255.255.255.0:::off:10.0.2.3 oci:bundles:checks
grep -qx 'address 10\.0\.2\.77' stdout || fail "the address: $(cat stdout)"
grep -qx 'resolver nameserver 10\.0\.2\.3' stdout || fail "the name server: $(cat stdout)"
run 0 --network user --ip off oci:bundles:checks
grep -qx 'address ' stdout || fail "there is an address: $(cat stdout)"
expect_exit 2 "$vm2oci" run --ip '10.0.2.77 init=/bin/sh' oci:bundles:checks

step 'a person at a terminal: its type and size, also where that changes (libkrun/libkrun#179)'
"$VM2OCI_SOURCE_DIR/tests/boot/container_terminal.py" "$vm2oci" oci:bundles:checks

step 'the root has the image'\''s owner and mode, with changes in memory, too (weaveworks/ignite#240, composefs/composefs-rs#287)'
new_image images owned busybox-root --config.user 1000:1001 --config.env PATH=/bin --config.cmd sh --config.cmd -c \
    --config.cmd 'echo "$(stat -c "%a %u:%g" /) $(: > /file && echo written)"' > umoci.log 2>&1 || fail "$(cat umoci.log)"
tar --create --file root.tar --directory busybox-root --no-recursion --numeric-owner --owner 1000 --group 1001 --mode 1775 .
umoci raw add-layer --image images:owned root.tar > umoci.log 2>&1 || fail "$(cat umoci.log)"
for root in qcow2 erofs; do
    "$vm2oci" convert --quiet --as bundle --root "$root" oci:images:owned oci:bundles:owned > /dev/null
    run 0 oci:bundles:owned
    expect_equal '1775 1000:1001 written' "$(cat stdout)" "the root's owner and mode, and what its owner may do: $root"
done

step 'another command, its exit code, and bytes as they are'
run 42 oci:images:checks sh -c 'printf "a\tb\nc"; exit 42'
expect_equal "$(printf 'a\tb\nc' | xxd -p)" "$(xxd -p stdout)" 'the bytes'
run 127 oci:images:checks no-such-program
run 126 oci:images:checks /etc/passwd
run 137 oci:images:checks sh -c 'kill -9 $$'
run 0 --env MINE=1 --hostname other oci:images:checks sh -c 'echo "$MINE $(hostname)"'
expect_equal '1 other' "$(cat stdout)" 'variable and name'
expect_exit 2 "$vm2oci" run --no-such-option oci:images:checks
expect_exit 2 "$vm2oci" run

step 'signals (and the exit code: containers/crun#1694): the program has them, and its stop signal ends it'
nice "$vm2oci" run --accel tcg --quiet oci:bundles:checks \
    sh -c 'trap "echo hup" HUP; trap "echo term; exit 5" TERM; echo up; while :; do sleep 0.1; done' > signals.out 2> signals.err &
pid=$!
background_pids+=("$pid")
wait_for_text() { # TEXT
    local tries=0
    until grep -qx "$1" signals.out; do
        ((tries++ < 600)) || fail "no '$1' came: $(cat signals.out signals.err)"
        sleep 0.2
    done
}
wait_for_text up
kill -HUP "$pid"
wait_for_text hup
kill -TERM "$pid"
status=0
wait "$pid" || status=$?
expect_equal 5 "$status" 'the exit code after SIGTERM'
wait_for_text term

step 'a health check, and commands inside'
new_image images service busybox-root --config.cmd 'sh' --config.cmd -c --config.cmd 'sleep 3; echo up > /tmp/up; sleep 1000' \
    > umoci.log 2>&1 || fail "$(cat umoci.log)"
add_health_check images service healthy '{"Test": ["CMD-SHELL", "test -e /tmp/up"], "Interval": 1000000000, "Retries": 100}'
add_health_check images service unhealthy '{"Test": ["CMD", "/bin/test", "-e", "/nothing"], "Interval": 1000000000, "Retries": 2}'
add_health_check images service starting '{"Test": ["CMD-SHELL", "test -e /tmp/up"], "Interval": 3600000000000, "Retries": 1,
    "StartPeriod": 600000000000, "StartInterval": 1000000000}'
"$vm2oci" convert --quiet --as bundle oci:images:healthy oci:bundles:healthy > /dev/null
boot 0 oci:bundles:healthy
grep -q '^vm2oci-init: healthy after ' report/console.log || fail 'it was not the health check that made it ready'
"$vm2oci" convert --quiet --as bundle oci:images:starting oci:bundles:starting > /dev/null
boot 0 oci:bundles:starting --expect '^vm2oci-init: healthy after '
boot 0 oci:bundles:healthy --exec 'test -x /bin/busybox && [ "$PATH" != "" ]'
"$vm2oci" convert --quiet --as bundle oci:images:unhealthy oci:bundles:unhealthy > /dev/null
boot 4 oci:bundles:unhealthy --ready 'vm2oci-init: unhealthy'
expect_equal unhealthy "$(jq -r .verdict.rule stdout)" 'the rule of the verdict'

step 'the way back: bundles are for micro-VMs of other makers, too'
"$vm2oci" convert --quiet oci:bundles:static files > /dev/null
jq -e '."boot-source".initrd_path == "initramfs" and .drives[0].path_on_host == "rootfs.img"' files/firecracker.json > /dev/null ||
    fail "$(cat files/firecracker.json)"
"$vm2oci" check --for kubevirt,firecracker,cloud-hypervisor oci:bundles:static > check.txt || fail "$(cat check.txt)"
expect_exit 4 "$vm2oci" check --for krun oci:bundles:static
"$vm2oci" convert --quiet --as bundle --krun oci:images:static oci:bundles:krun > /dev/null
"$vm2oci" check --for kubevirt,krun,firecracker,cloud-hypervisor oci:bundles:krun > check.txt || fail "$(cat check.txt)"

step 'a console that nobody reads for a while loses nothing'
new_image images log busybox-root --config.cmd sh --config.cmd -c \
    --config.cmd 'i=1000; while [ $i -lt 1400 ]; do echo "a line of the kernel that has the number $i" > /dev/kmsg; i=$((i + 1)); done' \
    > umoci.log 2>&1 || fail "$(cat umoci.log)"
"$vm2oci" convert --quiet --as bundle --cmdline printk.devkmsg=on oci:images:log oci:bundles:log > /dev/null
boot 0 oci:bundles:log --ignore program-ended &
pid=$!
background_pids+=("$pid")
for ((round = 0; round < 12; ++round)); do
    sleep 0.2
    for reader in $(pgrep --parent "$pid"); do
        kill -STOP "$reader" 2> kill.log || true
        sleep 0.4
        kill -CONT "$reader" 2> kill.log || true
    done
done
wait "$pid" || fail 'the boot'
expect_equal 400 "$(grep -c 'a line of the kernel that has the number 1[0-3][0-9][0-9]' report/console.log)" 'the lines that arrived'
grep -q 'BIOS-provided physical RAM map:' report/console.log || fail 'the first lines are not whole'

step 'writes go to a second disk'
new_image images writes busybox-root --config.cmd sh --config.cmd -c \
    --config.cmd 'echo kept > /tmp/kept; sync; awk "\$2 == \"/\" { print \"root\", \$3, \$4 }" /proc/mounts; ip -o link show lo' > umoci.log 2>&1 ||
    fail "$(cat umoci.log)"
"$vm2oci" convert --quiet --as bundle --root erofs --cmdline vm2oci.overlay=LABEL=writes oci:images:writes oci:bundles:writes > /dev/null
truncate -s 16M writes.img
mke2fs -q -t ext4 -L writes writes.img
boot 0 oci:bundles:writes --disk raw:writes.img --expect 'root overlay rw.*upperdir=/layer/upper' --expect 'lo: .*UP'
boot 4 oci:bundles:writes
grep -q 'root=LABEL=writes did not appear' report/console.log || fail 'nothing says that the disk for writes is not there'
