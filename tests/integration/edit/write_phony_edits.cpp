// write_phony_edits FOLDER: every edit over every phony guest, as files: FOLDER/GUEST/EDIT holds what the edit writes
// or changes, and all of the guest's folders of network settings and units that it touches, for other people's readers.
#include "libconvert/edit/plan_edits.hpp"
#include "tests/support/phony_edits.hpp"

#include <filesystem>
#include <fstream>
#include <iostream>

namespace {

using namespace vm2oci;
using namespace vm2oci::test;

void write_tree(const MemoryGuest& guest, const std::filesystem::path& target, const std::set<std::string>& paths) {
    for (const std::string& path : paths) {
        const auto status = guest.status(path, FinalLink::keep);
        const std::filesystem::path place = target / path.substr(1);
        if (!status || std::filesystem::exists(std::filesystem::symlink_status(place)))
            continue;
        std::filesystem::create_directories(place.parent_path());
        if (status->type == FileType::symlink) {
            std::filesystem::create_symlink(guest.read_link(path).value(), place);
        } else if (status->type == FileType::regular) {
            std::ofstream(place, std::ios::binary) << guest.read_file(path, 1 << 20).value();
            std::filesystem::permissions(place, static_cast<std::filesystem::perms>(status->permissions));
        }
    }
}

} // namespace

int main(int argc, char** argv) {
    if (argc != 2) {
        std::cerr << "usage: write_phony_edits FOLDER\n";
        return 2;
    }
    for (const PhonyGuest& each : phony_guests())
        for (const PhonyEdit& edit : phony_edits()) {
            const EditPlan plan = plan_phony_edit(each.guest, edit.make(each.guest));
            const MemoryGuest changed = with_edits(each.guest, plan);
            const auto before = each.guest.snapshot();
            std::set<std::string> paths;
            for (const auto& [path, node] : changed.snapshot())
                if (const auto old = before.find(path); old == before.end() || old->second != node)
                    paths.insert(path);
            if (paths.empty())
                continue;
            for (const char* folder : {"/etc/netplan/", "/etc/network/", "/etc/cloud/"})
                for (const auto& [path, node] : changed.snapshot())
                    if (path.starts_with(folder))
                        paths.insert(path);
            write_tree(changed, std::filesystem::path(argv[1]) / each.name / edit.name, paths);
        }
}
