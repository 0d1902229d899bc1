// OVF descriptors, manifests and archives: whatever they say is a machine, or an Error.
#include "formats/base/error.hpp"
#include "libconvert/hardware/ovf.hpp"
#include "libconvert/source/machine_package.hpp"
#include "libconvert/source/ovf_manifest.hpp"

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>

using namespace vm2oci;

namespace {

class FuzzedBytes final : public BlockDevice {
  public:
    explicit FuzzedBytes(std::string text) : text_(std::move(text)) {}
    std::uint64_t size() const override { return text_.size(); }
    void read_at(std::uint64_t offset, std::span<std::byte> buffer) const override {
        check_range(*this, offset, buffer.size());
        std::ranges::copy(std::as_bytes(std::span(text_)).subspan(offset, buffer.size()), buffer.begin());
    }
    Extent extent_at(std::uint64_t offset) const override { return {text_.size() - offset, ExtentKind::data}; }

  private:
    std::string text_;
};

template <class Step>
void attempt(Step step) {
    try {
        step();
    } catch (const Error&) {
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string text(reinterpret_cast<const char*>(data), size);
    attempt([&] { parse_ovf(text, "fuzzed.ovf"); });
    attempt([&] { parse_ovf_manifest(text); });
    attempt([&] { check_ovf_signature(text, "manifest", std::nullopt); });
    const auto archive = std::make_shared<FuzzedBytes>(text);
    looks_like_ova(*archive);
    looks_like_ovf(*archive);
    attempt([&] {
        MachinePackage package = open_package(*open_ova_members(archive), {});
        if (package.verifier)
            package.verifier->finish({});
    });
    return 0;
}
