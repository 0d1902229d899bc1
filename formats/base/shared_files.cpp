#include "formats/base/shared_files.hpp"

#include <system_error>

namespace vm2oci {
namespace {

// From the folder of installed programs to that of shared data; the build says it.
constexpr const char* kFromPrograms = VM2OCI_SHARED_FROM_PROGRAMS;
// A build tree has its programs two or three folders deep, and this file at its top. Without it a folder above an
// installed program, which may be anybody's, is not looked at.
constexpr const char* kBuildTreeMark = "CMakeCache.txt";
constexpr int kBuildTreeDepth = 3;

std::optional<std::filesystem::path> if_there(const std::filesystem::path& path) {
    std::error_code error;
    const std::filesystem::path normal = path.lexically_normal();
    if (std::filesystem::exists(normal, error))
        return normal;
    return std::nullopt;
}

} // namespace

std::optional<std::filesystem::path> find_shared_file(std::string_view name) {
    std::error_code error;
    const std::filesystem::path program = std::filesystem::read_symlink("/proc/self/exe", error);
    if (error)
        return std::nullopt;
    return find_shared_file(name, program);
}

std::optional<std::filesystem::path> find_shared_file(std::string_view name, const std::filesystem::path& program) {
    std::filesystem::path folder = program.parent_path();
    if (auto installed = if_there(folder / kFromPrograms / name))
        return installed;
    for (int depth = 0; depth < kBuildTreeDepth; ++depth) {
        folder = folder.parent_path();
        if (if_there(folder / kBuildTreeMark))
            return if_there(folder / "share/vm2oci" / name);
    }
    return std::nullopt;
}

} // namespace vm2oci
