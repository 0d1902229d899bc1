// The appliance's machine, as a script: what it answers, and the ways in which it does not.
#include "formats/base/error.hpp"
#include "runner/appliance_run.hpp"
#include "runner/qemu/arguments.hpp"
#include "tests/support/memory_device.hpp"
#include "tests/support/scripted_machine.hpp"

#include <catch2/catch.hpp>

using namespace vm2oci;
using namespace vm2oci::test;
using namespace std::chrono_literals;

namespace {

ApplianceAnswer watch(ScriptedMachine& machine) {
    return watch_appliance(machine, {10s, 20}, {});
}

// What it is told, and of which kind.
Error failure(ScriptedMachine& machine) {
    try {
        watch(machine);
    } catch (const Error& error) {
        return error;
    }
    FAIL("it answered");
    return Error(ErrorKind::usage, "");
}

bool says(const Error& error, std::string_view part) {
    return std::string_view(error.what()).find(part) != std::string_view::npos;
}

auto said(const std::string& text) {
    return [text](ScriptedMachine& self) { self.say(GuestChannel::own_agent, text); };
}

} // namespace

TEST_CASE("the appliance's last word is its answer") {
    ScriptedMachine machine;
    machine.powers_on(1s).at(2s, said("step 0\nste")).at(3s, said("p 1\n")).at(4s, said("done\n"));
    CHECK(watch(machine).kind == AnswerKind::done);
}

TEST_CASE("a failed step comes with what the kernel said, escaped") {
    ScriptedMachine machine;
    machine.prints(1s, "\x1b[2JSeaBIOS\r\n[ 1] one\r\n[ 2] two\r\n\r\n[ 3] three\x1b[2J\r\nBooting\r\n[ 4] four\n");
    machine.at(2s, said("step 3\nfailed 3 corrupt cannot\x1b[0m open\n"));
    const ApplianceAnswer answer = watch(machine);
    CHECK(answer.kind == AnswerKind::failed);
    CHECK(answer.step == 3U);
    CHECK(answer.error == ErrorKind::corrupt);
    CHECK(answer.text.find('\x1b') == std::string::npos);
    CHECK(answer.text.find("one") == std::string::npos);
    CHECK(answer.text.find("Booting") == std::string::npos);
    CHECK(answer.text.find("[ 2] two; [ 3] three") != std::string::npos);
    CHECK(answer.text.ends_with("; [ 4] four"));
}

TEST_CASE("what is no answer ends the conversation") {
    ScriptedMachine machine;
    machine.at(1s, said("{\"type\":\"hello\"}\n")).at(2s, said("done\n"));
    const Error error = failure(machine);
    CHECK(error.kind() == ErrorKind::external);
    CHECK(says(error, "no answer"));
}

TEST_CASE("a kernel that panics, a machine that ends, and QEMU that goes") {
    ScriptedMachine panics;
    panics.prints(1s, "[ 1] BUG: kernel NULL pointer dereference\n");
    panics.at(1s, [](ScriptedMachine& self) { self.tell({MachineEventKind::panicked}); });
    CHECK(says(failure(panics), "panicked; its kernel said last: [ 1] BUG: kernel NULL"));
    for (const MachineEventKind kind : {MachineEventKind::reset, MachineEventKind::shutdown}) {
        ScriptedMachine ends;
        ends.at(1s, [kind](ScriptedMachine& self) { self.tell({kind}); });
        const Error error = failure(ends);
        CHECK(error.kind() == ErrorKind::external);
        CHECK(says(error, "ended without an answer"));
    }
    ScriptedMachine gone;
    gone.at(1s, [](ScriptedMachine& self) { self.end({"exit code 1", false}); });
    CHECK(says(failure(gone), "QEMU ended (exit code 1)"));
}

TEST_CASE("an answer that came before the machine went counts") {
    ScriptedMachine machine;
    machine.at(1s, [](ScriptedMachine& self) {
        self.say(GuestChannel::own_agent, "done\n");
        self.tell({MachineEventKind::shutdown});
        self.end({"exit code 0", false});
    });
    CHECK(watch(machine).kind == AnswerKind::done);
}

TEST_CASE("a disk that fails is the disk's matter, whatever the machine says") {
    ScriptedMachine machine;
    machine.at(1s, [](ScriptedMachine& self) {
        self.breaks_disk("cannot read x");
        self.say(GuestChannel::own_agent, "done\n");
    });
    const Error error = failure(machine);
    CHECK(error.kind() == ErrorKind::io);
    CHECK(says(error, "cannot read x"));
}

TEST_CASE("silence has a limit, and each word begins it anew") {
    ScriptedMachine hangs;
    hangs.at(9s, said("step 1\n")).at(18s, said("step 1\n"));
    CHECK(says(failure(hangs), "said nothing for 10 s"));
    CHECK(hangs.clock() > 27s);
    CHECK(hangs.clock() < 30s);
}

TEST_CASE("one that counts for ever ends, whether it is quick or slow") {
    ScriptedMachine quick;
    std::string words;
    for (int i = 0; i < 100; ++i)
        words += "step 0\n";
    quick.at(1s, said(words + "done\n"));
    const Error error = failure(quick);
    CHECK(error.kind() == ErrorKind::external);
    CHECK(says(error, "more often"));
    ScriptedMachine slow;
    for (int i = 1; i < 100; ++i)
        slow.at(i * 5s, said("step 0\n"));
    CHECK(says(failure(slow), "more often"));
    CHECK(slow.clock() < 120s);
}

TEST_CASE("a busy host is no hang, a kernel that sleeps for good is one") {
    ScriptedMachine starved;
    starved.works(0.01, 0.99);
    starved.at(100s, said("done\n"));
    CHECK(watch(starved).kind == AnswerKind::done);
    ScriptedMachine late;
    late.works(0.01, 4);
    late.powers_on(200s).at(209s, said("done\n"));
    CHECK(watch(late).kind == AnswerKind::done);
    ScriptedMachine asleep;
    asleep.works(0, 0);
    CHECK(says(failure(asleep), "said nothing"));
}

TEST_CASE("a user's word stops it") {
    ScriptedMachine machine;
    Cancellation cancellation;
    OperationContext operation;
    operation.cancellation = &cancellation;
    machine.at(1s, [&](ScriptedMachine&) { cancellation.cancel(); });
    try {
        watch_appliance(machine, {10s}, operation);
        FAIL("it went on");
    } catch (const Error& error) {
        CHECK(error.kind() == ErrorKind::cancelled);
    }
}

TEST_CASE("the machine has the job first, then the volumes by name, and nothing else") {
    struct NoChanges final : BlockChanges {
        void write_at(std::uint64_t, std::span<const std::byte>) override {}
        void discard(std::uint64_t, std::uint64_t) override {}
        void write_zeros(std::uint64_t, std::uint64_t) override {}
    };
    const auto disk = std::make_shared<MemoryDevice>(1024);
    const VmSpec spec =
        appliance_machine(disk, disk, disk, {{disk, 512, std::make_shared<NoChanges>(), "volume0"}, {disk, 512}});
    std::string line;
    for (const std::string& word : qemu_arguments(spec, Accelerator::tcg, {"qemu", ""}))
        line += word + "\n";
    const auto has = [&](std::string_view part) { return line.find(part) != std::string::npos; };
    CHECK(has("-sandbox\non,"));
    CHECK(has("vm2oci.appliance\n"));
    CHECK(has("oops=panic"));
    CHECK(has("virtio-blk-pci,drive=disk,bootindex=1\n"));
    CHECK(has("node-name=disk2,server.type=fd,server.str=14,discard=unmap\n"));
    CHECK(has("virtio-blk-pci,drive=disk2,bootindex=2,serial=volume0\n"));
    // A disk whose changes end with the machine keeps what it frees.
    CHECK(has("node-name=disk3,server.type=fd,server.str=15\n"));
    CHECK_FALSE(has("-netdev"));
    CHECK_FALSE(has("server.path"));
}
