// Between the library's callers and the rest of vm2oci: errors, progress and requests go from one's types to the
// other's.
#pragma once

#include "formats/base/error.hpp"
#include "formats/base/progress.hpp"
#include "libconvert/edit/request.hpp"
#include "libconvert/registry/open_registry.hpp"
#include "tools/flows/boot_source.hpp"
#include "tools/flows/open_source.hpp"

#include <vm2oci/edits.hpp>
#include <vm2oci/error.hpp>
#include <vm2oci/guest_access.hpp>
#include <vm2oci/operation.hpp>
#include <vm2oci/source.hpp>

#include <string>
#include <system_error>
#include <utility>

namespace vm2oci::v0 {

[[noreturn]] void rethrow(const vm2oci::Error& error);
[[noreturn]] void rethrow(const std::system_error& error);

// Runs `body`; what it throws becomes the library's Error.
template <class Body>
decltype(auto) at_border(Body&& body) {
    try {
        return std::forward<Body>(body)();
    } catch (const vm2oci::Error& error) {
        rethrow(error);
    } catch (const std::system_error& error) {
        rethrow(error);
    }
}

// An operation of the caller's, which outlives this.
class OperationBridge final : public vm2oci::ProgressSink {
  public:
    explicit OperationBridge(const Operation& operation) : operation_(operation) {}

    OperationContext context();
    void begin(std::string_view phase, std::uint64_t total_bytes) noexcept override;
    void advance(std::uint64_t bytes) noexcept override;
    void end() noexcept override;
    void note(std::string_view line) noexcept override;

  private:
    const Operation& operation_;
};

vm2oci::registry::RegistryOptions to_internal(const RegistryOptions& options);
vm2oci::SourceRequest to_internal(const SourceOptions& options);
vm2oci::GuestAccess to_internal(const GuestAccess& access);
vm2oci::EditRequest to_internal(const Edits& edits);
vm2oci::ContentCheck content_check(const SourceOptions& options);
// Error{usage} for the reference of a disk.
vm2oci::ImageReference image_reference(const std::string& text);

} // namespace vm2oci::v0
