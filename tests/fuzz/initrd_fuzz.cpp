// Initrds: archives behind archives, plain and compressed, with some of their members' content.
#include "formats/base/error.hpp"
#include "formats/initrd/members.hpp"

#include <cstdlib>
#include <string_view>

namespace {

class Visitor final : public vm2oci::InitrdVisitor {
  public:
    bool visit(const vm2oci::CpioMember& member, vm2oci::CpioReader& reader) override {
        if (member.path.starts_with('/'))
            std::abort();
        if (member.size < 4096 && reader.content().size() != member.size)
            std::abort();
        return true;
    }
};

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view bytes(reinterpret_cast<const char*>(data), size);
    Visitor visitor;
    try {
        vm2oci::visit_initrd(
            [&](std::uint64_t offset, std::size_t length) {
                return offset < bytes.size() ? std::string(bytes.substr(static_cast<std::size_t>(offset), length)) : "";
            },
            visitor);
    } catch (const vm2oci::Error&) {
    }
    return 0;
}
