#include "tools/vm2oci/batch_inputs.hpp"

#include "formats/base/error.hpp"
#include "formats/base/fd.hpp"
#include "formats/base/size.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <system_error>

namespace vm2oci::cli {
namespace {

namespace fs = std::filesystem;

// Descriptions have a few KiB; what is larger is a disk.
constexpr std::size_t kDescriptionLimit = 1 * MiB;

bool is_file(const fs::path& path) {
    std::error_code error;
    return !path.empty() && fs::is_regular_file(path, error);
}

fs::path in_full(const fs::path& path) {
    std::error_code error;
    fs::path canonical = fs::weakly_canonical(fs::absolute(path, error), error);
    return error ? path : canonical;
}

// Whatever of a word is a file: "2=base.qcow2:qcow2", "motd:/etc/motd:0644".
void add_files_of_word(const std::string& word, std::set<fs::path>& into) {
    constexpr const char* kSigns = ":=,";
    for (std::size_t begin = 0; begin <= word.size();) {
        for (std::size_t end = begin; end != std::string::npos && end < word.size();) {
            end = word.find_first_of(kSigns, end + 1);
            if (const fs::path path = word.substr(begin, end == std::string::npos ? end : end - begin); is_file(path))
                into.insert(path);
        }
        begin = word.find_first_of(kSigns, begin);
        if (begin == std::string::npos)
            return;
        ++begin;
    }
}

// --agent may name a folder, all of whose files go into the guest.
void add_agent_folder(const std::vector<std::string>& words, std::size_t at, std::set<fs::path>& into) {
    constexpr std::string_view kOption = "--agent";
    fs::path folder;
    if (words[at] == kOption && at + 1 < words.size())
        folder = words[at + 1];
    else if (words[at].starts_with(std::string(kOption) + "="))
        folder = words[at].substr(kOption.size() + 1);
    std::error_code error;
    if (folder.empty() || !fs::is_directory(folder, error))
        return;
    for (auto entry = fs::recursive_directory_iterator(folder, error);
         !error && entry != fs::recursive_directory_iterator(); entry.increment(error))
        if (is_file(entry->path()))
            into.insert(entry->path());
}

std::string text_of_description(const fs::path& path) {
    std::error_code error;
    const std::uintmax_t size = fs::file_size(path, error);
    if (error || size > kDescriptionLimit)
        return "";
    try {
        std::string text = read_file(path, kDescriptionLimit).value_or("");
        // XML, VMDK, VMX.
        const bool is_one = text.starts_with('<') || text.starts_with("\xef\xbb\xbf<") || text.starts_with("# Disk") ||
                            text.starts_with(".encoding");
        return is_one ? text : "";
    } catch (const Error&) {
        return ""; // the conversion says what is wrong with it
    }
}

// Whether files beside it may be parts of the machine, as convert reads it.
bool has_parts_beside(const DiskReference& disk, const fs::path& path) {
    constexpr std::array<std::string_view, 5> kEndings = {".ovf", ".vmx", ".xml", ".vmcx", ".vmdk"};
    std::string ending = path.extension().string();
    std::transform(ending.begin(), ending.end(), ending.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return disk.machine || std::find(kEndings.begin(), kEndings.end(), ending) != kEndings.end() ||
           !text_of_description(path).empty();
}

// As URIs write it: "web%2001.vmdk".
std::string percent_encoded(const std::string& name) {
    constexpr std::string_view kDigits = "0123456789ABCDEF";
    std::string text;
    for (const char c : name) {
        const auto byte = static_cast<unsigned char>(c);
        if (std::isalnum(byte) != 0 || std::string_view("-._~").find(c) != std::string_view::npos)
            text += c;
        else
            (((text += '%') += kDigits[byte >> 4U]) += kDigits[byte & 15U]);
    }
    return text;
}

// "web-flat.vmdk" of web.vmdk, and not "web2.vmdk".
bool is_named_after(const std::string& name, const std::string& stem) {
    return !stem.empty() && name.starts_with(stem) &&
           (name.size() == stem.size() || std::isalnum(static_cast<unsigned char>(name[stem.size()])) == 0);
}

// "exports/erp.ova:2" is the second disk of exports/erp.ova.
fs::path without_disk(const std::string& path) {
    const std::size_t colon = path.rfind(':');
    return colon == std::string::npos || is_file(path) ? fs::path(path) : fs::path(path.substr(0, colon));
}

// Whether the image may be another one tomorrow under the same words; else what of it is a file goes into `into`.
bool is_seen(const ImageReference& image, std::set<fs::path>& into) {
    if (const auto* layout = std::get_if<LayoutReference>(&image))
        into.insert(fs::path(layout->folder) / "index.json");
    if (const auto* archive = std::get_if<ArchiveReference>(&image))
        into.insert(archive->file);
    const auto* registry = std::get_if<RegistryReference>(&image);
    return registry == nullptr || !registry->digest.empty();
}

} // namespace

BatchInputs::BatchInputs(const std::vector<BatchLine>& lines) {
    for (const BatchLine& line : lines) {
        try {
            const Reference destination = parse_reference(line.destination);
            if (const auto* disk = std::get_if<DiskReference>(&destination))
                written_.insert(in_full(disk->path));
            else if (const auto* archive = std::get_if<ArchiveReference>(&std::get<ImageReference>(destination)))
                written_.insert(in_full(archive->file));
        } catch (const Error&) {
            continue; // it is refused by whoever reads the line's words
        }
    }
}

const std::vector<std::string>& BatchInputs::names_in(const fs::path& folder) {
    const auto [place, is_new] = folders_.try_emplace(folder);
    std::error_code error;
    if (is_new)
        for (auto entry = fs::directory_iterator(folder, error); !error && entry != fs::directory_iterator();
             entry.increment(error))
            if (is_file(entry->path()))
                place->second.push_back(entry->path().filename().string());
    return place->second;
}

void BatchInputs::add_siblings(const fs::path& source, Files& into) {
    const fs::path folder = source.parent_path().empty() ? fs::path(".") : source.parent_path();
    const std::string stem = source.stem().string();
    const std::string text = text_of_description(source);
    for (const std::string& name : names_in(folder)) {
        const bool is_named =
            text.find(name) != std::string::npos || text.find(percent_encoded(name)) != std::string::npos;
        const fs::path path = (folder / name).lexically_normal();
        if ((is_named || is_named_after(name, stem)) && !written_.contains(in_full(path)))
            into.insert(path);
    }
}

std::optional<std::vector<fs::path>> BatchInputs::of(const BatchLine& line, const ConvertRequest& request) {
    Files files;
    for (std::size_t at = 0; at < line.options.size(); ++at) {
        add_files_of_word(line.options[at], files);
        add_agent_folder(line.options, at, files);
    }
    add_files_of_word(line.source, files);
    if (request.against && !is_seen(*request.against, files))
        return std::nullopt;
    if (const auto* disk = std::get_if<DiskReference>(&request.source)) {
        if (is_server_address(disk->path))
            return std::nullopt;
        const fs::path path = without_disk(disk->path);
        if (is_file(path))
            files.insert(path.lexically_normal());
        if (has_parts_beside(*disk, path))
            add_siblings(path, files);
    } else if (!is_seen(std::get<ImageReference>(request.source), files)) {
        return std::nullopt;
    }
    return std::vector<fs::path>(files.begin(), files.end());
}

} // namespace vm2oci::cli
