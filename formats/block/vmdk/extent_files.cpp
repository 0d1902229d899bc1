#include "formats/block/vmdk/extent_files.hpp"

#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "formats/block/open_file.hpp"
#include "formats/block/sibling_file.hpp"

#include <algorithm>
#include <map>
#include <utility>

namespace vm2oci::vmdk {
namespace {

using namespace std::string_view_literals;

constexpr std::string_view kSuffix = ".vmdk";

// Descriptors of Windows hosts have either.
std::string_view file_name(std::string_view path) {
    const std::size_t slash = path.find_last_of("/\\");
    return slash == std::string_view::npos ? path : path.substr(slash + 1);
}

GivenExtents::File* find_given(GivenExtents& given, std::string_view name) {
    const auto found = std::ranges::find_if(
        given.files, [&](const GivenExtents::File& file) { return file.path.filename().string() == file_name(name); });
    return found == given.files.end() ? nullptr : &*found;
}

// The first that is not used and that no line names.
GivenExtents::File* next_given(GivenExtents& given, const std::vector<std::string>& names) {
    const auto is_free = [&](const GivenExtents::File& file) {
        return !file.used && std::ranges::none_of(names, [&](const std::string& name) {
            return file_name(name) == file.path.filename().string();
        });
    };
    const auto found = std::ranges::find_if(given.files, is_free);
    return found == given.files.end() ? nullptr : &*found;
}

} // namespace

bool is_sibling_name(std::string_view descriptor, std::string_view name) {
    if (!descriptor.ends_with(kSuffix) || !name.ends_with(kSuffix) || name.find('/') != std::string_view::npos)
        return false;
    const std::string_view stem = descriptor.substr(0, descriptor.size() - kSuffix.size());
    if (stem.empty() || !name.starts_with(stem) || name.size() < stem.size() + kSuffix.size())
        return false;
    const std::string_view ending = name.substr(stem.size(), name.size() - stem.size() - kSuffix.size());
    if (ending == "-flat"sv || ending == "-delta"sv || ending == "-sesparse"sv)
        return true;
    return ending.size() == 5 && (ending.starts_with("-s"sv) || ending.starts_with("-f"sv)) &&
           std::ranges::all_of(ending.substr(2), [](char c) { return c >= '0' && c <= '9'; });
}

std::vector<DevicePtr> ExtentFilesOnDisk::open(const std::vector<std::string>& names) {
    std::vector<DevicePtr> opened;
    std::map<std::string, DevicePtr> by_name; // lines may share a file
    for (const std::string& name : names) {
        if (const auto known = by_name.find(name); known != by_name.end()) {
            opened.push_back(known->second);
            continue;
        }
        GivenExtents::File* given = find_given(given_, name);
        if (given == nullptr)
            given = next_given(given_, names);
        if (given != nullptr) {
            given->used = true;
            opened.push_back(open_disk_file(given->path, policy_));
        } else {
            opened.push_back(open_sibling(name));
        }
        by_name[name] = opened.back();
    }
    return opened;
}

DevicePtr ExtentFilesOnDisk::open_sibling(const std::string& name) const {
    const auto refuse = [&](std::string_view why) {
        fail(ErrorKind::unsafe, "the disk lies in the file " + quote_untrusted(name) + ", which " + std::string(why),
             HintKind::extent);
    };
    const std::filesystem::path descriptor = descriptor_.value_or(std::filesystem::path());
    if (!is_sibling_name(descriptor.filename().string(), name))
        refuse("is not opened on an image's word");
    SiblingFile sibling = open_sibling_file(descriptor.parent_path() / name, policy_);
    if (!sibling.file)
        refuse(sibling.refusal);
    return std::move(sibling.file);
}

} // namespace vm2oci::vmdk
