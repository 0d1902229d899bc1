#include "tests/support/phony_edits.hpp"

#include "libconvert/edit/planners.hpp"

namespace vm2oci::test {
namespace {

constexpr const char* kPopulationKey =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOexwTOrJkE9UnzKIVNtikOcSflEvzNwK65Cbw8Zv4L3 me@there";
const std::vector<DiskVolume> kPopulationVolumes = {{1, "ext4", "1111-aaaa", "c0ffee00-01"},
                                                    {2, "swap", "2222-bbbb", "c0ffee00-02"}};

} // namespace

EditPlan plan_phony_edit(const MemoryGuest& guest, const EditRequest& request) {
    return plan_edits(guest, kPopulationVolumes, request);
}

MemoryGuest with_edits(MemoryGuest guest, const EditPlan& plan) {
    for (const Edit& edit : plan.edits) {
        const auto before = guest.status(edit.path, FinalLink::keep);
        switch (edit.kind) {
        case EditKind::write_file:
            guest.file(edit.path, edit.content,
                       edit.attributes.permissions.value_or(before ? before->permissions : 0644),
                       edit.attributes.uid.value_or(before ? before->uid : 0));
            break;
        case EditKind::append_file:
            guest.file(edit.path, guest.read_file(edit.path, 1 << 20).value() + edit.content, before->permissions,
                       before->uid);
            break;
        case EditKind::make_folder:
            guest.folder(edit.path);
            break;
        case EditKind::make_symlink:
            guest.symlink(edit.path, edit.link_target);
            break;
        case EditKind::remove:
            guest.remove(edit.path);
            break;
        }
    }
    return guest;
}

const std::vector<PhonyEdit>& phony_edits() {
    static const std::vector<PhonyEdit> kAll = [] {
        std::vector<PhonyEdit> all;
        for (const char* fix : {"tools", "network", "network:pin", "network:keep", "devices", "console", "virtio",
                                "uefi", "selinux", "all"})
            all.push_back({std::string("fix ") + fix, [fix](const MemoryGuest&) {
                               EditRequest request;
                               request.fixes = select_fixes(fix);
                               return request;
                           }});
        for (const char* list : {"", "all"})
            all.push_back({std::string("sysprep ") + list, [list](const MemoryGuest&) {
                               EditRequest request;
                               request.sysprep = select_sysprep(list);
                               return request;
                           }});
        all.push_back({"hostname", [](const MemoryGuest&) {
                           EditRequest request;
                           request.hostname = "new01";
                           return request;
                       }});
        all.push_back({"key", [](const MemoryGuest&) {
                           EditRequest request;
                           request.ssh_keys = {{kPopulationKey, "root"}, {kPopulationKey, "ann"}};
                           return request;
                       }});
        all.push_back({"seed", [](const MemoryGuest& guest) {
                           EditRequest request;
                           if (guest.status("/usr/bin/cloud-init", FinalLink::follow)) {
                               request.cloud_init.user_data = "#cloud-config\npackages: [htop]\n";
                               request.cloud_init.network_config =
                                   "version: 2\nethernets: {all: {match: {name: 'e*'}, dhcp4: true}}\n";
                               request.hostname = "new02";
                           }
                           return request;
                       }});
        return all;
    }();
    return kAll;
}

} // namespace vm2oci::test
