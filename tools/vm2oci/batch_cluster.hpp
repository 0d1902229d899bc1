// A batch as what a cluster is given: each machine in a pod of its own, which is retried where another try may help.
//
// Sources: kubernetes.io/docs/concepts/workloads/controllers/job (indexed completion, backoffLimitPerIndex, pod failure
// policy; Kubernetes 1.33); tekton.dev/docs/pipelines (tasks, matrix, results); argo-workflows.readthedocs.io (retry
// strategies, withSequence).
#pragma once

#include "tools/batch/run.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace vm2oci::cli {

inline constexpr std::size_t kClusterPods = 4; // at once, unless something else is asked for

struct ClusterWishes {
    std::string name = "vm2oci-batch";
    std::string image; // of vm2oci
    std::string disks_claim = "disks";
    std::string registry_secret = "registry"; // of the type kubernetes.io/dockerconfigjson; it may be missing
    std::string state_claim;                  // empty: what is remembered goes with the pod
    std::string list;                         // its text
    std::vector<std::string> names;           // of its machines, in its order
    std::size_t at_once = kClusterPods;
    AfterFailure after_failure = AfterFailure::stop;
    std::uint64_t memory = 0; // of a pod
};

// YAML of "kubernetes", "tekton" or "argo". Error{usage} without an image or for a name that is none, Error{limit} for
// a list that does not fit into a ConfigMap or a matrix.
std::string cluster_manifest(std::string_view target, const ClusterWishes& wishes);

} // namespace vm2oci::cli
