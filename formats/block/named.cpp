#include "formats/block/named.hpp"

#include "formats/base/error.hpp"

#include <utility>

namespace vm2oci {

NamedDevice::NamedDevice(std::shared_ptr<const BlockDevice> disk, std::string name)
    : disk_(std::move(disk)), name_(std::move(name)) {}

// Not with_context(): reads are many, and the name would be copied for each.
template <class Body>
decltype(auto) NamedDevice::named(Body&& body) const {
    try {
        return std::forward<Body>(body)();
    } catch (Error& error) {
        if (!std::string_view(error.what()).starts_with(name_))
            error.add_context(name_);
        throw;
    }
}

void NamedDevice::read_at(std::uint64_t offset, std::span<std::byte> buffer) const {
    named([&] { disk_->read_at(offset, buffer); });
}

Extent NamedDevice::extent_at(std::uint64_t offset) const {
    return named([&] { return disk_->extent_at(offset); });
}

} // namespace vm2oci
