// What a cluster is given, read back as YAML.
#include "formats/base/error.hpp"
#include "formats/base/size.hpp"
#include "libconvert/edit/yaml.hpp"
#include "tools/vm2oci/batch_cluster.hpp"
#include "tools/vm2oci/batch_list.hpp"

#include <catch2/catch.hpp>

using namespace vm2oci;
using namespace vm2oci::cli;

namespace {

ClusterWishes wishes() {
    ClusterWishes made;
    made.image = "registry.example/vm2oci:1";
    made.list = "a.qcow2 docker://registry.example/vm/a:1 --label 'x: y'\nb.qcow2 docker://registry.example/vm/b:1\n";
    made.names = {"a", "b"};
    made.memory = 512 * MiB;
    return made;
}

// The documents of a stream, one YAML value each.
std::vector<YamlValue> documents(const std::string& text) {
    std::vector<YamlValue> all;
    std::size_t at = 0;
    while (at < text.size()) {
        const std::size_t end = std::min(text.find("\n---\n", at), text.size());
        all.push_back(parse_yaml(std::string_view(text).substr(at, end + 1 - at)));
        at = std::min(end + 5, text.size());
    }
    return all;
}

// The text at "spec/template/0/name".
std::string at(YamlValue value, const std::string& path) {
    std::size_t begin = 0;
    while (begin <= path.size()) {
        const std::size_t end = std::min(path.find('/', begin), path.size());
        const std::string part = path.substr(begin, end - begin);
        begin = end + 1;
        if (value.kind() == YamlKind::sequence) {
            value = value.items().at(std::stoul(part));
            continue;
        }
        const auto member = value.get(part);
        INFO(path << " at " << part);
        REQUIRE(member);
        value = *member;
    }
    return value.text();
}

} // namespace

TEST_CASE("a job gives each machine a pod of its own that may do nothing else") {
    const auto all = documents(cluster_manifest("kubernetes", wishes()));
    REQUIRE(all.size() == 2);
    CHECK(at(all[0], "kind") == "ConfigMap");
    CHECK(at(all[0], "data/machines") == wishes().list);
    const YamlValue& job = all[1];
    CHECK(at(job, "spec/completionMode") == "Indexed");
    CHECK(at(job, "spec/completions") == "2");
    CHECK(at(job, "spec/parallelism") == "2");
    CHECK(at(job, "spec/maxFailedIndexes") == "0");
    CHECK(at(job, "spec/podFailurePolicy/rules/0/action") == "FailIndex");
    CHECK(at(job, "spec/podFailurePolicy/rules/0/onExitCodes/values/2") == "4");
    const std::string pod = "spec/template/spec/";
    CHECK(at(job, pod + "restartPolicy") == "Never");
    const std::string container = pod + "containers/0/";
    CHECK(at(job, container + "image") == "registry.example/vm2oci:1");
    CHECK(at(job, container + "securityContext/readOnlyRootFilesystem") == "true");
    CHECK(at(job, container + "securityContext/capabilities/drop/0") == "ALL");
    CHECK(at(job, container + "securityContext/runAsNonRoot") == "true");
    CHECK(at(job, container + "securityContext/seccompProfile/type") == "RuntimeDefault");
    CHECK(at(job, container + "resources/limits/memory") == "512Mi");
    CHECK(at(job, container + "env/0/value") == "/registry/config.json");
    ClusterWishes others = wishes();
    others.after_failure = AfterFailure::keep_on;
    others.state_claim = "memory";
    const auto going_on = documents(cluster_manifest("kubernetes", others));
    CHECK(at(going_on[1], "spec/maxFailedIndexes") == "2");
    CHECK(at(going_on[1], pod + "volumes/3/persistentVolumeClaim/claimName") == "memory");
}

TEST_CASE("Tekton and Argo fan out over the machines, and have digests as results") {
    const auto tekton = documents(cluster_manifest("tekton", wishes()));
    REQUIRE(tekton.size() == 3);
    CHECK(at(tekton[1], "kind") == "Task");
    CHECK(at(tekton[1], "spec/results/1/name") == "IMAGE_DIGEST");
    CHECK(at(tekton[2], "spec/tasks/0/matrix/params/0/value/1") == "1");
    CHECK(at(tekton[2], "spec/tasks/0/taskRef/name") == at(tekton[1], "metadata/name"));
    const auto argo = documents(cluster_manifest("argo", wishes()));
    REQUIRE(argo.size() == 2);
    CHECK(at(argo[1], "kind") == "WorkflowTemplate");
    CHECK(at(argo[1], "spec/templates/0/steps/0/0/withSequence/count") == "2");
    CHECK(at(argo[1], "spec/templates/1/retryStrategy/expression") == "asInt(lastRetry.exitCode) not in [2, 3, 4]");
}

TEST_CASE("what a cluster would refuse is refused here") {
    const auto refused = [](const ClusterWishes& each, ErrorKind kind) {
        for (const char* target : {"kubernetes", "tekton", "argo"}) {
            CAPTURE(target);
            try {
                cluster_manifest(target, each);
                FAIL("accepted");
            } catch (const Error& error) {
                CHECK(error.kind() == kind);
            }
        }
    };
    ClusterWishes each = wishes();
    each.image.clear();
    refused(each, ErrorKind::usage);
    for (const char* name : {"", "-a", "a-", "A", "a_b", "a.b"}) {
        CAPTURE(name);
        each = wishes();
        each.name = name;
        refused(each, ErrorKind::usage);
        each = wishes();
        each.registry_secret = name;
        refused(each, ErrorKind::usage);
    }
    each = wishes();
    each.list = "caf\xe9.raw docker://registry.example/vm/a:1\n";
    refused(each, ErrorKind::usage);
    each = wishes();
    each.list = std::string(1 * MiB, 'a');
    refused(each, ErrorKind::limit);
    each = wishes();
    each.names.assign(257, "a");
    CHECK_NOTHROW(cluster_manifest("kubernetes", each));
    CHECK_THROWS_AS(cluster_manifest("tekton", each), Error);
}

TEST_CASE("a name leaves room for what the cluster makes of it") {
    // Pods' host names are NAME-INDEX, Tekton's Task is NAME-machine, and 63 characters are the limit of both.
    const auto longest = [](const char* target, std::size_t machines) {
        for (std::size_t size = 63; size > 0; --size) {
            ClusterWishes each = wishes();
            each.names.assign(machines, "a");
            each.name = std::string(size, 'n');
            try {
                cluster_manifest(target, each);
                return size;
            } catch (const Error& error) {
                CHECK(error.kind() == ErrorKind::usage);
            }
        }
        return std::size_t{0};
    };
    CHECK(longest("kubernetes", 1) == 61);
    CHECK(longest("kubernetes", 10) == 61);
    CHECK(longest("kubernetes", 11) == 60);
    CHECK(longest("kubernetes", 101) == 59);
    CHECK(longest("tekton", 10) == 55);
    CHECK(longest("argo", 200) == 63);
    ClusterWishes each = wishes();
    each.names.assign(100'001, "a");
    CHECK_THROWS_WITH(cluster_manifest("kubernetes", each), Catch::Contains("make several lists"));
}

TEST_CASE("a list of another system is carried to the pods as it is") {
    for (const char* list :
         {"a docker://registry.example/a:1\r\nb docker://registry.example/b:1\r\n",
          "\357\273\277a docker://registry.example/a:1\n", // a byte order mark in front

          "gr\xc3\xbc\xc3\x9f.raw docker://registry.example/a:1", "  a docker://registry.example/a:1\n\n\n",
          "a\tdocker://registry.example/a:1 --label 'x=: #y'\n"}) {
        CAPTURE(list);
        ClusterWishes each = wishes();
        each.list = list;
        CHECK(at(documents(cluster_manifest("kubernetes", each))[0], "data/machines") == list);
    }
}

TEST_CASE("a pod has the memory of its largest machine, and pushes what it makes") {
    const auto lines = [](const std::string& text) { return parse_batch_list(text, find_files); };
    const std::uint64_t plain = check_words(lines("a.qcow2 docker://registry.example/a:1"));
    CHECK(check_words(lines("a.qcow2 docker://registry.example/a:1\n"
                            "b.qcow2 docker://registry.example/b:1 --boot-test --memory 3G")) == plain + 3 * GiB);
    for (const char* line :
         {"- docker://registry.example/a:1", "raw:- docker://registry.example/a:1", "a.qcow2 oci:images:a",
          "a.qcow2 raw:a.raw", "a.qcow2 docker://registry.example/a:1 --no-such"})
        CHECK_THROWS_AS(check_words(lines(line)), Error);
}
