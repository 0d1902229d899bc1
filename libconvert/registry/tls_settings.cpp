#include "libconvert/registry/tls_settings.hpp"

#include "formats/base/error.hpp"
#include "formats/base/fd.hpp"
#include "formats/base/size.hpp"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <set>
#include <sstream>
#include <vector>

namespace vm2oci::registry {
namespace fs = std::filesystem;
namespace {

constexpr std::size_t kMaxRootsBytes = 4 * MiB; // a whole system bundle is some 200 KiB

TlsSettings load_folder(const fs::path& folder) {
    TlsSettings settings;
    std::vector<fs::path> files;
    std::error_code error;
    for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error))
        files.push_back(entry->path());
    if (error)
        fail_errno("cannot read the folder of certificates " + folder.string(), error.value());
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

// "" unless it is set.
std::string environment(const char* name) {
    const char* value = std::getenv(name);
    return value == nullptr ? "" : value;
}

void append_roots(std::string& roots, const fs::path& file) {
    roots += read_file(file, kMaxRootsBytes).value_or("") + "\n";
    if (roots.size() > kMaxRootsBytes)
        fail(ErrorKind::limit,
             "the certificates of $SSL_CERT_FILE and $SSL_CERT_DIR have more than " + format_size(kMaxRootsBytes));
}

// As OpenSSL and Go read them: one file; folders, parted by colons, of which every file counts.
std::string environment_roots() {
    std::string roots;
    if (const std::string file = environment("SSL_CERT_FILE"); !file.empty())
        with_context("$SSL_CERT_FILE", [&] {
            if (!fs::exists(file))
                fail(ErrorKind::not_found, "there is no file " + file);
            append_roots(roots, file);
        });
    std::istringstream folders(environment("SSL_CERT_DIR"));
    std::set<fs::path> seen; // folders of authorities hold links to the same files
    for (std::string folder; std::getline(folders, folder, ':');) {
        std::error_code error;
        for (const fs::directory_entry& entry : fs::directory_iterator(folder, error)) {
            std::error_code ignored;
            const fs::path file = fs::canonical(entry.path(), ignored);
            if (!ignored && fs::is_regular_file(file, ignored) && seen.insert(file).second)
                append_roots(roots, file);
        }
        if (error && !folder.empty())
            fail(ErrorKind::not_found, "$SSL_CERT_DIR: cannot read the folder " + folder + ": " + error.message());
    }
    return roots;
}

TlsSettings load_host_settings(std::string_view host_and_port, const fs::path& chosen) {
    if (!chosen.empty())
        return load_folder(chosen);
    for (const fs::path& folder : standard_folders()) {
        std::error_code ignored;
        const fs::path candidate = folder / host_and_port;
        // One that is not for us to read is passed over, as podman does.
        if (fs::is_directory(candidate, ignored) && ::access(candidate.c_str(), R_OK | X_OK) == 0)
            return load_folder(candidate);
    }
    return {};
}

} // namespace

TlsSettings load_tls_settings(std::string_view host_and_port, const fs::path& chosen) {
    TlsSettings settings = load_host_settings(host_and_port, chosen);
    settings.extra_roots += environment_roots();
    return settings;
}

} // namespace vm2oci::registry
