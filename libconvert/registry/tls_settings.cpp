#include "libconvert/registry/tls_settings.hpp"

#include "formats/base/error.hpp"
#include "formats/base/fd.hpp"
#include "formats/base/size.hpp"

#include <algorithm>
#include <cstdlib>
#include <vector>

namespace vm2oci::registry {
namespace fs = std::filesystem;
namespace {

constexpr std::size_t kMaxRootsBytes = 4 * MiB; // a whole system bundle is some 200 KiB

TlsSettings load_folder(const fs::path& folder) {
    TlsSettings settings;
    std::vector<fs::path> files;
    for (const fs::directory_entry& entry : fs::directory_iterator(folder))
        files.push_back(entry.path());
    std::ranges::sort(files);
    for (const fs::path& file : files) {
        if (file.extension() == ".crt") {
            settings.extra_roots += read_file(file, kMaxRootsBytes).value_or("") + "\n";
        } else if (file.extension() == ".cert") {
            fs::path key = file;
            key.replace_extension(".key");
            if (!fs::exists(key))
                fail(ErrorKind::usage, "no key " + key.string() + " for the client certificate " + file.string() +
                                           "; a certificate authority's file is named *.crt");
            settings.client_certificate = file;
            settings.client_key = key;
        }
    }
    return settings;
}

std::vector<fs::path> standard_folders() {
    std::vector<fs::path> folders;
    if (const char* config = std::getenv("XDG_CONFIG_HOME"); config != nullptr && *config != '\0')
        folders.push_back(fs::path(config) / "containers/certs.d");
    else if (const char* home = std::getenv("HOME"); home != nullptr && *home != '\0')
        folders.push_back(fs::path(home) / ".config/containers/certs.d");
    folders.emplace_back("/etc/containers/certs.d");
    folders.emplace_back("/etc/docker/certs.d");
    return folders;
}

} // namespace

TlsSettings load_tls_settings(std::string_view host_and_port, const fs::path& chosen) {
    if (!chosen.empty())
        return load_folder(chosen);
    for (const fs::path& folder : standard_folders()) {
        std::error_code ignored;
        const fs::path candidate = folder / host_and_port;
        if (fs::is_directory(candidate, ignored))
            return load_folder(candidate);
    }
    return {};
}

} // namespace vm2oci::registry
