// What the rules of consumers have in common. Private to this room.
#pragma once

#include "libconvert/check/consumers.hpp"
#include "libconvert/check/image_facts.hpp"

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace vm2oci {

inline constexpr std::string_view kConvertAgain = "convert the disk again with vm2oci convert";

class Problems {
  public:
    void error(std::string rule, std::string text, std::string_view remedy = kConvertAgain) {
        found_.push_back({ProblemSeverity::error, std::move(rule), std::move(text), std::string(remedy)});
    }
    void warning(std::string rule, std::string text, std::string_view remedy = "") {
        found_.push_back({ProblemSeverity::warning, std::move(rule), std::move(text), std::string(remedy)});
    }
    std::vector<Problem> take() { return std::move(found_); }

  private:
    std::vector<Problem> found_;
};

struct Child {
    std::string path;
    const ImageFile* file;
};

// What lies directly in `folder` ("disk"; "": the root).
std::vector<Child> children(const ImageFacts& facts, std::string_view folder);

void check_layers(const ImageFacts& facts, Problems& problems);
void check_unpacking(const ImageFacts& facts, Problems& problems);
void check_platform(const ImageFacts& facts, Problems& problems);

// Consumers beyond KubeVirt's and its importer's disks, and whether an image is meant for them.
std::vector<Problem> check_machine_artifact(const ImageFacts& facts);
bool is_machine_artifact(const ImageFacts& facts);
std::vector<Problem> check_podman_machine(const ImageFacts& facts);
bool is_podman_machine(const ImageFacts& facts);
std::vector<Problem> check_rancher_vm(const ImageFacts& facts);
bool is_rancher_vm(const ImageFacts& facts);
std::vector<Problem> check_krun(const ImageFacts& facts);
bool has_krun_settings(const ImageFacts& facts);
std::vector<Problem> check_micro_vmm(const ImageFacts& facts);
std::vector<Problem> check_kata(const ImageFacts& facts);
std::vector<Problem> check_runv(const ImageFacts& facts);
bool has_runv_files(const ImageFacts& facts);
bool is_guest_root(const ImageFacts& facts);
std::vector<Problem> check_virtlet(const ImageFacts& facts);
bool is_named_alone(const ImageFacts& facts); // judged only when it is asked for

} // namespace vm2oci
