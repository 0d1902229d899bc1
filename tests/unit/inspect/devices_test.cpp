// What settings say of devices: LVM's filters, drivers of cards, names of interfaces.
#include "libconvert/inspect/machine_problems.hpp"

#include <catch2/catch.hpp>

using namespace vm2oci;

TEST_CASE("LVM's filters decide by the first pattern that matches, as lvm.conf(5) has it") {
    struct Row {
        const char* text;
        bool takes; // /dev/vda2
    };
    const Row rows[] = {
        {"", true},
        {"filter = [ \"a|.*|\" ]\n", true},
        {"filter = [ \"r|.*|\" ]\n", false},
        {"filter = [ \"a|^/dev/sd|\", \"r|.*|\" ]\n", false},
        {"filter = [ \"a|^/dev/vd|\", \"r|.*|\" ]\n", true},
        {"filter = [ \"r|/dev/vda1$|\" ]\n", true},
        {"filter = [ \"r|/dev/vda2$|\", \"a|.*|\" ]\n", false},
        {"\tfilter=[\"r/vda/\"]\n", false},
        {"filter = [ \"r(vda)\" ]\n", false},
        {"filter = [ \"r[vda]\" ]\n", false},
        {"filter = [ \"r{vda}\" ]\n", false},
        {"filter = [ \"r<vda>\" ]\n", false},
        {"filter = [ \"r#vda#\" ]\n", false},
        {"filter = \"r|vda|\"\n", false},
        {"filter = [\n  \"a|sda|\",\n  # \"a|vda|\",\n  \"r|.*|\"\n]\nfilter_other = [ \"a|.*|\" ]\n", false},
        {"filter = [ \"a|sda|\",\n \"a|[v]da|\",\n \"r|.*|\" ]\n", true},
        {"global_filter = [ \"r|vda|\" ]\n", false},
        {"filter = [ \"a|.*|\" ]\nglobal_filter = [ \"r|vda|\" ]\n", false},
        {"filter = [ \"r|.*|\" ]\nfilter = [ \"a|.*|\" ]\n", true}, // the last one counts
        {"# filter = [ \"r|.*|\" ]\n", true},
        {"devices {\n    # comment\n    filter = [ \"r|.*|\" ]\n}\n", false},
        // Comments behind a list are none of it.
        {"filter = [ \"a|sda|\" ] # [ \"r|.*|\" ]\n", true},
        {"filter = [ \"a|sda|\", # \"r|vda|\",\n \"a|sdb|\" ] # was \"r|.*|\"\n", true},
        {"filter = [ # all\n \"r|.*|\" ]\n", false},
        {"filter = [ \"r|vda|\" ] \"a|.*|\"\n", false},
        // What is no pattern matches nothing.
        {"filter = [ \"x|vda|\" ]\n", true},
        {"filter = [ \"r|(|\" ]\n", true},
        {"filter = [ \"r|\" ]\n", true},
        {"filter = [ \"rvda\" ]\n", true},
        {"filter = [ \"r|vda ]\n", true},
        {"filter [ \"r|vda|\" ]\n", true},
        {"filter\n", true},
    };
    for (const Row& row : rows) {
        CAPTURE(row.text);
        CHECK(lvm_takes_device(row.text, "/dev/vda2") == row.takes);
    }
}

TEST_CASE("lists of drivers take virtio's cards by name, by pattern, or by shutting out others") {
    struct Row {
        const char* drivers;
        bool takes;
    };
    for (const Row& row : {Row{"", true},
                           {"  ", true},
                           {"virtio_net", true},
                           {"e1000", false},
                           {"e1000 virtio_net", true},
                           {"e1000;virtio_net", true},
                           {"e1000,virtio_*", true},
                           {"virtio", false},
                           {"virtio_net2", false},
                           {"*", true},
                           {"v?rtio_net", true},
                           {"!veth", true},
                           {"!virtio_net", false},
                           {"!veth virtio_net", false},
                           {"!e1000 vmxnet3", true},
                           {"vmxnet3;", false},
                           {"[uv]irtio_net", true}}) {
        CAPTURE(row.drivers);
        CHECK(takes_virtio_cards(row.drivers) == row.takes);
    }
}

TEST_CASE("names of interfaces tell the hypervisor or the slot that gave them") {
    struct Row {
        const char* name;
        const char* origin;
    };
    for (const Row& row : {Row{"enX0", "Xen's network driver"},
                           {"enX12", "Xen's network driver"},
                           {"enX", ""},
                           {"enx0", ""},
                           {"em1", "biosdevname, after a port on the main board"},
                           {"em2_3", "biosdevname, after a port on the main board"},
                           {"em", ""},
                           {"em1_", ""},
                           {"team1", ""},
                           {"p3p1", "biosdevname, after a slot"},
                           {"p10p2_15", "biosdevname, after a slot"},
                           {"p3", ""},
                           {"enp3s0", ""},
                           {"eth0", ""},
                           {"em1.100", ""},
                           {"", ""}}) {
        CAPTURE(row.name);
        CHECK(origin_of_interface_name(row.name) == row.origin);
    }
}
