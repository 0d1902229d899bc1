// The virtio-serial port on which vm2oci's agent in a guest and the host talk.
#pragma once

// A macro's text stands in units and rules for guests, too.
#define VM2OCI_AGENT_PORT "org.vm2oci.agent.0"

namespace vm2oci {

inline constexpr const char* kAgentPort = VM2OCI_AGENT_PORT;

} // namespace vm2oci
