// System calls of this process that fail when they are told to: link failing_calls.cpp into a test's executable, and
// its open, write, fsync, rename … are ours.
#pragma once

#include <filesystem>
#include <string>

namespace vm2oci::test {

// Counts the calls that change something below a folder, and has one of them fail with EIO (a write with ENOSPC).
class FailingCalls {
  public:
    // `fails`: which one, from 1 on; 0: none, they are only counted. One at a time; `folder` is absolute.
    FailingCalls(const std::filesystem::path& folder, unsigned fails);
    ~FailingCalls();
    FailingCalls(const FailingCalls&) = delete;
    FailingCalls& operator=(const FailingCalls&) = delete;

    unsigned count() const;
    // The call that failed, with its path, for messages; empty: none did.
    std::string failed() const;
};

} // namespace vm2oci::test
