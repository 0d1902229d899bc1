#include "libconvert/guest/guest.hpp"

#include "formats/base/error.hpp"

namespace vm2oci {

std::string_view to_string(MountNeed need) {
    return need == MountNeed::required ? "required" : "optional";
}

std::string_view advice_for(MissingRemedy remedy) {
    switch (remedy) {
    case MissingRemedy::appliance:
        return "; take --guest-backend libguestfs";
    case MissingRemedy::key:
        return "; give its key with --key";
    case MissingRemedy::none:
        return "";
    }
    return "";
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
