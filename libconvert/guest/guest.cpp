#include "libconvert/guest/guest.hpp"

#include "formats/base/error.hpp"

namespace vm2oci {

std::string_view to_string(MountNeed need) {
    return need == MountNeed::required ? "required" : "optional";
}

Hint hint_for(MissingRemedy remedy) {
    switch (remedy) {
    case MissingRemedy::appliance:
        return {HintKind::guest_backend, "libguestfs"};
    case MissingRemedy::key:
        return HintKind::key;
    case MissingRemedy::none:
        break;
    }
    return {};
}

std::optional<std::string> try_read_text(const Guest& guest, std::string_view path, std::size_t limit) {
    try {
        return guest.read_file(path, limit);
    } catch (const Error& error) {
        if (error.kind() == ErrorKind::cancelled || error.kind() == ErrorKind::io)
            throw;
        return std::nullopt;
    }
}

bool exists(const Guest& guest, std::string_view path) {
    try {
        return guest.status(path, FinalLink::follow).has_value();
    } catch (const Error& error) {
        if (error.kind() == ErrorKind::cancelled || error.kind() == ErrorKind::io)
            throw;
        return false;
    }
}

} // namespace vm2oci
