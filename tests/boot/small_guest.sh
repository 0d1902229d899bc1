#!/usr/bin/env bash
# A machine that boots in seconds, made well and broken from the inside: each verdict with its exit code and its rule.
source "$VM2OCI_SOURCE_DIR/tests/support/integration.sh"
source "$VM2OCI_SOURCE_DIR/tests/boot/lib.sh"
require_tool jq qemu-system-x86_64 grub-mkimage python3 sha256sum
make_small_initramfs

step 'ready, with every kind of report'
small_guest login
boot 0 --report report --junit early.xml
expect_verdict null
expect_equal 'true' "$(jq .passed stdout)" passed
for milestone in firmware boot_loader kernel initramfs login; do
    expect_match '^[0-9]+$' "$(jq ".milestones[] | select(.name == \"$milestone\") | .at.wall_ms" stdout)" "$milestone"
done
for file in console.log boot.json junit.xml report.html screenshot.png; do
    [[ -s report/$file ]] || fail "report/$file is missing"
done
expect_match 'PNG image data' "$(file report/screenshot.png)" 'the screenshot'
jq --exit-status .passed report/boot.json > passed.log
python3 - << 'PYTHON'
import xml.etree.ElementTree as tree
for name in ("report/junit.xml", "early.xml"):
    suite = tree.parse(name).getroot().find("testsuite")
    assert suite.get("failures") == "0" and suite.get("skipped") == "0", suite.attrib
    assert len(suite.findall("testcase")) == int(suite.get("tests")) >= 4
PYTHON

step 'reads and writes of the guest stay with the guest'
small_guest disk
before=$(sha256sum < small.raw)
boot 0 --expect 'disk read' --expect 'disk written'
expect_equal "$before" "$(sha256sum < small.raw)" 'the image after a boot that wrote to its disk'
(($(jq .disk.written stdout) >= 1 << 20)) || fail "what was written was not counted: $(jq -c .disk stdout)"
# Holes cost nothing: what counts is the data that was read.
(($(jq .disk.touched stdout) >= 16 << 20)) || fail "the guest read all of the disk, and $(jq -c .disk stdout) was counted"

step 'a guest that fails, in many ways'
small_guest unit
boot 4
expect_verdict unit-failed
boot 0 --ignore unit-failed
small_guest emergency
boot 4
expect_verdict device-timeout
expect_equal devices "$(jq -r .verdict.fix stdout)" 'the fix'
small_guest crash
boot 4
expect_verdict kernel-panic
small_guest exit
boot 4
expect_verdict init-died
small_guest reset
boot 4
expect_verdict reboot-loop
small_guest off
boot 4
expect_verdict powered-off
small_guest spin
boot 4 --timeout 25s
expect_verdict timeout
expect_equal timed_out "$(jq -r .verdict.outcome stdout)" outcome
