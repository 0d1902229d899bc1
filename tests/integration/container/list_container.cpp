// list_container LAYOUT TAG: the tree of a container image as list_folder.py prints a folder, in the order of paths.
#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "formats/base/fd.hpp"
#include "formats/base/sha256.hpp"
#include "formats/oci/layout.hpp"
#include "libconvert/container/container_files.hpp"
#include "libconvert/source/content_verifier.hpp"

#include <fmt/format.h>

#include <cstdio>
#include <map>

namespace {

using namespace vm2oci;

class HashSink final : public ByteSink {
  public:
    void write(std::span<const std::byte> bytes) override { hash.update(bytes); }
    Sha256 hash;
};

class Lister final : public TreeSink {
  public:
    void add(const Entry& entry, const FileContent* content) override {
        const FileStatus& status = entry.status;
        std::string line = fmt::format("{} {:o} {}:{} {}.{:09}", to_string(status.type), status.permissions, status.uid,
                                       status.gid, status.modified.seconds, status.modified.nanoseconds);
        if (status.type == FileType::regular) {
            const std::string first = entry.hard_link_to.value_or(entry.path);
            if (content != nullptr) {
                HashSink sink;
                content->copy_to(sink);
                hashes_[first] = to_hex(sink.hash.finish());
            }
            line += fmt::format(" {} {}", status.size, hashes_.at(first));
        }
        if (status.type == FileType::symlink)
            line += " -> " + to_hex(as_bytes(entry.link_target));
        if (status.type == FileType::character_device || status.type == FileType::block_device)
            line += fmt::format(" {}:{}", status.device_major, status.device_minor);
        if (entry.hard_link_to)
            line += " = " + to_hex(as_bytes(*entry.hard_link_to));
        for (const ExtendedAttribute& attribute : entry.attributes)
            line += fmt::format(" {}={}", attribute.name, to_hex(as_bytes(attribute.value)));
        std::puts(fmt::format("{} {}", to_hex(as_bytes("/" + entry.path)), line).c_str());
    }

  private:
    std::map<std::string, std::string> hashes_;
};

} // namespace

int main(int count, char** arguments) {
    if (count != 3)
        return 2;
    try {
        const OperationContext operation;
        OciLayoutSource source(arguments[1], std::string(arguments[2]));
        ImageContent image = read_image(source, "amd64");
        image.verifier = std::make_shared<ContentVerifier>(image.parsed_manifest, image.config);
        const ContainerFiles files(source, image, operation);
        Lister lister;
        files.export_tree(lister);
        image.verifier->finish(operation);
    } catch (const Error& error) {
        std::fprintf(stderr, "%s: %s\n", std::string(to_string(error.kind())).c_str(), error.what());
        return 1;
    }
    return 0;
}
