#include "libconvert/inspect/initrd.hpp"

#include "formats/base/error.hpp"
#include "formats/initrd/members.hpp"

#include <string_view>

namespace vm2oci::inspect {
namespace {

bool is_module(std::string_view name) {
    return name.find(".ko") != std::string_view::npos && name.find("/modules/") != std::string_view::npos;
}

class ModuleList final : public InitrdVisitor {
  public:
    explicit ModuleList(InitrdFindings& findings) : findings_(findings) {}

    bool visit(const CpioMember& member, CpioReader& /*reader*/) override {
        ++findings_.files;
        if (is_module(member.path))
            findings_.modules.push_back(member.path);
        return true;
    }
    void part_begins(const std::string& compression) override { findings_.compression = compression; }

  private:
    InitrdFindings& findings_;
};

} // namespace

InitrdFindings read_initrd(const Guest& guest, const std::string& path, const OperationContext& operation) {
    InitrdFindings findings;
    findings.compression = "none";
    ModuleList list(findings);
    try {
        visit_initrd(
            [&](std::uint64_t offset, std::size_t length) {
                operation.check_cancelled();
                return guest.read_range(path, offset, length).value_or("");
            },
            list);
    } catch (const Error& error) {
        if (error.kind() == ErrorKind::cancelled || error.kind() == ErrorKind::io)
            throw;
        findings.problem = error.what();
    }
    return findings;
}

} // namespace vm2oci::inspect
