// Machines and disks in files of a test, opened as the commands open them.
#pragma once

#include "formats/base/error.hpp"
#include "formats/base/fd.hpp"
#include "tests/support/temporary_folder.hpp"
#include "tests/support/vmdk_writer.hpp"
#include "tests/unit/hardware/ovf_fixture.hpp"
#include "tests/unit/source/package_fixture.hpp"
#include "tools/flows/open_source.hpp"

#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <vector>

namespace vm2oci::test {

class Files {
  public:
    std::string put(const std::string& name, const std::string& content) {
        const std::filesystem::path path = folder_.path() / name;
        std::ofstream(path, std::ios::binary) << content;
        return path.string();
    }
    std::string put(const std::string& name, const ImageBytes& image) {
        return put(name, std::string(as_text(image.bytes)));
    }
    std::string path(const std::string& name) const { return (folder_.path() / name).string(); }

  private:
    TemporaryFolder folder_;
};

inline std::string text_of(const ImageBytes& image) {
    return std::string(as_text(image.bytes));
}

inline SourceMachine open_machine(const std::string& reference, const SourceRequest& request = {}) {
    static const OperationContext operation;
    return open_source_machine(parse_reference(reference), request, "", operation);
}

// The first byte at an offset of a disk.
inline unsigned byte_at(const SourceMachine& machine, std::size_t disk, std::uint64_t offset) {
    std::byte value{};
    machine.disks.at(disk).opened.device->read_at(offset, std::span(&value, 1));
    return std::to_integer<unsigned>(value);
}

inline std::string refusal_of(const std::string& reference, const SourceRequest& request = {}) {
    try {
        open_machine(reference, request);
    } catch (const Error& error) {
        return std::string(to_string(error.kind())) + ": " + error.what();
    }
    return "";
}

inline const ImageBytes kStream = make_stream_vmdk({{0, 0x41}, {599, 0x5a}});

// An OVA of one streamOptimized disk; parts of its descriptor are replaced.
inline std::string ova_with(std::map<std::string, std::string> replaced, const std::vector<std::string>& more = {}) {
    replaced.emplace("files", R"(<File ovf:id="file1" ovf:href="web-disk1.vmdk"/>)");
    std::vector<std::string> members = {tar_member("web.ovf", ovf_with(replaced)),
                                        tar_member("web-disk1.vmdk", text_of(kStream))};
    members.insert(members.end(), more.begin(), more.end());
    return tar_of(members);
}

} // namespace vm2oci::test
