#include "formats/base/shared_files.hpp"
#include "tests/support/temporary_folder.hpp"

#include <catch2/catch.hpp>
#include <unistd.h>

#include <fstream>

using namespace vm2oci;
namespace fs = std::filesystem;

TEST_CASE("shared files are found from where the program is") {
    const test::TemporaryFolder folder;
    const fs::path& top = folder.path();
    const auto put = [&](const fs::path& path) {
        fs::create_directories((top / path).parent_path());
        std::ofstream(top / path) << "x";
        return top / path;
    };
    const fs::path installed = put("usr/share/vm2oci/thing");
    CHECK(find_shared_file("thing", top / "usr/bin/vm2oci") == installed);
    CHECK(find_shared_file("other", top / "usr/bin/vm2oci") == std::nullopt);
    const fs::path built = put("build/share/vm2oci/thing");
    // A folder above that is no build tree may be anybody's.
    CHECK(find_shared_file("thing", top / "build/tools/vm2oci/vm2oci") == std::nullopt);
    put("build/CMakeCache.txt");
    CHECK(find_shared_file("thing", top / "build/tools/vm2oci/vm2oci") == built);
    CHECK(find_shared_file("thing", top / "build/tests/unit/base/unit_base") == built);
    CHECK(find_shared_file("other", top / "build/tools/vm2oci/vm2oci") == std::nullopt);
}
