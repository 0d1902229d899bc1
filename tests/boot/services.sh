#!/usr/bin/env bash
# What a boot may bring into the machine and ask of it: a seed, the guest agent, commands inside, forwarded ports; and
# what is left when it is stopped or killed.
source "$VM2OCI_SOURCE_DIR/tests/support/integration.sh"
source "$VM2OCI_SOURCE_DIR/tests/boot/lib.sh"
require_tool jq qemu-system-x86_64 grub-mkimage python3 genisoimage
make_small_initramfs

step 'a seed for this boot only'
printf '#cloud-config\n# seed-marker-4711\n' > user-data
small_guest seed
boot 0 --user-data user-data --expect 'seed-marker-4711' --expect 'instance-id: vm2oci-[0-9a-f]{16}'

step 'the guest agent'
small_guest agent
boot 0 --ready agent --exec 'echo hello from inside'
expect_match '^[0-9.]+$' "$(jq -r .agent.version stdout)" 'version of the agent'
expect_equal 'hello from inside' "$(jq -r '.checks[] | select(.name | startswith("exec:")) | .output' stdout)" output
boot 4 --exec 'exit 3'
expect_equal 'exit code 3' "$(jq -r '.checks[] | select(.name == "exec: exit 3") | .message' stdout)" 'the check'

step 'the agent of our own'
agent=${VM2OCI%/*/*/*}/share/vm2oci/vm2oci-agent
[[ -x $agent ]] || fail "$agent is missing: build everything"
make_small_initramfs --file "$agent:/bin/vm2oci-agent"
small_guest own-agent
boot 0 --ready agent --ready systemd --exec 'echo $((40 + 2)); exit 0'
expect_equal running "$(jq -r .vm2oci_agent.state stdout)" 'what the agent says of the system'
expect_equal 42 "$(jq -r '.checks[] | select(.name | startswith("exec:")) | .output' stdout)" output

step 'a forwarded port'
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
small_guest port
boot 0 --network user --forward "$port:22"
expect_equal passed "$(jq -r '.checks[] | select(.name == "port 22 answers") | .state' stdout)" 'the port'
expect_exit 2 "$VM2OCI" boot raw:small.raw --forward 80:80
expect_match -- '--network user' "$(cat stderr)" 'what to do'

step 'a person at the serial console'
small_guest typed
"$boot_dir/console_pty.py" "$VM2OCI" raw:small.raw

step 'a JUnit file from the first second on, and an orderly end'
small_guest spin
mkdir tmp
TMPDIR=$scratch/tmp in_background "$VM2OCI" boot raw:small.raw --accel tcg --junit spin.xml
wait_until 20 test -s spin.xml
grep -q '<skipped message="not run"/>' spin.xml || fail "no case that has not run: $(cat spin.xml)"
wait_until 20 pgrep --parent "$started_pid" qemu
kill -TERM "$started_pid"
status=0
wait "$started_pid" || status=$?
expect_equal 130 "$status" 'exit status after SIGTERM'

step 'a crash of QEMU is no verdict: it is started again, once'
# crash_qemu: ends the QEMU of the process $started_pid as a bug in it would.
crash_qemu() {
    wait_until 20 pgrep --parent "$started_pid" qemu
    crashed=$(pgrep --parent "$started_pid" qemu)
    kill -SEGV "$crashed"
}
small_guest login
in_background "$VM2OCI" boot raw:small.raw --accel tcg --junit restart.xml --report restart
crash_qemu
status=0
wait "$started_pid" || status=$?
expect_equal 0 "$status" 'exit status after one crash'
expect_match 'killed by signal 11 .* so the machine was started again' \
    "$(jq -r .machine.restart_reason restart/boot.json)" 'what the report says of it'
grep -q 'name="restart_reason"' restart.xml || fail 'the JUnit file does not tell of the second start'
grep -q 'Second start' restart/report.html || fail 'the page does not tell of the second start'
small_guest spin
in_background "$VM2OCI" boot raw:small.raw --accel tcg
crash_qemu
is_started_again() {
    local running
    running=$(pgrep --parent "$started_pid" qemu) && [[ $running != "$crashed" ]]
}
wait_until 20 is_started_again
crash_qemu
status=0
wait "$started_pid" || status=$?
expect_equal 1 "$status" 'exit status after two crashes'

step 'killed: nothing stays behind'
TMPDIR=$scratch/tmp in_background "$VM2OCI" boot raw:small.raw --accel tcg
wait_until 20 pgrep --parent "$started_pid" qemu
qemu=$(pgrep --parent "$started_pid" qemu)
expect_equal '' "$(ls -A tmp)" 'names in the temporary folder while it runs'
kill -KILL "$started_pid"
gone() { ! kill -0 "$qemu"; }
wait_until 10 gone
expect_equal '' "$(ls -A tmp)" 'what is left in the temporary folder'
