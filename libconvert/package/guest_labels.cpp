#include "libconvert/package/guest_labels.hpp"

#include "formats/base/escape.hpp"
#include "formats/oci/labels.hpp"

#include <utility>

namespace vm2oci {
void add_guest_labels(const GuestSummary& guest, ImageContents& contents) {
    const std::pair<const char*, const std::string&> values[] = {
        {"product", guest.os.product}, {"distribution", guest.os.distribution},
        {"version", guest.os.version}, {"architecture", guest.os.architecture},
        {"init", guest.init},          {"firmware", guest.firmware}};
    for (const auto& [name, value] : values) {
        if (value.empty())
            continue;
        const std::string key = label::below(label::guest_prefix, name);
        contents.labels[key] = contents.annotations[key] = escape_untrusted(value);
    }
    const std::string& title = guest.machine.empty() ? guest.os.product : guest.machine;
    if (!title.empty())
        contents.title = escape_untrusted(title);
}

} // namespace vm2oci
