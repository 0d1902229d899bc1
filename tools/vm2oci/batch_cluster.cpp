#include "tools/vm2oci/batch_cluster.hpp"

#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "formats/base/size.hpp"
#include "formats/base/version.hpp"
#include "libconvert/manifest/document.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>

namespace vm2oci::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kUser = 65532; // "nonroot", as images without a shell have it; any other than 0 will do
constexpr std::size_t kConfigMapLimit = 1 * MiB - 64 * KiB; // the API server's limit, with room for the object's rest
constexpr std::size_t kMatrixLimit = 256;                   // Tekton's default-max-matrix-combinations-count
constexpr std::size_t kJobLimit = 100'000;                  // completions with failures counted by index
constexpr std::size_t kNameLimit = 63; // of a label, a pod's host name, Tekton's and Argo's objects
constexpr int kRetries = 3;
constexpr const char* kListFile = "machines";
constexpr std::string_view kTaskEnding = "-machine";

// Labels, claims and objects: RFC 1123.
void require_name(const std::string& name, std::string_view what, std::size_t longest = kNameLimit) {
    const auto is_end = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
    const bool fits = !name.empty() && name.size() <= longest && is_end(name.front()) && is_end(name.back()) &&
                      std::all_of(name.begin(), name.end(), [&](char c) { return is_end(c) || c == '-'; });
    if (!fits)
        fail(ErrorKind::usage, fmt::format("{} is no name for {} in a cluster: small letters, digits and '-', at most "
                                           "{} of them",
                                           quote_untrusted(name), what, longest));
}

// What stands behind the name in what is made of it: a pod's host name, a Task.
std::size_t longest_name(std::string_view target, const ClusterWishes& wishes) {
    if (target == "kubernetes")
        return kNameLimit - 1 - std::to_string(wishes.names.size() - 1).size();
    return target == "tekton" ? kNameLimit - kTaskEnding.size() : kNameLimit;
}

// Objects are JSON, whose text is UTF-8; paths may be of any bytes.
void require_utf8(std::string_view list) {
    for (std::size_t line = 1; !list.empty(); ++line) {
        const std::size_t end = std::min(list.find('\n'), list.size());
        try {
            (void)Json(std::string(list.substr(0, end))).dump();
        } catch (const Json::exception&) {
            fail(ErrorKind::usage,
                 fmt::format("line {}: it is not in UTF-8, and a cluster holds no other text; rename the file", line));
        }
        list.remove_prefix(std::min(end + 1, list.size()));
    }
}

std::string list_name(const ClusterWishes& wishes) {
    return wishes.name + "-list";
}

ManifestDocument config_map(const ClusterWishes& wishes) {
    if (wishes.list.size() > kConfigMapLimit)
        fail(ErrorKind::limit, "the list is larger than a ConfigMap can be; make several of it");
    require_utf8(wishes.list);
    ManifestDocument document{{{"apiVersion", "v1"},
                               {"kind", "ConfigMap"},
                               {"metadata", {{"name", list_name(wishes)}}},
                               {"data", {{kListFile, wishes.list}}}}};
    document.comment("/data", "The machines, one line each; which pod takes which is its index.");
    return document;
}

Json container_security() {
    return {{"allowPrivilegeEscalation", false},
            {"capabilities", {{"drop", {"ALL"}}}},
            {"readOnlyRootFilesystem", true},
            {"runAsNonRoot", true},
            {"runAsUser", kUser},
            {"runAsGroup", kUser},
            {"seccompProfile", {{"type", "RuntimeDefault"}}}};
}

Json resources(const ClusterWishes& wishes) {
    const std::string memory = fmt::format("{}Mi", wishes.memory / MiB);
    return {{"requests", {{"cpu", "1"}, {"memory", memory}}}, {"limits", {{"memory", memory}}}};
}

std::vector<std::string> arguments(const ClusterWishes& wishes) {
    return {"batch",  "--json",   "--progress", "plain", "--state",
            "/state", "--tmpdir", "/scratch",   "--of",  std::to_string(wishes.names.size())};
}

Json environment() {
    return Json::array({{{"name", "REGISTRY_AUTH_FILE"}, {"value", "/registry/config.json"}},
                        {{"name", "HOME"}, {"value", "/scratch"}},
                        {{"name", "TMPDIR"}, {"value", "/scratch"}}});
}

Json mount(const char* name, const char* path, bool read_only) {
    Json json = {{"name", name}, {"mountPath", path}};
    if (read_only)
        json["readOnly"] = true;
    return json;
}

Json list_volume(const ClusterWishes& wishes) {
    return {{"name", "list"}, {"configMap", {{"name", list_name(wishes)}}}};
}

Json disks_volume(const ClusterWishes& wishes) {
    return {{"name", "disks"}, {"persistentVolumeClaim", {{"claimName", wishes.disks_claim}, {"readOnly", true}}}};
}

Json registry_volume(const ClusterWishes& wishes) {
    return {{"name", "registry"},
            {"secret",
             {{"secretName", wishes.registry_secret},
              {"optional", true},
              {"items", Json::array({{{"key", ".dockerconfigjson"}, {"path", "config.json"}}})}}}};
}

Json state_volume(const ClusterWishes& wishes) {
    if (wishes.state_claim.empty())
        return {{"name", "state"}, {"emptyDir", Json::object()}};
    return {{"name", "state"}, {"persistentVolumeClaim", {{"claimName", wishes.state_claim}}}};
}

Json scratch_volume() {
    return {{"name", "scratch"}, {"emptyDir", Json::object()}};
}

Json pod_volumes(const ClusterWishes& wishes) {
    return Json::array(
        {list_volume(wishes), disks_volume(wishes), registry_volume(wishes), state_volume(wishes), scratch_volume()});
}

Json pod_mounts() {
    return Json::array({mount("list", "/list", true), mount("disks", "/disks", true),
                        mount("registry", "/registry", true), mount("state", "/state", false),
                        mount("scratch", "/scratch", false)});
}

std::string list_path() {
    return fmt::format("/list/{}", kListFile);
}

// The container of a pod; `words` go behind those that are the same everywhere.
Json container(const ClusterWishes& wishes, const std::vector<std::string>& more) {
    std::vector<std::string> words = arguments(wishes);
    words.insert(words.end(), more.begin(), more.end());
    words.push_back(list_path());
    Json json = Json::object();
    json["image"] = wishes.image;
    json["command"] = Json::array({"vm2oci"});
    json["args"] = words;
    json["workingDir"] = "/disks";
    json["env"] = environment();
    json["resources"] = resources(wishes);
    json["securityContext"] = container_security();
    json["volumeMounts"] = pod_mounts();
    return json;
}

// Exit codes that another try does not change, and pods that were only in the way.
Json failure_policy() {
    Json final_codes = Json::object();
    final_codes["containerName"] = "vm2oci";
    final_codes["operator"] = "In";
    final_codes["values"] = Json::array({2, 3, 4});
    Json disruption = Json::object();
    disruption["type"] = "DisruptionTarget";
    disruption["status"] = "True";
    Json rules = Json::array();
    rules.push_back({{"action", "FailIndex"}, {"onExitCodes", std::move(final_codes)}});
    rules.push_back({{"action", "Ignore"}, {"onPodConditions", Json::array({std::move(disruption)})}});
    return {{"rules", std::move(rules)}};
}

ManifestDocument object(const char* version, const char* kind, const std::string& name) {
    ManifestDocument document;
    document.content["apiVersion"] = version;
    document.content["kind"] = kind;
    document.content["metadata"]["name"] = name;
    return document;
}

std::string kubernetes(const ClusterWishes& wishes) {
    const std::size_t count = wishes.names.size();
    if (count > kJobLimit)
        fail(ErrorKind::limit, fmt::format("a Job has {} pods at most; make several lists", kJobLimit));
    const Json labels = {{"app.kubernetes.io/name", "vm2oci"}};
    Json runs = {{"name", "vm2oci"}};
    runs.update(container(wishes, {}));
    runs["terminationMessagePolicy"] = "FallbackToLogsOnError";
    Json pod = Json::object();
    pod["restartPolicy"] = "Never";
    pod["automountServiceAccountToken"] = false;
    pod["securityContext"] = {{"fsGroup", kUser}, {"fsGroupChangePolicy", "OnRootMismatch"}};
    pod["containers"] = Json::array({std::move(runs)});
    pod["volumes"] = pod_volumes(wishes);

    ManifestDocument job = object("batch/v1", "Job", wishes.name);
    job.content["metadata"]["labels"] = labels;
    Json& spec = job.content["spec"];
    spec["completionMode"] = "Indexed";
    spec["completions"] = count;
    spec["parallelism"] = std::min(wishes.at_once, count);
    spec["backoffLimitPerIndex"] = kRetries;
    spec["maxFailedIndexes"] = wishes.after_failure == AfterFailure::keep_on ? count : 0;
    spec["podFailurePolicy"] = failure_policy();
    spec["template"]["metadata"]["labels"] = labels;
    spec["template"]["spec"] = std::move(pod);
    job.comment("/spec/completions", "One pod for each machine; JOB_COMPLETION_INDEX tells it which.");
    job.comment("/spec/backoffLimitPerIndex",
                "A machine that fails by what is around it (exit code 1) is tried again.");
    if (wishes.after_failure == AfterFailure::stop)
        job.comment("/spec/maxFailedIndexes", "The first machine that fails for good ends the job.");
    job.comment("/spec/podFailurePolicy",
                "2, 3 and 4 (wrong words, refused, does not boot) would be the same the next time.");
    job.comment("/spec/template/spec/containers/0/workingDir", "Paths in the list are on the volume claim.");
    return to_yaml({config_map(wishes), std::move(job)});
}

// A digest and a destination for each machine are results, by the names that Tekton Chains looks for.
Json tekton_step(const ClusterWishes& wishes) {
    Json step = {{"name", "convert"}};
    step.update(container(wishes, {"--index", "$(params.INDEX)", "--digest-file", "$(results.IMAGE_DIGEST.path)",
                                   "--destination-file", "$(results.IMAGE_URL.path)"}));
    step["computeResources"] = resources(wishes);
    step.erase("resources");
    step["workingDir"] = "$(workspaces.disks.path)";
    step["env"][0]["value"] = "$(workspaces.dockerconfig.path)/config.json";
    step["volumeMounts"] = Json::array(
        {mount("list", "/list", true), mount("state", "/state", false), mount("scratch", "/scratch", false)});
    return step;
}

Json named(const char* name, const char* description) {
    return {{"name", name}, {"type", "string"}, {"description", description}};
}

ManifestDocument tekton_task(const ClusterWishes& wishes, const std::string& name) {
    Json disks = {{"name", "disks"}, {"description", "The disks; paths in the list are in it"}, {"readOnly", true}};
    Json login = {{"name", "dockerconfig"}, {"description", "config.json, the registry's login"}};
    login["optional"] = true;
    login["readOnly"] = true;
    ManifestDocument task = object("tekton.dev/v1", "Task", name);
    Json& metadata = task.content["metadata"];
    metadata["labels"]["app.kubernetes.io/version"] = std::string(version());
    Json& annotations = metadata["annotations"];
    annotations["tekton.dev/pipelines.minVersion"] = "0.53.0";
    annotations["tekton.dev/categories"] = "Image Build";
    annotations["tekton.dev/tags"] = "vm,oci,kubevirt";
    annotations["tekton.dev/displayName"] = "A virtual machine as an OCI artifact";
    annotations["tekton.dev/platforms"] = "linux/amd64";
    Json& spec = task.content["spec"];
    spec["description"] = "Converts one machine of a list and pushes it.";
    spec["params"] = Json::array({named("INDEX", "Of the machine, from 0")});
    spec["workspaces"] = Json::array({std::move(disks), std::move(login)});
    spec["results"] =
        Json::array({named("IMAGE_URL", "Where the image is"), named("IMAGE_DIGEST", "The digest of the image")});
    spec["volumes"] = Json::array({list_volume(wishes), state_volume(wishes), scratch_volume()});
    spec["steps"] = Json::array({tekton_step(wishes)});
    return task;
}

std::string tekton(const ClusterWishes& wishes) {
    if (wishes.names.size() > kMatrixLimit)
        fail(ErrorKind::limit, fmt::format("Tekton fans out to {} machines at most; make several lists", kMatrixLimit));
    const std::string task_name = wishes.name + std::string(kTaskEnding);
    Json index = {{"name", "INDEX"}, {"value", Json::array()}};
    for (std::size_t number = 0; number < wishes.names.size(); ++number)
        index["value"].push_back(std::to_string(number));
    Json task = {{"name", "machine"}};
    task["taskRef"]["name"] = task_name;
    task["matrix"]["params"] = Json::array({std::move(index)});
    task["workspaces"] = Json::array();
    for (const char* workspace : {"disks", "dockerconfig"})
        task["workspaces"].push_back({{"name", workspace}, {"workspace", workspace}});

    ManifestDocument pipeline = object("tekton.dev/v1", "Pipeline", wishes.name);
    Json& spec = pipeline.content["spec"];
    spec["workspaces"] = Json::array();
    spec["workspaces"].push_back({{"name", "disks"}});
    spec["workspaces"].push_back({{"name", "dockerconfig"}, {"optional", true}});
    spec["tasks"] = Json::array({std::move(task)});
    Json digests = {{"name", "IMAGE_DIGESTS"}, {"type", "array"}};
    digests["value"] = "$(tasks.machine.results.IMAGE_DIGEST[*])";
    spec["results"] = Json::array({std::move(digests)});
    return to_yaml({config_map(wishes), tekton_task(wishes, task_name), std::move(pipeline)});
}

// One step for each machine.
Json argo_fan_out(const ClusterWishes& wishes) {
    Json step = {{"name", "machine"}, {"template", "machine"}};
    Json index = {{"name", "index"}, {"value", "{{item}}"}};
    step["arguments"]["parameters"] = Json::array({std::move(index)});
    step["withSequence"]["count"] = std::to_string(wishes.names.size());
    if (wishes.after_failure == AfterFailure::keep_on)
        step["continueOn"]["failed"] = true;
    Json fan_out = {{"name", "batch"}};
    fan_out["steps"] = Json::array({Json::array({std::move(step)})});
    return fan_out;
}

Json argo_machine(const ClusterWishes& wishes) {
    Json machine = {{"name", "machine"}};
    Json index = {{"name", "index"}};
    machine["inputs"]["parameters"] = Json::array({std::move(index)});
    Json digest = {{"name", "digest"}};
    digest["valueFrom"]["path"] = "/scratch/digest";
    digest["valueFrom"]["default"] = "";
    machine["outputs"]["parameters"] = Json::array({std::move(digest)});
    Json& retries = machine["retryStrategy"];
    retries["limit"] = std::to_string(kRetries);
    retries["retryPolicy"] = "Always";
    retries["expression"] = "asInt(lastRetry.exitCode) not in [2, 3, 4]";
    machine["container"] =
        container(wishes, {"--index", "{{inputs.parameters.index}}", "--digest-file", "/scratch/digest"});
    return machine;
}

std::string argo(const ClusterWishes& wishes) {
    ManifestDocument workflow = object("argoproj.io/v1alpha1", "WorkflowTemplate", wishes.name);
    Json& spec = workflow.content["spec"];
    spec["entrypoint"] = "batch";
    spec["parallelism"] = wishes.at_once;
    spec["automountServiceAccountToken"] = false;
    spec["executor"]["serviceAccountName"] = "default";
    spec["securityContext"] = {{"fsGroup", kUser}, {"runAsNonRoot", true}, {"runAsUser", kUser}};
    spec["volumes"] = pod_volumes(wishes);
    spec["templates"] = Json::array({argo_fan_out(wishes), argo_machine(wishes)});
    workflow.comment("/spec/templates/1/retryStrategy",
                     "2, 3 and 4 (wrong words, refused, does not boot) would be the same the next time.");
    return to_yaml({config_map(wishes), std::move(workflow)});
}

} // namespace

std::string cluster_manifest(std::string_view target, const ClusterWishes& wishes) {
    if (wishes.image.empty())
        fail(ErrorKind::usage, "which image of vm2oci the pods run is not said: give --image");
    require_name(wishes.name, "objects", longest_name(target, wishes));
    require_name(wishes.disks_claim, "a volume claim");
    require_name(wishes.registry_secret, "a Secret");
    if (!wishes.state_claim.empty())
        require_name(wishes.state_claim, "a volume claim");
    return target == "kubernetes" ? kubernetes(wishes) : target == "tekton" ? tekton(wishes) : argo(wishes);
}

} // namespace vm2oci::cli
