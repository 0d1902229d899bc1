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
constexpr int kRetries = 3;
constexpr const char* kListFile = "machines";

// Labels, claims and objects: RFC 1123, in at most 63 characters.
void require_name(const std::string& name, std::string_view what) {
    const auto is_end = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
    const bool fits = !name.empty() && name.size() <= 63 && is_end(name.front()) && is_end(name.back()) &&
                      std::all_of(name.begin(), name.end(), [&](char c) { return is_end(c) || c == '-'; });
    if (!fits)
        fail(ErrorKind::usage, fmt::format("{} is no name for {} in a cluster: small letters, digits and '-'",
                                           quote_untrusted(name), what));
}

std::string list_name(const ClusterWishes& wishes) {
    return wishes.name + "-list";
}

ManifestDocument config_map(const ClusterWishes& wishes) {
    if (wishes.list.size() > kConfigMapLimit)
        fail(ErrorKind::limit, "the list is larger than a ConfigMap can be; make several of it");
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

std::string kubernetes(const ClusterWishes& wishes) {
    std::vector<std::string> words = arguments(wishes);
    words.push_back(list_path());
    const std::size_t count = wishes.names.size();
    const Json container = {{"name", "vm2oci"},
                            {"image", wishes.image},
                            {"command", {"vm2oci"}},
                            {"args", words},
                            {"workingDir", "/disks"},
                            {"env", environment()},
                            {"resources", resources(wishes)},
                            {"securityContext", container_security()},
                            {"terminationMessagePolicy", "FallbackToLogsOnError"},
                            {"volumeMounts", pod_mounts()}};
    ManifestDocument job{
        {{"apiVersion", "batch/v1"},
         {"kind", "Job"},
         {"metadata", {{"name", wishes.name}, {"labels", {{"app.kubernetes.io/name", "vm2oci"}}}}},
         {"spec",
          {{"completionMode", "Indexed"},
           {"completions", count},
           {"parallelism", std::min(wishes.at_once, count)},
           {"backoffLimitPerIndex", kRetries},
           {"maxFailedIndexes", wishes.after_failure == AfterFailure::keep_on ? count : 0},
           {"podFailurePolicy",
            {{"rules",
              Json::array(
                  {{{"action", "FailIndex"},
                    {"onExitCodes", {{"containerName", "vm2oci"}, {"operator", "In"}, {"values", {2, 3, 4}}}}},
                   {{"action", "Ignore"},
                    {"onPodConditions", Json::array({{{"type", "DisruptionTarget"}, {"status", "True"}}})}}})}}},
           {"template",
            {{"metadata", {{"labels", {{"app.kubernetes.io/name", "vm2oci"}}}}},
             {"spec",
              {{"restartPolicy", "Never"},
               {"automountServiceAccountToken", false},
               {"securityContext", {{"fsGroup", kUser}, {"fsGroupChangePolicy", "OnRootMismatch"}}},
               {"containers", Json::array({container})},
               {"volumes", pod_volumes(wishes)}}}}}}}}};
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
    std::vector<std::string> words = arguments(wishes);
    words.insert(words.end(), {"--index", "$(params.INDEX)", "--digest-file", "$(results.IMAGE_DIGEST.path)",
                               "--destination-file", "$(results.IMAGE_URL.path)", list_path()});
    Json env = environment();
    env[0]["value"] = "$(workspaces.dockerconfig.path)/config.json";
    return {{"name", "convert"},
            {"image", wishes.image},
            {"command", {"vm2oci"}},
            {"args", words},
            {"workingDir", "$(workspaces.disks.path)"},
            {"env", std::move(env)},
            {"computeResources", resources(wishes)},
            {"securityContext", container_security()},
            {"volumeMounts", Json::array({mount("list", "/list", true), mount("state", "/state", false),
                                          mount("scratch", "/scratch", false)})}};
}

std::string tekton(const ClusterWishes& wishes) {
    if (wishes.names.size() > kMatrixLimit)
        fail(ErrorKind::limit, fmt::format("Tekton fans out to {} machines at most; make several lists", kMatrixLimit));
    const std::string task_name = wishes.name + "-machine";
    const Json workspaces =
        Json::array({{{"name", "disks"}, {"description", "The disks; paths in the list are in it"}, {"readOnly", true}},
                     {{"name", "dockerconfig"},
                      {"description", "config.json, the registry's login"},
                      {"optional", true},
                      {"readOnly", true}}});
    ManifestDocument task{
        {{"apiVersion", "tekton.dev/v1"},
         {"kind", "Task"},
         {"metadata",
          {{"name", task_name},
           {"labels", {{"app.kubernetes.io/version", std::string(version())}}},
           {"annotations",
            {{"tekton.dev/pipelines.minVersion", "0.53.0"},
             {"tekton.dev/categories", "Image Build"},
             {"tekton.dev/tags", "vm,oci,kubevirt"},
             {"tekton.dev/displayName", "A virtual machine as an OCI artifact"},
             {"tekton.dev/platforms", "linux/amd64"}}}}},
         {"spec",
          {{"description", "Converts one machine of a list and pushes it."},
           {"params",
            Json::array({{{"name", "INDEX"}, {"type", "string"}, {"description", "Of the machine, from 0"}}})},
           {"workspaces", workspaces},
           {"results", Json::array({{{"name", "IMAGE_URL"}, {"type", "string"}, {"description", "Where the image is"}},
                                    {{"name", "IMAGE_DIGEST"}, {"type", "string"}, {"description", "Its digest"}}})},
           {"volumes", Json::array({list_volume(wishes), state_volume(wishes), scratch_volume()})},
           {"steps", Json::array({tekton_step(wishes)})}}}}};
    Json indices = Json::array();
    for (std::size_t index = 0; index < wishes.names.size(); ++index)
        indices.push_back(std::to_string(index));
    ManifestDocument pipeline{
        {{"apiVersion", "tekton.dev/v1"},
         {"kind", "Pipeline"},
         {"metadata", {{"name", wishes.name}}},
         {"spec",
          {{"workspaces", Json::array({{{"name", "disks"}}, {{"name", "dockerconfig"}, {"optional", true}}})},
           {"tasks",
            Json::array({{{"name", "machine"},
                          {"taskRef", {{"name", task_name}}},
                          {"matrix", {{"params", Json::array({{{"name", "INDEX"}, {"value", std::move(indices)}}})}}},
                          {"workspaces", Json::array({{{"name", "disks"}, {"workspace", "disks"}},
                                                      {{"name", "dockerconfig"}, {"workspace", "dockerconfig"}}})}}})},
           {"results", Json::array({{{"name", "IMAGE_DIGESTS"},
                                     {"type", "array"},
                                     {"value", "$(tasks.machine.results.IMAGE_DIGEST[*])"}}})}}}}};
    return to_yaml({config_map(wishes), std::move(task), std::move(pipeline)});
}

std::string argo(const ClusterWishes& wishes) {
    std::vector<std::string> words = arguments(wishes);
    words.insert(words.end(),
                 {"--index", "{{inputs.parameters.index}}", "--digest-file", "/scratch/digest", list_path()});
    Json machine = {{"name", "machine"},
                    {"template", "machine"},
                    {"arguments", {{"parameters", Json::array({{{"name", "index"}, {"value", "{{item}}"}}})}}},
                    {"withSequence", {{"count", std::to_string(wishes.names.size())}}}};
    if (wishes.after_failure == AfterFailure::keep_on)
        machine["continueOn"] = {{"failed", true}};
    ManifestDocument workflow{
        {{"apiVersion", "argoproj.io/v1alpha1"},
         {"kind", "WorkflowTemplate"},
         {"metadata", {{"name", wishes.name}}},
         {"spec",
          {{"entrypoint", "batch"},
           {"parallelism", wishes.at_once},
           {"automountServiceAccountToken", false},
           {"executor", {{"serviceAccountName", "default"}}},
           {"securityContext", {{"fsGroup", kUser}, {"runAsNonRoot", true}, {"runAsUser", kUser}}},
           {"volumes", pod_volumes(wishes)},
           {"templates",
            Json::array(
                {{{"name", "batch"}, {"steps", Json::array({Json::array({std::move(machine)})})}},
                 {{"name", "machine"},
                  {"inputs", {{"parameters", Json::array({{{"name", "index"}}})}}},
                  {"outputs",
                   {{"parameters", Json::array({{{"name", "digest"},
                                                 {"valueFrom", {{"path", "/scratch/digest"}, {"default", ""}}}}})}}},
                  {"retryStrategy",
                   {{"limit", std::to_string(kRetries)},
                    {"retryPolicy", "Always"},
                    {"expression", "asInt(lastRetry.exitCode) not in [2, 3, 4]"}}},
                  {"container",
                   {{"image", wishes.image},
                    {"command", {"vm2oci"}},
                    {"args", words},
                    {"workingDir", "/disks"},
                    {"env", environment()},
                    {"resources", resources(wishes)},
                    {"securityContext", container_security()},
                    {"volumeMounts", pod_mounts()}}}}})}}}}};
    workflow.comment("/spec/templates/1/retryStrategy",
                     "2, 3 and 4 (wrong words, refused, does not boot) would be the same the next time.");
    return to_yaml({config_map(wishes), std::move(workflow)});
}

} // namespace

std::string cluster_manifest(std::string_view target, const ClusterWishes& wishes) {
    if (wishes.image.empty())
        fail(ErrorKind::usage, "which image of vm2oci the pods run is not said: give --image");
    require_name(wishes.name, "objects");
    require_name(wishes.disks_claim, "a volume claim");
    require_name(wishes.registry_secret, "a Secret");
    if (!wishes.state_claim.empty())
        require_name(wishes.state_claim, "a volume claim");
    return target == "kubernetes" ? kubernetes(wishes) : target == "tekton" ? tekton(wishes) : argo(wishes);
}

} // namespace vm2oci::cli
