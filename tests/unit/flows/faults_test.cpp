// Every call that changes something fails once, in every flow: the destination shows the old or the new, whole, and
// nothing temporary is left.
#include "formats/base/error.hpp"
#include "formats/base/fd.hpp"
#include "formats/oci/layout.hpp"
#include "formats/oci/verify.hpp"
#include "runner/judge/rules.hpp"
#include "tests/support/failing_calls.hpp"
#include "tests/support/small_disk.hpp"
#include "tests/support/temporary_folder.hpp"
#include "tools/flows/boot.hpp"
#include "tools/flows/convert.hpp"
#include "tools/flows/copy.hpp"
#include "tools/vm2oci/application.hpp"
#include "tools/vm2oci/batch_reports.hpp"

#include <catch2/catch.hpp>
#include <fcntl.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <sstream>

using namespace vm2oci;
namespace fs = std::filesystem;

namespace {

void write_text(const fs::path& path, const std::string& text) {
    std::ofstream(path, std::ios::binary) << text;
}

std::string text_of(const fs::path& path) {
    std::ostringstream text;
    text << std::ifstream(path, std::ios::binary).rdbuf();
    return text.str();
}

// Size and content of a file of any size: its blocks that are not zero, by their offsets.
std::string content_of(const fs::path& path) {
    const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    REQUIRE(file);
    const off_t size = ::lseek(file.get(), 0, SEEK_END);
    std::string content = std::to_string(size);
    std::string block(std::size_t{64} * 1024, '\0');
    for (off_t at = ::lseek(file.get(), 0, SEEK_DATA); at >= 0;) {
        at -= at % static_cast<off_t>(block.size());
        const ssize_t n = ::pread(file.get(), block.data(), block.size(), at);
        REQUIRE(n > 0);
        const std::string_view bytes(block.data(), static_cast<std::size_t>(n));
        if (bytes.find_first_not_of('\0') != std::string_view::npos)
            content.append(fmt::format("\n{}: ", at)).append(bytes);
        at = ::lseek(file.get(), at + n, SEEK_DATA);
    }
    return content;
}

// What a layout shows: its images, each of which must be whole.
std::string layout_text(const fs::path& folder) {
    const std::string index = text_of(folder / "index.json");
    if (index.empty())
        return "[]";
    const nlohmann::json images = nlohmann::json::parse(index)["manifests"];
    if (!images.empty()) {
        OciLayoutSource source(folder, std::nullopt);
        CHECK(verify_image(source, {}).findings.empty());
    }
    return images.dump();
}

// What readers see in the folder of a flow's outputs. A layout is what its index names: blobs that nothing names yet
// may be there, for another writer may count on them.
std::map<std::string, std::string> shown(const fs::path& folder) {
    std::map<std::string, std::string> files;
    for (const auto& entry : fs::recursive_directory_iterator(folder)) {
        const std::string name = entry.path().lexically_relative(folder).string();
        CHECK(name.find(".vm2oci-") == std::string::npos);
        if (name.starts_with("layout") || !entry.is_regular_file())
            continue;
        files[name] = content_of(entry.path());
    }
    files["layout"] = layout_text(folder / "layout");
    return files;
}

struct Flow {
    std::string name;
    // Writes below `out` what comes of the disk; returns whether it succeeded.
    std::function<bool(const fs::path& in, const fs::path& out, const std::string& disk)> run;
};

bool run_command(std::vector<std::string> arguments) {
    std::ostringstream out;
    std::ostringstream err;
    arguments.insert(arguments.begin() + 1, {"--quiet", "--threads", "1", "--tmpdir", "/var/tmp"});
    const int code = cli::run(arguments, out, err, Cancellation());
    INFO(err.str());
    CHECK(code >= 0);
    return code == 0;
}

std::string path(const fs::path& folder, const char* name) {
    return (folder / name).string();
}

std::string raw(const fs::path& in, const std::string& disk) {
    return "raw:" + path(in, (disk + ".raw").c_str());
}

BootReport verdict_report(const BootSubject& subject, Outcome outcome) {
    BootReport report;
    report.source = subject.name;
    report.verdict.emplace();
    report.verdict->outcome = outcome;
    if (outcome == Outcome::failed)
        report.verdict->rule = &kernel_rules()[0];
    report.console.append("login:");
    return report;
}

std::vector<Flow> flows() {
    return {
        {"containerDisk with its packages, in a layout",
         [](const fs::path& in, const fs::path& out, const std::string& disk) {
             return run_command(
                 {"convert", "--sbom", path(out, "s.json"), raw(in, disk), "oci:" + path(out, "layout") + ":web"});
         }},
        {"containerDisk with its packages, in an archive",
         [](const fs::path& in, const fs::path& out, const std::string& disk) {
             return run_command({"convert", "--sbom", path(out, "s.json"), raw(in, disk),
                                 "oci-archive:" + path(out, "a.tar") + ":web"});
         }},
        {"raw disk with its seed and packages",
         [](const fs::path& in, const fs::path& out, const std::string& disk) {
             return run_command({"convert", "--sbom", path(out, "s.json"), "--user-data", path(in, "user-data"),
                                 "--cloud-init-as", "disk", raw(in, disk), "raw:" + path(out, "d.raw")});
         }},
        {"two raw disks of one machine, with their packages",
         [](const fs::path& in, const fs::path& out, const std::string& disk) {
             return run_command({"convert", "--sbom", path(out, "s.json"), raw(in, disk), "--disk", raw(in, disk),
                                 "raw:" + path(out, "d.raw")});
         }},
        {"two images of one machine, in an archive",
         [](const fs::path& in, const fs::path& out, const std::string& disk) {
             return run_command(
                 {"convert", raw(in, disk), "--disk", raw(in, disk), "oci-archive:" + path(out, "a.tar") + ":web"});
         }},
        {"qcow2 that was changed, with its seed",
         [](const fs::path& in, const fs::path& out, const std::string& disk) {
             return run_command({"inject", "--hostname", disk, "--user-data", path(in, "user-data"), "--cloud-init-as",
                                 "disk", "--created", "7", raw(in, disk), "qcow2:" + path(out, "d.qcow2")});
         }},
        {"root file system with its packages",
         [](const fs::path& in, const fs::path& out, const std::string& disk) {
             return run_command({"convert", "--as", "rootfs", "--arch", "amd64", "--sbom", path(out, "s.json"),
                                 raw(in, disk), "oci:" + path(out, "layout") + ":web"});
         }},
        {"containerDisk with what runs it, and its digest",
         [](const fs::path& in, const fs::path& out, const std::string& disk) {
             return run_command({"convert", "--manifest", path(out, "m.yaml"), "--digest-file", path(out, "digest"),
                                 raw(in, disk), "oci:" + path(out, "layout") + ":web"});
         }},
        {"machine artifact with its packages",
         [](const fs::path& in, const fs::path& out, const std::string& disk) {
             return run_command({"convert", "--as", "vm", "--sbom", path(out, "s.json"), raw(in, disk), "--disk",
                                 raw(in, disk), "oci:" + path(out, "layout") + ":web"});
         }},
        {"image for podman machine with its packages",
         [](const fs::path& in, const fs::path& out, const std::string& disk) {
             return run_command({"convert", "--as", "podman-machine", "--sbom", path(out, "s.json"), raw(in, disk),
                                 "oci:" + path(out, "layout") + ":web"});
         }},
        {"image for RancherVM, in an archive, with its packages",
         [](const fs::path& in, const fs::path& out, const std::string& disk) {
             return run_command({"convert", "--as", "rancher", "--compression", "gzip", "--sbom", path(out, "s.json"),
                                 raw(in, disk), "oci-archive:" + path(out, "a.tar") + ":web"});
         }},
        {"image for runV with its packages",
         [](const fs::path& in, const fs::path& out, const std::string& disk) {
             return run_command({"convert", "--as", "runv", "--arch", "amd64", "--initrd", path(in, "user-data"),
                                 "--kernel", path(in, "kernel"), "--compression", "gzip", "--sbom", path(out, "s.json"),
                                 raw(in, disk), "oci:" + path(out, "layout") + ":web"});
         }},
        {"Virtlet's files with their packages",
         [](const fs::path& in, const fs::path& out, const std::string& disk) {
             return run_command(
                 {"convert", "--as", "virtlet", "--sbom", path(out, "s.json"), raw(in, disk), path(out, "virtlet")});
         }},
        {"list of an image's packages",
         [](const fs::path& in, const fs::path& out, const std::string& disk) {
             return run_command({"inspect", "--sbom", path(out, "s.json"), raw(in, disk)});
         }},
        {"what runs a disk",
         [](const fs::path& in, const fs::path& out, const std::string& disk) {
             return run_command({"manifest", "--name", disk, "--output", path(out, "m.yaml"), raw(in, disk)});
         }},
        {"reports of a batch",
         [](const fs::path&, const fs::path& out, const std::string& disk) {
             cli::BatchArguments arguments;
             arguments.junit = path(out, "junit.xml");
             arguments.report = path(out, "page.html");
             arguments.digest_file = path(out, "digest");
             ItemResult item;
             item.name = item.digest = disk;
             item.state = ItemState::done;
             try {
                 cli::BatchReports(arguments, {}).write({"list", {}, 1, 0, {item}});
                 return true;
             } catch (const Error&) {
                 return false;
             }
         }},
        {"bundle with its packages",
         [](const fs::path& in, const fs::path& out, const std::string& disk) {
             return run_command({"convert", "--as", "bundle", "--kernel", path(in, "kernel"), "--arch", "amd64",
                                 "--sbom", path(out, "s.json"), raw(in, disk), "oci:" + path(out, "layout") + ":web"});
         }},
        {"unpacked bundle",
         [](const fs::path& in, const fs::path& out, const std::string& disk) {
             return run_command({"convert", "oci:" + path(in, "bundles") + ":" + disk, path(out, "files")});
         }},
        {"Kata's files with their packages",
         [](const fs::path& in, const fs::path& out, const std::string& disk) {
             return run_command({"convert", "--as", "kata", "--agent", "kata-agent=" + path(in, "user-data"), "--sbom",
                                 path(out, "s.json"), "--created", "7", raw(in, disk), path(out, "kata")});
         }},
        {"bundle of a container image with its packages",
         [](const fs::path& in, const fs::path& out, const std::string& disk) {
             return run_command({"convert", "--as", "bundle", "--kernel", path(in, "kernel"), "--sbom",
                                 path(out, "s.json"), "oci:" + path(in, "containers") + ":" + disk,
                                 "oci:" + path(out, "layout") + ":web"});
         }},
        {"Kata's files of a container image with its packages",
         [](const fs::path& in, const fs::path& out, const std::string& disk) {
             return run_command({"convert", "--as", "kata", "--agent", "kata-agent=" + path(in, "user-data"), "--sbom",
                                 path(out, "s.json"), "oci:" + path(in, "containers") + ":" + disk, path(out, "kata")});
         }},
        {"copy with its digest",
         [](const fs::path& in, const fs::path& out, const std::string& disk) {
             ImageCopyRequest request;
             request.source = LayoutReference{path(in, "bundles"), disk};
             request.destination = LayoutReference{path(out, "layout"), "copy"};
             request.digest_file = out / "digest";
             try {
                 copy_images(request, [](const CopiedImage&) {}, {});
                 return true;
             } catch (const Error&) {
                 return false;
             }
         }},
        {"index with its digest",
         [](const fs::path& in, const fs::path& out, const std::string& disk) {
             return run_command({"index", "create", "--digest-file", path(out, "digest"),
                                 "oci:" + path(out, "layout") + ":all", "oci:" + path(in, "bundles") + ":" + disk});
         }},
        {"reports of a boot",
         [](const fs::path& in, const fs::path& out, const std::string& disk) {
             BootCommand command;
             command.source.name = disk;
             command.source.reference = DiskReference{path(in, (disk + ".raw").c_str()), DiskFormat::raw};
             command.request.junit = out / "junit.xml";
             command.request.report_folder = out / "report" / "of" / "boot";
             const auto machine = [](const BootSubject& subject, const BootRequest&) {
                 return verdict_report(subject, Outcome::failed);
             };
             try {
                 boot(command, machine, {});
                 return true;
             } catch (const Error&) {
                 return false;
             }
         }},
        {"disk that has booted, with its reports",
         [](const fs::path& in, const fs::path& out, const std::string& disk) {
             ConvertRequest request;
             request.source_name = request.destination_name = disk;
             request.source = DiskReference{path(in, (disk + ".raw").c_str()), DiskFormat::raw};
             request.destination = LayoutReference{path(out, "layout"), "web"};
             request.shape = ContainerDiskRequest();
             request.sbom = out / "s.json";
             request.boot_test.emplace();
             request.boot_test->junit = out / "junit.xml";
             request.boot_test->report_folder = out / "report";
             ConvertEngine engine;
             engine.boot_machine = [](const BootSubject& subject, const BootRequest&) {
                 return verdict_report(subject, Outcome::ready);
             };
             try {
                 return convert(request, engine, {}).is_published();
             } catch (const Error&) {
                 return false;
             }
         }},
    };
}

// The inputs of all flows: two disks, and two bundles made of them.
void make_inputs(const fs::path& in) {
    write_text(in / "kernel", test::elf_head() + std::string(4096, 'k'));
    write_text(in / "user-data", "#cloud-config\n");
    for (const std::string disk : {"first", "second"}) {
        test::write_small_disk(in / (disk + ".raw"), disk);
        REQUIRE(run_command({"convert", "--as", "bundle", "--kernel", path(in, "kernel"), raw(in, disk),
                             "oci:" + path(in, "bundles") + ":" + disk}));
        REQUIRE(run_command({"convert", "--as", "rootfs", "--arch", "amd64", raw(in, disk),
                             "oci:" + path(in, "containers") + ":" + disk}));
    }
}

void fail_each_call(const Flow& flow, const fs::path& in, const fs::path& before) {
    const test::TemporaryFolder work;
    const fs::path out = work.path() / "out";
    // As links: who wrote into an earlier file instead of putting another in its place would change that state, too.
    const auto start = [&] {
        fs::remove_all(out);
        fs::copy(before, out, fs::copy_options::recursive | fs::copy_options::create_hard_links);
    };
    const auto old_state = shown(before);
    start();
    unsigned calls = 0;
    {
        const test::FailingCalls counted(out, 0);
        REQUIRE(flow.run(in, out, "second"));
        calls = counted.count();
    }
    const auto new_state = shown(out);
    REQUIRE(old_state != new_state);
    REQUIRE(calls > 5);
    for (unsigned call = 1; call <= calls; ++call) {
        start();
        bool succeeded = false;
        std::string failed;
        {
            const test::FailingCalls failing(out, call);
            succeeded = flow.run(in, out, "second");
            failed = failing.failed();
        }
        INFO(flow.name << ": call " << call << " of " << calls << " failed: " << failed);
        const auto state = shown(out);
        CHECK(!failed.empty());
        CHECK(state == (succeeded ? new_state : old_state));
    }
    CHECK(shown(before) == old_state);
}

} // namespace

TEST_CASE("whatever call fails, a destination shows the old or the new, whole, and nothing temporary is left") {
    ::setenv("SOURCE_DATE_EPOCH", "1700000000", 1);
    const test::TemporaryFolder caches; // notes on frames are nobody's output
    ::setenv("XDG_CACHE_HOME", caches.path().c_str(), 1);
    const test::TemporaryFolder in;
    make_inputs(in.path());
    for (const Flow& flow : flows()) {
        DYNAMIC_SECTION(flow.name << ", where nothing was") {
            const test::TemporaryFolder nothing;
            fail_each_call(flow, in.path(), nothing.path());
        }
        DYNAMIC_SECTION(flow.name << ", over an earlier one") {
            const test::TemporaryFolder earlier;
            REQUIRE(flow.run(in.path(), earlier.path(), "first"));
            fail_each_call(flow, in.path(), earlier.path());
        }
    }
}
